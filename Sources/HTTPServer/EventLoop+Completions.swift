// Answers that come later than their requests, whole or streamed, through `HTTPCompletions`.

extension EventLoop {
    /// Takes what other threads have sent, and goes on with what waited for it.
    mutating func deliverCompletions() {
        for completion in completions.takeAll() {
            let slot = completion.exchange.slot
            guard slot < connections.count, let exchange = connections[slot].deferred,
                exchange.id == completion.exchange
            else { continue }
            deliver(completion.part, slot, exchange)
        }
    }

    private mutating func deliver(_ part: Completion.Part, _ slot: Int, _ exchange: Exchange) {
        switch (part, exchange.isStreaming) {
        case (.whole(let response), false):
            connections[slot].deferred = nil
            answer(slot, response, exchange)
            resumeReading(slot)
        case (.streamHead(let response), false):
            beginStream(slot, response, exchange)
        case (.streamPiece(let piece), true):
            appendPiece(slot, piece, exchange)
        case (.streamEnd, true):
            endStream(slot, exchange)
        case (.streamCut, true):
            connections[slot].deferred = nil
            closeConnection(slot)
        case (.whole, true), (.streamHead, true), (.streamPiece, false), (.streamEnd, false),
            (.streamCut, false):
            return
        }
    }

    private mutating func beginStream(
        _ slot: Int, _ response: HTTPResponse, _ exchange: Exchange
    ) {
        var framing = framing(slot, response, exchange)
        framing.isChunked = !exchange.isVersion10
        appendOutput(slot) { output in response.appendStreamHead(to: &output, framing: framing) }
        let stream = Exchange(
            id: exchange.id, isHead: exchange.isHead, isVersion10: exchange.isVersion10,
            closesConnection: framing.closesConnection, needsPeer: exchange.needsPeer,
            isStreaming: true)
        connections[slot].deferred = stream
        if !exchange.isHead { appendPiece(slot, response.body, stream) }
        if exchange.isHead || drainDeadline != nil { endStream(slot, stream) }
    }

    private mutating func appendPiece(_ slot: Int, _ piece: [UInt8], _ exchange: Exchange) {
        // An empty chunk would be the last.
        guard !piece.isEmpty else { return }
        guard connections[slot].pendingOutput <= limits.maximumOutputBytes else {
            closeConnection(slot)
            return
        }
        appendOutput(slot) { output in
            if exchange.isVersion10 {
                output.append(contentsOf: piece)
            } else {
                output.append(contentsOf: String(piece.count, radix: 16).utf8)
                output.append("\r\n")
                output.append(contentsOf: piece)
                output.append("\r\n")
            }
        }
    }

    private mutating func endStream(_ slot: Int, _ exchange: Exchange) {
        // Its last piece may have been one too many.
        guard connections[slot].deferred?.id == exchange.id else { return }
        if !exchange.isVersion10, !exchange.isHead {
            appendOutput(slot) { output in output.append("0\r\n\r\n") }
        }
        connections[slot].deferred = nil
        if exchange.closesConnection {
            connections[slot].phase = .closing
            markDirty(slot)
        }
        resumeReading(slot)
    }

    /// Ends all streams: the server stops, and they would not end by themselves.
    mutating func endStreams() {
        for slot in connections.indices {
            guard let exchange = connections[slot].deferred, exchange.isStreaming else { continue }
            endStream(slot, exchange)
            application.exchangeAbandoned(exchange.id)
        }
    }

    /// Goes on reading a connection whose deferred answer, or whose output, was waited for.
    mutating func resumeReading(_ slot: Int) {
        guard connections[slot].phase == .open else { return }
        connections[slot].isReadingPaused = false
        updateWatch(slot)
        if hasUnreportedWork(slot) { addToBacklog(slot) }
    }
}
