import Synchronization

/// Takes the answers to deferred exchanges from any thread and hands them to the server's loop.
public struct HTTPCompletions: Sendable {
    let queue: CompletionQueue

    /// Answers a deferred exchange. What is sent for an exchange that has been answered, or whose
    /// peer has gone, is ignored.
    public func send(_ response: HTTPResponse, for exchange: ExchangeID) {
        queue.append(Completion(exchange: exchange, part: .whole(response)))
    }

    /// Begins a streamed answer: the head goes out, and the body comes in pieces, in chunks where
    /// the peer speaks HTTP/1.1. The response's own body is the first piece. A HEAD request is
    /// thereby answered. A peer that reads so slowly that more than
    /// `HTTPServerLimits.maximumOutputBytes` wait for it is cut off; the application hears of it
    /// through `HTTPApplication.exchangeAbandoned`, as of every peer that goes.
    public func beginStream(_ response: HTTPResponse, for exchange: ExchangeID) {
        queue.append(Completion(exchange: exchange, part: .streamHead(response)))
    }

    /// Sends a piece of a streamed answer.
    public func write(_ piece: [UInt8], for exchange: ExchangeID) {
        queue.append(Completion(exchange: exchange, part: .streamPiece(piece)))
    }

    /// Ends a streamed answer. The server itself ends all streams when it is stopped.
    public func endStream(for exchange: ExchangeID) {
        queue.append(Completion(exchange: exchange, part: .streamEnd))
    }

    /// Breaks a streamed answer off: the connection is closed, whatever of it has not been sent.
    /// The application hears no more of it.
    public func cutStream(for exchange: ExchangeID) {
        queue.append(Completion(exchange: exchange, part: .streamCut))
    }

    /// Asks for a turn of the loop, though no peer may have sent anything.
    public func requestTurn() {
        queue.wakeUp.signal()
    }
}

/// An answer, or a part of a streamed one, on its way to the loop.
struct Completion: Sendable {
    enum Part: Sendable {
        case whole(HTTPResponse)
        case streamHead(HTTPResponse)
        case streamPiece([UInt8])
        case streamEnd
        case streamCut
    }

    let exchange: ExchangeID
    let part: Part
}

/// The answers that the loop has not yet taken.
final class CompletionQueue: Sendable {
    private struct State {
        var waiting: [Completion] = []
        var isClosed = false
    }

    let wakeUp: WakeUp
    private let state = Mutex(State())

    init(wakeUp: WakeUp) {
        self.wakeUp = wakeUp
    }

    func append(_ completion: Completion) {
        let isFirst = state.withLock { state in
            guard !state.isClosed else { return false }
            state.waiting.append(completion)
            return state.waiting.count == 1
        }
        if isFirst { wakeUp.signal() }
    }

    func takeAll() -> [Completion] {
        state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Drops what waits and what will come: there is no loop any more.
    func close() {
        state.withLock { state in
            state = State(isClosed: true)
        }
    }
}
