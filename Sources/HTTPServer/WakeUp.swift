import CEpoll
import Glibc
import Synchronization

/// An eventfd that other threads write to so that the loop's wait returns (eventfd(2)).
final class WakeUp: Sendable {
    let descriptor: Int32
    private let stopRequested = Atomic<Bool>(false)

    init() throws(HTTPServerError) {
        descriptor = cepoll_eventfd()
        guard descriptor >= 0 else { throw .last("eventfd") }
    }

    deinit {
        close(descriptor)
    }

    var isStopRequested: Bool { stopRequested.load(ordering: .acquiring) }

    func requestStop() {
        stopRequested.store(true, ordering: .releasing)
        signal()
    }

    func signal() {
        // It fails only when the counter is full, and then the wait returns anyway.
        var one: UInt64 = 1
        _ = unsafe write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Sets the counter back, so that the next wait waits.
    func reset() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor, &count, MemoryLayout<UInt64>.size)
    }
}

/// Stops a server from any thread.
public struct HTTPStopper: Sendable {
    let wakeUp: WakeUp

    /// Lets `HTTPServer.run()` return: no connection is accepted any more, what has been received
    /// whole is answered, and all connections are closed, after
    /// `HTTPServerLimits.drainTimeout` at the latest. Calling it again changes nothing.
    public func stop() {
        wakeUp.requestStop()
    }
}
