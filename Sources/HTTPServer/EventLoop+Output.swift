// What a turn has to send, at its end: by the loop itself, or by the sender.

extension EventLoop {
    /// Takes back what the sender has done with.
    mutating func takeBackParcels() {
        // Out of the loop's state for the while, so that each can be changed beside it.
        var parcels: [AnswerSender.Parcel] = []
        swap(&parcels, &returnedParcels)
        sender.takeReturned(into: &parcels)
        for index in parcels.indices { takeBack(&parcels[index]) }
        parcels.removeAll(keepingCapacity: true)
        swap(&parcels, &returnedParcels)
    }

    private mutating func takeBack(_ parcel: inout AnswerSender.Parcel) {
        let slot = parcel.slot
        guard connections[slot].phase != .closed else {
            closeReturned(slot)
            return
        }
        if parcel.sentCount > 0 { connections[slot].lastProgress = now }
        connections[slot].putBack(&parcel)
        if parcel.hasFailed {
            closeConnection(slot)
        } else if connections[slot].isOutputAwaited {
            markDirty(slot)
        } else {
            connections[slot].resetOutput(retaining: limits.maximumRetainedBufferBytes)
        }
    }

    /// Sends the turn's answers, or hands them over to be sent.
    mutating func flush() {
        let isHandingOver = dirtySlots.count >= limits.minimumAnswersHandedOver
        for slot in dirtySlots {
            connections[slot].isDirty = false
            if connections[slot].phase == .closed { continue }
            if isHandingOver, connections[slot].canHandOver {
                connections[slot].lastProgress = now
                parcels.append(connections[slot].takeOutput(slot: slot))
            } else {
                flush(slot)
            }
        }
        dirtySlots.removeAll(keepingCapacity: true)
        if !parcels.isEmpty { sender.send(&parcels) }
    }

    private mutating func flush(_ slot: Int) {
        guard connections[slot].countUnderWay == 0 else {
            sender.awaitReturn()
            return
        }
        if connections[slot].pendingOutput > 0 {
            switch connections[slot].send() {
            case .bytes: connections[slot].lastProgress = now
            case .blocked, .ended: break
            case .failed:
                closeConnection(slot)
                return
            }
        }
        connections[slot].isBlockedBySend = connections[slot].pendingOutput > 0
        guard recount(slot) || !connections[slot].isBlockedBySend else {
            closeConnection(slot)
            return
        }
        if !connections[slot].isBlockedBySend {
            connections[slot].resetOutput(retaining: limits.maximumRetainedBufferBytes)
            if let exchange = connections[slot].deferred, exchange.isStreaming {
                application.streamDrained(exchange.id)
            }
            if connections[slot].phase == .closing {
                linger(slot)
                return
            }
        }
        if connections[slot].isReadingPaused, connections[slot].deferred == nil,
            connections[slot].pendingOutput <= limits.maximumOutputBytes
        {
            resumeReading(slot)
        }
        updateWatch(slot)
    }
}
