import CEpoll
import Glibc

/// An epoll instance (epoll(7)), level-triggered.
struct Epoll: ~Copyable {
    /// What a descriptor is watched for, and what it was reported for.
    struct Events: OptionSet {
        let rawValue: UInt32

        static let readable = Events(rawValue: CEPOLL_IN)
        static let writable = Events(rawValue: CEPOLL_OUT)
        /// Reported without being watched for: the connection is broken.
        static let error = Events(rawValue: CEPOLL_ERR)
        /// Reported without being watched for: both directions are shut down.
        static let hangUp = Events(rawValue: CEPOLL_HUP)
        /// The peer has shut down its sending side, whatever is still to be read from it.
        static let peerEnd = Events(rawValue: CEPOLL_RDHUP)
    }

    /// Events taken from the kernel at once; those of further descriptors come with the next wait.
    private static let maximumEvents = 1024

    private let descriptor: Int32
    private var ready = [cepoll_event](repeating: cepoll_event(), count: maximumEvents)

    init() throws(HTTPServerError) {
        descriptor = cepoll_create()
        guard descriptor >= 0 else { throw .last("epoll_create1") }
    }

    deinit {
        close(descriptor)
    }

    /// Watches a descriptor for reading; `token` will name it in its events.
    func add(_ watched: Int32, token: UInt64) throws(HTTPServerError) {
        guard cepoll_add(descriptor, watched, CEPOLL_IN, token) == 0 else {
            throw .last("epoll_ctl")
        }
    }

    func modify(_ watched: Int32, events: Events, token: UInt64) throws(HTTPServerError) {
        guard cepoll_modify(descriptor, watched, events.rawValue, token) == 0 else {
            throw .last("epoll_ctl")
        }
    }

    /// Watches a descriptor no more. One that the kernel no longer watches is as good.
    func remove(_ watched: Int32) {
        _ = cepoll_remove(descriptor, watched)
    }

    /// Waits at most `timeout` milliseconds, and returns how many events `event(_:)` now has.
    mutating func wait(timeout: Int64) throws(HTTPServerError) -> Int {
        let count = unsafe cepoll_wait(
            descriptor, &ready, Int32(Self.maximumEvents), Int32(clamping: timeout))
        if count < 0, errno != EINTR { throw .last("epoll_wait") }
        return Int(max(0, count))
    }

    func event(_ index: Int) -> (token: UInt64, events: Events) {
        (ready[index].token, Events(rawValue: ready[index].events))
    }
}
