// TLS as a layer of a connection: what is received passes through it before the parser, what is
// answered before the output. Where output goes, when and by whom is the same with and without it.

import Glibc
import TLS

extension EventLoop {
    mutating func beginTLS(_ slot: Int, _ context: TLSServerContext) {
        guard let session = context.session() else {
            // No memory is left for a session: as if the peer had not been accepted.
            closeConnection(slot)
            return
        }
        connections[slot].tls = session
        connections[slot].requestDeadline = now + limits.handshakeTimeout.milliseconds
    }

    /// Reads a connection once, and goes on with its handshake or its requests.
    mutating func receiveSecured(_ slot: Int) {
        let wasSecuring = connections[slot].isSecuring
        if wasSecuring {
            // What epoll reports and the turn has no room for, it reports again.
            guard handshakesThisTurn < limits.maximumHandshakesPerTurn else { return }
            handshakesThisTurn += 1
        }
        let transfer = connections[slot].receiveSecured()
        if connections[slot].pendingOutput > 0 { markDirty(slot) }
        if wasSecuring, !connections[slot].isSecuring {
            connections[slot].requestDeadline = nil
            connections[slot].lastProgress = now
            connections[slot].peer.certificateName = connections[slot].tls?.peerName
        }
        switch (transfer, connections[slot].tls?.failure) {
        case (.failed, .plainHTTP):
            connections[slot].tls = nil
            refuse(slot, .plainHTTP)
        case (.failed, _):
            // The alert that says why is sent first.
            closeWhenSent(slot)
        default: go(on: slot, transfer)
        }
    }
}

extension Connection {
    /// Bytes received at a time, at least those of the largest record (RFC 8446, section 5.2).
    private static let receivedBytes = 32 << 10

    /// Whether a handshake is under way.
    var isSecuring: Bool { tls.map { !$0.isEstablished } ?? false }

    /// Reads once, into the session and from there into the parser's buffer. What is to be sent for
    /// it is in `output` afterwards.
    mutating func receiveSecured() -> Transfer {
        guard let tls else { return .failed }
        let descriptor = descriptor
        let transfer = unsafe withUnsafeTemporaryAllocation(
            byteCount: Self.receivedBytes, alignment: 16
        ) { free in
            let count = unsafe recv(descriptor, free.baseAddress, free.count, 0)
            if count > 0 {
                unsafe tls.receive(UnsafeRawBufferPointer(rebasing: free[..<count]))
            }
            return Transfer(count: count)
        }
        guard case .bytes = transfer else { return transfer }
        var total = 0
        while true {
            let count = unsafe parser.receive { free in unsafe tls.read(into: free) }
            guard count > 0 else { break }
            total += count
        }
        tls.takeOutput(into: &output)
        if tls.failure != nil { return .failed }
        peerHasEnded = tls.hasPeerEnded
        return .bytes(total)
    }

    /// Puts what the socket is to send in the place of what was appended to `output` from `start`.
    mutating func seal(from start: Int) {
        tls?.seal(&output, from: start)
    }

    /// Tells the peer that nothing more comes, where all before it has been sent and the socket
    /// takes it at once; what comes from the peer is then dropped unread.
    mutating func endTLS() {
        guard let tls else { return }
        self.tls = nil
        guard pendingOutput == 0 else { return }
        resetOutput(retaining: output.capacity)
        tls.end(into: &output)
        if !output.isEmpty { _ = send() }
        resetOutput(retaining: output.capacity)
    }
}
