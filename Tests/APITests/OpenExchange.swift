// Requests that are answered turns later, or for as long as a test likes.

import Testing

@testable import API
@testable import HTTPServer

/// What has come for one of them.
struct OpenExchange {
    /// The answer; of a stream its head.
    var answer: Answer?

    /// Pieces of a stream, as they came.
    var pieces: [[UInt8]] = []
    var isStream = false
    var hasEnded = false
    var isCut = false

    var text: String { String(decoding: pieces.flatMap(\.self), as: UTF8.self) }
}

extension Harness {
    /// One turn with a request that is not answered in it.
    func open(
        _ method: String, _ target: String, _ body: String? = nil,
        headers: [(String, String)] = []
    ) throws -> ExchangeID {
        let message = Message(method, target, headers: headers, body: body)
        let exchange = nextExchange()
        api.beginTurn()
        let outcome = api.respond(to: try message.request(), exchange: exchange)
        guard case .deferredWhilePresent = outcome else {
            if case .answer(let response) = outcome {
                let answer = try Answer(response, isHead: message.isHead)
                Issue.record("answered at once: \(answer.status) \(answer.body)")
            }
            throw HarnessFailure.unexpectedCompletion
        }
        openExchanges[exchange] = OpenExchange()
        try api.endTurn()
        try api.turnSent()
        try takeOpen()
        return exchange
    }

    /// The peer of an open exchange goes.
    func abandon(_ exchange: ExchangeID) {
        openExchanges[exchange] = nil
        leftStreams.insert(exchange)
        api.exchangeAbandoned(exchange)
    }

    /// Notes what has come, and says whether it is for an exchange that was left open, or for a
    /// stream whose peer has gone.
    func isOfOpenExchange(_ completion: Completion) throws -> Bool {
        guard var open = openExchanges[completion.exchange] else {
            return leftStreams.contains(completion.exchange)
        }
        #expect(open.isStream || open.answer == nil, "a second answer")
        #expect(!open.hasEnded && !open.isCut, "something after the end")
        switch completion.part {
        case .whole(let response): open.answer = try Answer(response, isHead: false)
        case .streamHead(let response):
            open.answer = try Answer(response, isHead: true)
            open.isStream = true
        case .streamPiece(let piece):
            #expect(open.isStream, "a piece before the head")
            open.pieces.append(piece)
        case .streamEnd: open.hasEnded = true
        case .streamCut: open.isCut = true
        }
        openExchanges[completion.exchange] = open
        return true
    }

    private func takeOpen() throws {
        for completion in takeCompletions() where try !isOfOpenExchange(completion) {
            throw HarnessFailure.unexpectedCompletion
        }
    }

    /// Takes turns until a condition holds, for half a minute at the most.
    func turns(until condition: () throws -> Bool) throws {
        try takeOpen()
        while try !condition() {
            for completion in try nextCompletions() where try !isOfOpenExchange(completion) {
                throw HarnessFailure.unexpectedCompletion
            }
        }
    }

    /// The answer to an exchange that was left open; nil where it waits on.
    func answer(to exchange: ExchangeID) throws -> Answer? {
        try takeOpen()
        return openExchanges[exchange]?.answer
    }
}
