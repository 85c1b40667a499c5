// Clients that write and a reader of history, on threads of their own, for as long as the server
// lives.

import Foundation
import Synchronization
import Testing

final class BackgroundLoad: Sendable {
    private let failures = Mutex<[String]>([])
    private let threads = DispatchGroup()
    private let clients: [LoadClient]

    /// - Parameter server: has the machine of `LoadClient`.
    init(on server: Server, clients count: Int) {
        let port = server.port
        clients = (0..<count).map { number in
            LoadClient(
                owner: "client-\(number)", port: port, cycle: 1, held: [], seed: UInt64(number))
        }
        for client in clients { start { try client.run() } }
        start { try Self.readHistory(port) }
    }

    /// How many requests to write were sent.
    var requests: Int { clients.reduce(0) { $0 + $1.operations.count } }

    /// Waits until all have seen that the server has gone.
    func waitForEnd() {
        threads.wait()
        #expect(failures.withLock { $0 } == [])
    }

    private func start(_ body: @escaping @Sendable () throws -> Void) {
        threads.enter()
        Thread {
            do {
                try body()
            } catch {
                self.failures.withLock { $0.append("\(error)") }
            }
            self.threads.leave()
        }.start()
    }

    private static func readHistory(_ port: UInt16) throws {
        let targets = [
            "/v1/ledger?sort=desc&page_size=50", "/v1/ledger?owner=client-1&page_size=1000",
            "/v1/ledger?outcome=refused", "/v1/ledger/1",
        ]
        do {
            let client = try HTTPClient(port: port)
            while true {
                for target in targets {
                    let answer = try client.get(target)
                    #expect(answer.status == 200, "\(target): \(answer.text)")
                }
            }
        } catch HTTPClient.Failure.closed {
            // The server has gone, which is how this ends.
        }
    }
}
