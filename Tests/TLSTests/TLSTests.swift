// Two sides of TLS in one thread, over memory.

import Foundation
import Glibc
import TLS
import Testing

/// The path of a file in Tests/Certificates.
func certificateFile(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Certificates/\(name)").standardized.path
}

/// A client and a server that send each other what they have until both are quiet.
private struct Conversation {
    let client: TLSSession
    let server: TLSSession

    init(_ client: TLSContext, _ server: TLSSession?) throws {
        self.client = try #require(client.session())
        self.server = try #require(server)
        self.client.connect()
    }

    /// Moves all output to the other side; what each then reads.
    @discardableResult
    func exchange(
        fromClient: [UInt8] = [], fromServer: [UInt8] = []
    ) -> (atServer: String, atClient: String) {
        var toServer = fromClient
        var toClient = fromServer
        var (atServer, atClient): ([UInt8], [UInt8]) = ([], [])
        repeat {
            client.takeOutput(into: &toServer)
            atServer += Self.deliver(toServer, to: server)
            toServer = []
            server.takeOutput(into: &toClient)
            atClient += Self.deliver(toClient, to: client)
            toClient = []
            client.takeOutput(into: &toServer)
        } while !toServer.isEmpty
        return (
            String(decoding: atServer, as: UTF8.self), String(decoding: atClient, as: UTF8.self)
        )
    }

    static func deliver(_ bytes: [UInt8], to session: TLSSession) -> [UInt8] {
        unsafe bytes.withUnsafeBytes { unsafe session.receive($0) }
        var read: [UInt8] = []
        while true {
            var piece = [UInt8](repeating: 0, count: 1000)
            let count = unsafe piece.withUnsafeMutableBytes { unsafe session.read(into: $0) }
            if count == 0 { return read }
            read += piece[..<count]
        }
    }

    static func sealed(_ text: String, by session: TLSSession) -> [UInt8] {
        var output = Array(text.utf8)
        session.seal(&output, from: 0)
        return output
    }
}

@Suite struct TLSTests {
    private let authority = certificateFile("authority.pem")

    private func serverContext(clients: Bool = false) throws -> TLSContext {
        try TLSContext(
            certificate: certificateFile("server.pem"), key: certificateFile("server-key.pem"),
            clientAuthorities: clients ? authority : nil)
    }

    private func clientContext(_ identity: String? = nil) throws -> TLSContext {
        try TLSContext(
            authorities: authority,
            identity: identity.map {
                (certificateFile($0 + ".pem"), certificateFile($0 + "-key.pem"))
            })
    }

    @Test func bothSidesHearEachOther() throws {
        let talk = try Conversation(clientContext(), serverContext().session())
        #expect(!talk.server.isEstablished)
        talk.exchange()
        #expect(talk.server.isEstablished && talk.client.isEstablished)
        let question = Conversation.sealed("question", by: talk.client)
        #expect(!String(decoding: question, as: UTF8.self).contains("question"))
        #expect(talk.exchange(fromClient: question).atServer == "question")
        let answer = Conversation.sealed("answer", by: talk.server)
        #expect(talk.exchange(fromServer: answer).atClient == "answer")
        #expect(talk.server.peerName == nil)
        #expect(talk.client.peerName == "localhost")
    }

    @Test func largeMessagesAreSealedWholeBehindWhatIsThere() throws {
        let talk = try Conversation(clientContext(), serverContext().session())
        talk.exchange()
        let text = String(repeating: "0123456789abcdef", count: 20_000)
        var output = Conversation.sealed("first ", by: talk.server)
        let start = output.count
        output += Array(text.utf8)
        talk.server.seal(&output, from: start)
        #expect(talk.exchange(fromServer: output).atClient == "first " + text)
    }

    @Test func bytesMayComeOneAtATime() throws {
        let talk = try Conversation(clientContext(), serverContext().session())
        var hello: [UInt8] = []
        talk.client.takeOutput(into: &hello)
        for byte in hello {
            #expect(!talk.server.isEstablished)
            #expect(Conversation.deliver([byte], to: talk.server) == [])
        }
        talk.exchange()
        var read: [UInt8] = []
        for byte in Conversation.sealed("slowly", by: talk.client) {
            read += Conversation.deliver([byte], to: talk.server)
        }
        #expect(String(decoding: read, as: UTF8.self) == "slowly")
    }

    @Test func theEndIsSaid() throws {
        let talk = try Conversation(clientContext(), serverContext().session())
        talk.exchange()
        var output = Conversation.sealed("last", by: talk.server)
        talk.server.end(into: &output)
        let count = output.count
        talk.server.end(into: &output)
        #expect(output.count == count, "once")
        #expect(talk.exchange(fromServer: output).atClient == "last")
        #expect(talk.client.hasPeerEnded && talk.client.failure == nil)
        // The other direction goes on (RFC 8446, section 6.1).
        let late = Conversation.sealed("late", by: talk.client)
        #expect(talk.exchange(fromClient: late).atServer == "late")
    }

    @Test func nothingIsSaidOfTheEndBeforeTheHandshake() throws {
        let session = try #require(try serverContext().session())
        var output: [UInt8] = []
        session.end(into: &output)
        #expect(output == [])
    }

    @Test func aClientMayShowACertificate() throws {
        let named = try Conversation(
            clientContext("client"), serverContext(clients: true).session())
        named.exchange()
        #expect(named.server.peerName == "nic0")
        let unnamed = try Conversation(clientContext(), serverContext(clients: true).session())
        unnamed.exchange()
        #expect(unnamed.server.isEstablished && unnamed.server.peerName == nil)
    }

    @Test func aSubjectOfTwoNamesIsNobody() throws {
        let talk = try Conversation(
            clientContext("two-names"), serverContext(clients: true).session())
        talk.exchange()
        #expect(talk.server.isEstablished && talk.server.peerName == nil)
    }

    /// One that another authority signed, and one that is not for clients.
    @Test(arguments: ["stranger", "renewed"])
    func aCertificateThatIsNotAClientsEndsTheHandshake(name: String) throws {
        let talk = try Conversation(clientContext(name), serverContext(clients: true).session())
        talk.exchange()
        #expect(!talk.server.isEstablished)
        guard case .broken = talk.server.failure else {
            Issue.record("\(String(describing: talk.server.failure))")
            return
        }
        #expect(talk.server.peerName == nil)
        #expect(talk.client.failure != nil, "the client is told by an alert")
    }

    @Test func plainHTTPIsRecognized() throws {
        let session = try #require(try serverContext().session())
        #expect(Conversation.deliver(Array("GET / HTTP/1.1\r\n\r\n".utf8), to: session) == [])
        #expect(session.failure == .plainHTTP)
    }

    @Test(arguments: [
        [UInt8](repeating: 0, count: 100), [UInt8](repeating: 0xff, count: 100),
        [0x16, 3, 1, 0xff, 0xff] + [UInt8](repeating: 0x41, count: 0xffff),
        [0x16, 3, 1, 0, 4, 1, 0, 0, 0],
    ])
    func whatIsNoHandshakeFails(bytes: [UInt8]) throws {
        let session = try #require(try serverContext().session())
        #expect(Conversation.deliver(bytes, to: session) == [])
        #expect(session.failure != nil && session.failure != .plainHTTP)
        // Nothing goes out in the clear afterwards.
        #expect(Conversation.sealed("secret", by: session) == [])
    }

    @Test func aRecordThatWasChangedEndsTheSession() throws {
        let talk = try Conversation(clientContext(), serverContext().session())
        talk.exchange()
        var record = Conversation.sealed("true", by: talk.client)
        record[record.count - 1] ^= 1
        #expect(Conversation.deliver(record, to: talk.server) == [])
        #expect(talk.server.failure != nil)
        #expect(
            Conversation.deliver(Conversation.sealed("x", by: talk.client), to: talk.server) == [])
    }

    /// Every byte of a client's first flight changed, each way that flips one bit of it.
    @Test func noChangedHelloIsReadAsMore() throws {
        let context = try serverContext()
        let client = try #require(try clientContext().session())
        client.connect()
        var hello: [UInt8] = []
        client.takeOutput(into: &hello)
        for position in hello.indices {
            for bit in [0, 3, 7] {
                var changed = hello
                changed[position] ^= 1 << bit
                let session = try #require(context.session())
                #expect(Conversation.deliver(changed, to: session) == [])
                #expect(!session.isEstablished)
            }
        }
    }

    @Test func aNewCertificateIsForNewSessions() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        let (certificate, key) = (folder.appending(path: "c.pem"), folder.appending(path: "k.pem"))
        func lay(_ name: String, keyOf other: String? = nil) throws {
            try Data(contentsOf: URL(filePath: certificateFile(name + ".pem"))).write(
                to: certificate)
            try Data(contentsOf: URL(filePath: certificateFile((other ?? name) + "-key.pem")))
                .write(to: key)
        }
        try lay("server")
        let context = try TLSServerContext(certificate: certificate.path, key: key.path)
        let old = try Conversation(clientContext(), context.session())
        old.exchange()

        // Half of a renewal: the one that was there stays.
        try lay("renewed", keyOf: "server")
        #expect(throws: TLSError.keyOfAnotherCertificate) { try context.reload() }
        let between = try Conversation(clientContext(), context.session())
        between.exchange()
        #expect(between.client.isEstablished)

        try lay("renewed")
        try context.reload()
        let new = try Conversation(clientContext(), context.session())
        new.exchange()
        #expect(new.client.isEstablished)
        let late = Conversation.sealed("still here", by: old.client)
        #expect(old.exchange(fromClient: late).atServer == "still here")
    }
}

@Suite struct TLSFileTests {
    private let server = certificateFile("server.pem")
    private let key = certificateFile("server-key.pem")

    @Test(arguments: ["none.pem", "make.sh", "server-key.pem"])
    func whatIsNoCertificateIsNamed(name: String) {
        let file = certificateFile(name)
        let error = #expect(throws: TLSError.self) {
            try TLSContext(certificate: file, key: key)
        }
        #expect(error?.description.hasPrefix("\(file) is not a certificate: ") == true)
    }

    @Test(arguments: ["none.pem", "make.sh", "server.pem", "locked-key.pem"])
    func whatIsNoKeyIsNamed(name: String) {
        let file = certificateFile(name)
        let error = #expect(throws: TLSError.self) {
            try TLSContext(certificate: server, key: file)
        }
        #expect(error?.description.hasPrefix("\(file) is not a private key") == true)
    }

    @Test func theKeyMustBeTheCertificates() {
        #expect(throws: TLSError.keyOfAnotherCertificate) {
            try TLSContext(certificate: server, key: certificateFile("client-key.pem"))
        }
    }

    @Test(arguments: ["none.pem", "make.sh", "server-key.pem"])
    func whatIsNoAuthorityIsNamed(name: String) {
        let file = certificateFile(name)
        let error = #expect(throws: TLSError.self) {
            try TLSContext(certificate: server, key: key, clientAuthorities: file)
        }
        #expect(error?.description.hasPrefix("\(file) is not certificates of") == true)
    }
}
