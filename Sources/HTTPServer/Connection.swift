import Glibc
import TLS

/// One accepted socket with what has been received from it and what is still to be sent to it.
///
/// Connections live in an array of the event loop and are changed in place there; nothing else
/// refers to them.
struct Connection {
    /// What the connection is still there for.
    enum Phase {
        /// The slot has no connection.
        case closed
        /// Requests are read and answered.
        case open
        /// No more requests are read; the connection closes when its output has been sent.
        case closing
        /// All has been sent and the sending side is shut down; what the peer still sends is read
        /// and dropped, so that it can read the last answer (RFC 9112, section 9.6).
        case lingering
    }

    /// What a read or a write came to.
    enum Transfer {
        case bytes(Int)
        /// The socket is not ready for it.
        case blocked
        /// The peer sends nothing more.
        case ended
        /// The connection is broken.
        case failed
    }

    var phase = Phase.closed
    var descriptor: Int32 = -1
    /// The connection's number, never used twice; 0 for none.
    var number: UInt64 = 0
    var peer = HTTPPeer()
    /// What stands between the socket and everything else: `parser` has what the peer said,
    /// `output` what the socket sends. Nil without TLS, and after its end.
    var tls: TLSSession?
    /// Requests so far.
    var exchangeCount: UInt64 = 0
    /// The request that was deferred, and how its answer is to be framed.
    var deferred: Exchange?

    var parser: HTTPRequestParser
    var output: [UInt8] = []
    /// The bytes of `output` already sent.
    var sentCount = 0
    /// Bytes that are with the sender: they went before those of `output`. While there are any,
    /// nothing else is sent on the descriptor, and it stays open.
    var countUnderWay = 0

    /// Bytes of the buffers as last counted (`EventLoop.recount`).
    var heldBytes = 0

    /// The peer has shut down its sending side.
    var peerHasEnded = false
    /// The parser holds bytes that it stopped at for another reason than that they were not whole.
    var hasUnparsedInput = false
    /// The socket took less than was offered; it is waited for.
    var isBlockedBySend = false
    /// No more is read until a deferred answer or the output is gone.
    var isReadingPaused = false
    /// What epoll watches for.
    var watchedEvents: Epoll.Events = []

    /// The connection is in the list of those to be flushed at the turn's end.
    var isDirty = false
    /// The connection is in the list of those to be served in the next turn.
    var isInBacklog = false

    /// When the request under way must be whole, in milliseconds; nil without one.
    var requestDeadline: Int64?
    /// The deadline is that of the body, not that of the head.
    var isBodyAwaited = false
    /// When the last request, or the last byte of output, went.
    var lastProgress: Int64 = 0
    var lingerDeadline: Int64 = 0
    var lingeredBytes = 0

    init(limits: HTTPServerLimits) {
        parser = HTTPRequestParser(limits: limits)
    }

    /// Whether the descriptor is open: until the sender has returned, it outlives the connection.
    var hasDescriptor: Bool { phase != .closed || countUnderWay > 0 }

    /// Bytes of answers that the kernel has not yet taken, as far as the loop knows.
    var pendingOutput: Int { countUnderWay + output.count - sentCount }

    /// Whether a peer that sends nothing more is as good as gone.
    var isPeerNeeded: Bool { deferred?.needsPeer ?? false }

    /// Bytes of memory that requests have taken, and of answers that a slow reader lets wait.
    var bufferedBytes: Int { parser.touchedBytes + (isBlockedBySend ? pendingOutput : 0) }

    /// The events that the connection's state asks epoll to watch for.
    var wantedEvents: Epoll.Events {
        let reads = !peerHasEnded && !isReadingPaused && phase != .closing
        return (reads ? Epoll.Events.readable : []).union(isBlockedBySend ? .writable : [])
            .union(isPeerNeeded ? .peerEnd : [])
    }

    /// Reads once into the parser's buffer.
    mutating func receive() -> Transfer {
        let descriptor = descriptor
        let count = unsafe parser.receive { free in
            unsafe recv(descriptor, free.baseAddress, free.count, 0)
        }
        return Transfer(count: count)
    }

    /// Sends what is there, once.
    mutating func send() -> Transfer {
        let (descriptor, first) = (descriptor, sentCount)
        let count = unsafe output.withUnsafeBytes { bytes in
            let pending = unsafe bytes[first...]
            return unsafe Glibc.send(
                descriptor, UnsafeRawBufferPointer(rebasing: pending).baseAddress, pending.count,
                Int32(MSG_NOSIGNAL))
        }
        if count > 0 { sentCount += count }
        return Transfer(count: count)
    }

    /// Whether the output may be sent by another thread: it is the ordinary case, in which nothing
    /// follows from the sending.
    var canHandOver: Bool {
        phase == .open && deferred == nil && !isReadingPaused && !isBlockedBySend
            && countUnderWay == 0 && sentCount == 0 && !output.isEmpty
    }

    /// Whether something follows from the sending of the output, or more of it is to be sent.
    var isOutputAwaited: Bool { pendingOutput > 0 || phase != .open || isReadingPaused }

    /// Hands the output over to be sent by another thread.
    mutating func takeOutput(slot: Int) -> AnswerSender.Parcel {
        precondition(countUnderWay == 0 && sentCount == 0)
        countUnderWay = output.count
        var parcel = AnswerSender.Parcel(slot: slot, descriptor: descriptor, bytes: [])
        swap(&parcel.bytes, &output)
        return parcel
    }

    /// Takes back what another thread has sent of the output, and the memory with it.
    mutating func putBack(_ parcel: inout AnswerSender.Parcel) {
        precondition(countUnderWay == parcel.bytes.count)
        countUnderWay = 0
        sentCount = parcel.sentCount
        swap(&parcel.bytes, &output)
        // What has been answered since.
        if !parcel.bytes.isEmpty { output.append(contentsOf: parcel.bytes) }
    }

    /// Forgets the output, all of which has been sent.
    mutating func resetOutput(retaining maximumBytes: Int) {
        sentCount = 0
        if output.capacity > maximumBytes {
            output = []
        } else {
            output.removeAll(keepingCapacity: true)
        }
    }
}

/// What the answer to a request needs to know of it.
struct Exchange {
    let id: ExchangeID
    let isHead: Bool
    let isVersion10: Bool
    let closesConnection: Bool
    /// The answer is of no use to a peer that has shut down its sending side.
    var needsPeer = false
    /// The answer's head has been sent, and its body is being sent in pieces.
    var isStreaming = false
}

extension Connection.Transfer {
    /// The result of the system call that has just returned `count`.
    init(count: Int) {
        if count > 0 {
            self = .bytes(count)
        } else if count == 0 {
            self = .ended
        } else {
            // EINTR: tried again when the socket is next reported ready, which is at once.
            self = errno == EAGAIN || errno == EINTR ? .blocked : .failed
        }
    }
}
