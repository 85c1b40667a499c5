// The life of connections: accepting, watching, time limits, closing, and the drain before the end.

import CEpoll
import Glibc

extension EventLoop {
    /// Takes new connections from the kernel's queue.
    mutating func acceptIfPending() throws(HTTPServerError) {
        guard isAcceptPending, let listener else { return }
        isAcceptPending = false
        for _ in 0..<limits.maximumAcceptsPerTurn {
            guard openCount < limits.maximumConnections else {
                try setAccepting(false)
                return
            }
            var address = cepoll_address()
            let descriptor = unsafe cepoll_accept(listener.descriptor, &address)
            if descriptor >= 0 {
                open(descriptor, PeerAddress(address))
                continue
            }
            switch errno {
            case EAGAIN:
                try setAccepting(true)
                return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // No descriptor is free: the queue would be reported ready without end. It is
                // looked at again when a connection closes, and at each sweep.
                try setAccepting(false)
                return
            default: continue  // That connection has already failed: accept(2), "Error handling".
            }
        }
        try setAccepting(true)
    }

    private mutating func open(_ descriptor: Int32, _ address: PeerAddress) {
        guard openCounts[address.network, default: 0] < limits.maximumConnectionsPerAddress else {
            close(descriptor)
            return
        }
        var yes: Int32 = 1
        unsafe setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes,
            socklen_t(MemoryLayout<Int32>.size))
        let slot = takeSlot()
        do throws(HTTPServerError) {
            try epoll.add(descriptor, token: UInt64(slot))
        } catch {
            // The kernel is out of memory or watches: as if the peer had not been accepted.
            close(descriptor)
            freeSlots.append(slot)
            return
        }
        openCount += 1
        openCounts[address.network, default: 0] += 1
        connectionCount += 1
        connections[slot].phase = .open
        connections[slot].descriptor = descriptor
        connections[slot].number = connectionCount
        connections[slot].watchedEvents = .readable
        connections[slot].lastProgress = now
        connections[slot].peer.address = address
        if let tls { beginTLS(slot, tls) }
    }

    private mutating func takeSlot() -> Int {
        if let slot = freeSlots.popLast() { return slot }
        connections.append(Connection(limits: limits))
        return connections.count - 1
    }

    /// Counts anew what a connection holds; false where it holds more than before, and all of them
    /// together more than they may.
    mutating func recount(_ slot: Int) -> Bool {
        let growth = connections[slot].bufferedBytes - connections[slot].heldBytes
        guard growth != 0 else { return true }
        connections[slot].heldBytes += growth
        heldBytes += growth
        return growth < 0 || heldBytes <= limits.maximumHeldBytes
    }

    /// Makes epoll watch for what the connection waits for, where that has changed.
    mutating func updateWatch(_ slot: Int) {
        let wanted = connections[slot].wantedEvents
        guard connections[slot].phase != .closed, wanted != connections[slot].watchedEvents
        else { return }
        connections[slot].watchedEvents = wanted
        do throws(HTTPServerError) {
            try epoll.modify(
                connections[slot].descriptor, events: wanted, token: UInt64(slot))
        } catch {
            // Not to be watched is not to be served: the kernel is out of memory.
            closeConnection(slot)
        }
    }

    mutating func closeConnection(_ slot: Int) {
        guard connections[slot].phase != .closed else { return }
        connections[slot].endTLS()
        let closed = connections[slot]
        connections[slot] = Connection(limits: limits)
        heldBytes -= closed.heldBytes
        uncount(closed.peer.address)
        // The lists still name the slot.
        connections[slot].isDirty = closed.isDirty
        connections[slot].isInBacklog = closed.isInBacklog
        openCount -= 1
        isAcceptPending = isAcceptPending || !isAccepting
        if closed.countUnderWay > 0 {
            // The descriptor's number must not name another connection while the sender uses it.
            shutdown(closed.descriptor, Int32(SHUT_RDWR))
            epoll.remove(closed.descriptor)
            connections[slot].descriptor = closed.descriptor
            connections[slot].countUnderWay = closed.countUnderWay
            sender.awaitReturn()
        } else {
            close(closed.descriptor)
            freeSlots.append(slot)
        }
        if let deferred = closed.deferred { application.exchangeAbandoned(deferred.id) }
    }

    private mutating func uncount(_ address: PeerAddress) {
        guard let index = openCounts.index(forKey: address.network) else {
            preconditionFailure("an open connection is counted")
        }
        if openCounts.values[index] == 1 {
            openCounts.remove(at: index)
        } else {
            openCounts.values[index] -= 1
        }
    }

    /// Closes the descriptor of a connection that was closed while the sender had its output.
    mutating func closeReturned(_ slot: Int) {
        precondition(connections[slot].countUnderWay > 0)
        close(connections[slot].descriptor)
        connections[slot].descriptor = -1
        connections[slot].countUnderWay = 0
        freeSlots.append(slot)
    }

    /// Ends the sending side after the last answer, and goes on reading for a while: closing a
    /// socket with unread bytes resets the connection, and the peer might lose the answer.
    mutating func linger(_ slot: Int) {
        connections[slot].endTLS()
        guard !connections[slot].peerHasEnded,
            shutdown(connections[slot].descriptor, Int32(SHUT_WR)) == 0
        else {
            closeConnection(slot)
            return
        }
        connections[slot].phase = .lingering
        connections[slot].isReadingPaused = false
        connections[slot].lingerDeadline = now + limits.lingerTimeout.milliseconds
        connections[slot].parser.discardBuffer()
        _ = recount(slot)
        updateWatch(slot)
    }

    /// Reads and drops what comes on a lingering connection.
    mutating func dropInput(_ slot: Int) {
        switch connections[slot].receive() {
        case .bytes(let count):
            connections[slot].parser.discardBuffer()
            connections[slot].lingeredBytes += count
            if connections[slot].lingeredBytes > limits.maximumLingerBytes {
                closeConnection(slot)
            }
        case .blocked: break
        case .ended, .failed: closeConnection(slot)
        }
    }

    /// Sets the time at which the request under way must be whole: once when its first byte is
    /// there and once when its head is. Further bytes extend nothing.
    mutating func watchDeadline(_ slot: Int) {
        let isInBody = connections[slot].parser.isInBody
        guard connections[slot].parser.hasBufferedBytes || isInBody else { return }
        let isNewPart = isInBody && !connections[slot].isBodyAwaited
        guard connections[slot].requestDeadline == nil || isNewPart else { return }
        connections[slot].isBodyAwaited = isInBody
        let time = isInBody ? limits.bodyTimeout : limits.headTimeout
        connections[slot].requestDeadline = now + time.milliseconds
        if drainDeadline != nil { hasten(slot) }
    }

    /// Gives the request under way the time that a stop leaves it.
    private mutating func hasten(_ slot: Int) {
        guard let deadline = connections[slot].requestDeadline else { return }
        let drainTime = now + limits.drainReceiveTimeout.milliseconds
        connections[slot].requestDeadline = min(deadline, drainTime)
    }

    /// Looks at every connection's time limits, once in each sweep interval. Where many are over at
    /// once, each turn ends some of them, and the next comes at once.
    mutating func sweepIfDue() {
        guard now >= nextSweep else { return }
        let openBefore = openCount
        var refused = 0
        while nextSwept < connections.count {
            guard openBefore - openCount + refused < limits.maximumTimeoutsPerTurn else { return }
            let isOpen = connections[nextSwept].phase == .open
            sweep(nextSwept)
            if isOpen, connections[nextSwept].phase == .closing { refused += 1 }
            nextSwept += 1
        }
        nextSwept = 0
        nextSweep = now + limits.sweepInterval.milliseconds
        isAcceptPending = isAcceptPending || !isAccepting
    }

    private mutating func sweep(_ slot: Int) {
        let phase = connections[slot].phase
        let quietTime = now - connections[slot].lastProgress
        if phase == .lingering {
            if now >= connections[slot].lingerDeadline { closeConnection(slot) }
        } else if phase == .closed {
            return
        } else if connections[slot].pendingOutput > 0 {
            if quietTime >= limits.sendTimeout.milliseconds { closeConnection(slot) }
        } else if connections[slot].deferred != nil || connections[slot].hasUnparsedInput {
            return
        } else if let deadline = connections[slot].requestDeadline {
            guard now >= deadline else { return }
            if connections[slot].isSecuring {
                closeConnection(slot)
            } else {
                refuse(slot, drainDeadline == nil ? .timeout : .stopping)
            }
        } else if quietTime >= limits.idleTimeout.milliseconds {
            closeConnection(slot)
        }
    }
}

// The drain: after a stop has been asked for.
extension EventLoop {
    var isDrained: Bool {
        guard let drainDeadline else { return false }
        return openCount == 0 || now >= drainDeadline
    }

    /// Begins the drain: closes the listener after a last look at the kernel's queue, ends the
    /// streams, and lets every connection be read once more.
    mutating func beginDrainIfRequested() {
        guard wakeUp.isStopRequested, drainDeadline == nil else { return }
        acceptLast()
        listener = nil
        drainDeadline = now + limits.drainTimeout.milliseconds
        endStreams()
        application.drainBegan()
        for slot in connections.indices where connections[slot].phase == .open {
            hasten(slot)
            addToBacklog(slot)
        }
    }

    /// Refuses what is not done at the drain's end: requests that are not whole, or whose answers
    /// have not come.
    mutating func endDrainIfDue() {
        guard let drainDeadline, now >= drainDeadline else { return }
        for slot in connections.indices where connections[slot].phase == .open {
            let deferred = connections[slot].deferred
            if deferred?.isStreaming == true { continue }
            connections[slot].deferred = nil
            if let deferred { application.exchangeAbandoned(deferred.id) }
            if deferred != nil || isRequestUnderWay(slot) { refuse(slot, .stopping) }
        }
    }

    /// Takes the connections whose peers were told that they are connected.
    private mutating func acceptLast() {
        guard let listener else { return }
        while openCount < limits.maximumConnections {
            var address = cepoll_address()
            let descriptor = unsafe cepoll_accept(listener.descriptor, &address)
            if descriptor < 0 { return }
            open(descriptor, PeerAddress(address))
        }
    }
}
