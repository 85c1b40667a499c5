// From bytes to answers: reading a connection and handing its requests on.

extension EventLoop {
    /// Reads a connection once and answers what is whole.
    mutating func serve(_ slot: Int) {
        switch connections[slot].phase {
        case .closed, .closing: return
        case .lingering:
            dropInput(slot)
            return
        case .open: break
        }
        if connections[slot].deferred != nil
            || connections[slot].pendingOutput > limits.maximumOutputBytes
        {
            connections[slot].isReadingPaused = true
            if connections[slot].countUnderWay > 0 { sender.awaitReturn() }
            updateWatch(slot)
            return
        }
        // What epoll reports and the turn has no room for, it reports again.
        guard requestsThisTurn < limits.maximumRequestsPerTurn else {
            if hasUnreportedWork(slot) { addToBacklog(slot) }
            return
        }
        if connections[slot].hasUnparsedInput {
            answerRequests(slot)
        } else if connections[slot].peerHasEnded {
            closeWhenSent(slot)
        } else if !mustWait(slot) {
            receive(slot)
        }
        updateWatch(slot)
    }

    /// Whether the turn has read enough of large bodies. Epoll reports it again.
    private func mustWait(_ slot: Int) -> Bool {
        largeBodyBytesThisTurn >= limits.maximumLargeBodyBytesPerTurn
            && connections[slot].parser.isInLargeBody
    }

    /// Whether there is something to do for an open connection that epoll does not report.
    func hasUnreportedWork(_ slot: Int) -> Bool {
        connections[slot].hasUnparsedInput || connections[slot].peerHasEnded
            || drainDeadline != nil && !isRequestUnderWay(slot)
    }

    private mutating func receive(_ slot: Int) {
        guard connections[slot].tls == nil else {
            receiveSecured(slot)
            return
        }
        go(on: slot, connections[slot].receive())
    }

    /// Does what follows from a read.
    mutating func go(on slot: Int, _ transfer: Connection.Transfer) {
        switch transfer {
        case .bytes(let count):
            if connections[slot].parser.isInLargeBody { largeBodyBytesThisTurn += count }
            guard recount(slot) else {
                refuse(slot, .noRoom)
                // At once, so that the next one has room.
                connections[slot].parser.discardBuffer()
                _ = recount(slot)
                return
            }
            answerRequests(slot)
        case .blocked: if drainDeadline != nil, !isRequestUnderWay(slot) { closeWhenSent(slot) }
        case .ended:
            // What is not whole by now will never be.
            connections[slot].peerHasEnded = true
            closeWhenSent(slot)
        case .failed: closeConnection(slot)
        }
    }

    /// Answers the requests that are whole, in their order, as far as the turn's limits go.
    private mutating func answerRequests(_ slot: Int) {
        connections[slot].hasUnparsedInput = false
        for _ in 0..<limits.maximumPipelinedPerTurn {
            guard requestsThisTurn < limits.maximumRequestsPerTurn,
                connections[slot].pendingOutput <= limits.maximumOutputBytes
            else { break }
            switch connections[slot].parser.next() {
            case .needMore:
                awaitInput(slot)
                return
            case .failed(let error):
                refuse(slot, error)
                return
            case .request(var request):
                request.peer = connections[slot].peer
                handOver(request, slot)
            }
            if connections[slot].phase != .open { return }
            if connections[slot].deferred != nil { break }
        }
        connections[slot].hasUnparsedInput = true
        if connections[slot].deferred == nil { addToBacklog(slot) }
    }

    private mutating func handOver(_ request: HTTPRequest, _ slot: Int) {
        requestsThisTurn += 1
        connections[slot].requestDeadline = nil
        connections[slot].isBodyAwaited = false
        connections[slot].lastProgress = now
        connections[slot].exchangeCount += 1
        let id = ExchangeID(
            slot: slot, connection: connections[slot].number,
            number: connections[slot].exchangeCount)
        var exchange = Exchange(
            id: id, isHead: request.isHead, isVersion10: request.isVersion10,
            closesConnection: request.closesConnection)
        switch application.respond(to: request, exchange: id) {
        case .answer(let response):
            requestsThisTurn += response.requestCount - 1
            requestsThisTurn += response.body.count / limits.bytesPerRequest
            answer(slot, response, exchange)
        case .deferred: connections[slot].deferred = exchange
        case .deferredWhilePresent:
            exchange.needsPeer = true
            connections[slot].deferred = exchange
        }
    }

    mutating func answer(_ slot: Int, _ response: HTTPResponse, _ exchange: Exchange) {
        let framing = framing(slot, response, exchange)
        appendOutput(slot) { output in response.append(to: &output, framing: framing) }
        if framing.closesConnection { connections[slot].phase = .closing }
    }

    func framing(
        _ slot: Int, _ response: HTTPResponse, _ exchange: Exchange
    ) -> HTTPResponse.Framing {
        var framing = HTTPResponse.Framing()
        framing.dateLine = date.line
        framing.omitsBody = exchange.isHead
        framing.closesConnection =
            exchange.closesConnection || response.closesConnection
            || drainDeadline != nil && !connections[slot].parser.hasBufferedBytes
        return framing
    }

    mutating func appendOutput(_ slot: Int, _ write: (inout [UInt8]) -> Void) {
        if connections[slot].pendingOutput == 0 { connections[slot].lastProgress = now }
        let start = connections[slot].output.count
        write(&connections[slot].output)
        if connections[slot].tls != nil { connections[slot].seal(from: start) }
        markDirty(slot)
    }

    mutating func refuse(_ slot: Int, _ error: HTTPRequestError) {
        let response = application.answer(toMalformed: error)
        var framing = HTTPResponse.Framing()
        framing.dateLine = date.line
        framing.closesConnection = true
        appendOutput(slot) { output in response.append(to: &output, framing: framing) }
        connections[slot].phase = .closing
    }

    /// The parser has all that came, and needs more.
    private mutating func awaitInput(_ slot: Int) {
        guard !connections[slot].peerHasEnded else {
            closeWhenSent(slot)
            return
        }
        if connections[slot].parser.takeContinueExpectation() {
            appendOutput(slot) { output in output.append("HTTP/1.1 100 Continue\r\n\r\n") }
        }
        connections[slot].parser.releaseLargeBuffer()
        _ = recount(slot)
        watchDeadline(slot)
        if drainDeadline != nil, !isRequestUnderWay(slot) { addToBacklog(slot) }
    }

    /// Whether a request has begun to arrive.
    func isRequestUnderWay(_ slot: Int) -> Bool {
        connections[slot].parser.hasBufferedBytes || connections[slot].parser.isInBody
    }

    mutating func closeWhenSent(_ slot: Int) {
        if connections[slot].pendingOutput == 0 {
            closeConnection(slot)
        } else {
            connections[slot].phase = .closing
            if connections[slot].countUnderWay > 0 { sender.awaitReturn() }
        }
    }
}
