// The loop that owns the sockets: one thread, level-triggered epoll(7).
//
// A turn reads every socket that is ready, hands every whole request to the application, lets the
// application end the turn (where it makes the turn's decisions durable, all with one commit), and
// only then sends the answers, with one write for each connection. While the disk syncs, the next
// turn's requests gather in the kernel's socket buffers: the batch is as large as the load, and it
// takes no queue, lock or timer to form it. Where a turn has several answers, a second thread makes
// those writes while the loop reads on (`AnswerSender`).
//
// The loop's state is a struct that lives on the stack of `HTTPServer.run()`: connections are
// changed in place in an array, without the checks and the reference counts of class instances.

import Glibc
import TLS

struct EventLoop: ~Copyable {
    /// What an event's number means: a connection's slot, or one of these.
    private static let listenerToken = UInt64.max
    private static let wakeUpToken = UInt64.max - 1

    let application: any HTTPApplication
    let limits: HTTPServerLimits
    /// Nil where TLS is not spoken.
    let tls: TLSServerContext?
    let completions: CompletionQueue
    let wakeUp: WakeUp
    /// Nil from the beginning of the drain.
    var listener: ListeningSocket?
    var epoll: Epoll

    var connections: [Connection] = []
    var freeSlots: [Int] = []
    var openCount = 0
    /// Connections ever accepted.
    var connectionCount: UInt64 = 0
    /// Connections open now, by network.
    var openCounts: [PeerAddress: Int] = [:]
    /// Bytes that all connections hold (`Connection.heldBytes`).
    var heldBytes = 0

    /// Slots with bytes to send at the turn's end.
    var dirtySlots: [Int] = []
    let sender: AnswerSender
    /// What this turn hands over to it.
    var parcels: [AnswerSender.Parcel] = []
    /// Memory for those that come back.
    var returnedParcels: [AnswerSender.Parcel] = []
    /// Slots with work left for the next turn that epoll will not report.
    var backlog: [Int] = []
    var requestsThisTurn = 0
    /// Bytes read of large bodies in this turn.
    var largeBodyBytesThisTurn = 0
    var handshakesThisTurn = 0

    /// Whether the listener is watched; not while there are too many connections or descriptors.
    var isAccepting = false
    /// The listener was reported ready.
    var isAcceptPending = false
    var drainDeadline: Int64?

    /// CLOCK_MONOTONIC at the turn's beginning, in milliseconds.
    var now: Int64 = 0
    var nextSweep: Int64 = 0
    /// The slot that the sweep under way looks at next.
    var nextSwept = 0
    var date = HTTPDate()

    init(
        application: any HTTPApplication, limits: HTTPServerLimits, tls: TLSServerContext?,
        listener: ListeningSocket, completions: CompletionQueue
    ) throws(HTTPServerError) {
        let epoll = try Epoll()
        try epoll.add(completions.wakeUp.descriptor, token: Self.wakeUpToken)
        try epoll.add(listener.descriptor, token: Self.listenerToken)
        self.epoll = epoll
        isAccepting = true
        self.application = application
        self.limits = limits
        self.tls = tls
        self.listener = listener
        self.completions = completions
        wakeUp = completions.wakeUp
        sender = AnswerSender(wakeUp: completions.wakeUp)
    }

    deinit {
        completions.close()
        sender.finish()
        for connection in connections where connection.hasDescriptor {
            close(connection.descriptor)
        }
    }

    /// Turns until a stop has been asked for and all connections are gone or the time to drain is
    /// over.
    mutating func run() throws {
        updateClock()
        nextSweep = now + limits.sweepInterval.milliseconds
        while !isDrained {
            try turn()
        }
    }

    private mutating func turn() throws {
        let readyCount = try epoll.wait(timeout: waitingTime)
        updateClock()
        application.beginTurn()
        requestsThisTurn = 0
        largeBodyBytesThisTurn = 0
        handshakesThisTurn = 0
        takeBackParcels()
        serveBacklog()
        for index in 0..<readyCount {
            let (token, events) = epoll.event(index)
            handle(token, events)
        }
        sweepIfDue()
        beginDrainIfRequested()
        endDrainIfDue()
        try application.endTurn()
        flush()
        try application.turnSent()
        try acceptIfPending()
    }

    /// Milliseconds until something is to be done without an event.
    private var waitingTime: Int64 {
        guard backlog.isEmpty else { return 0 }
        let wait = max(0, min(nextSweep, drainDeadline ?? .max) - now)
        guard let asked = application.timeToNextTurn else { return wait }
        return min(wait, max(0, asked.milliseconds))
    }

    private mutating func updateClock() {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        now = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        date.update()
    }

    private mutating func handle(_ token: UInt64, _ events: Epoll.Events) {
        switch token {
        case Self.listenerToken:
            isAcceptPending = true
        case Self.wakeUpToken:
            wakeUp.reset()
            deliverCompletions()
        default:
            handle(events, slot: Int(token))
        }
    }

    private mutating func handle(_ events: Epoll.Events, slot: Int) {
        // The connection may have been closed earlier in this turn.
        guard connections[slot].phase != .closed else { return }
        if events.contains(.error)
            || events.contains(.peerEnd) && connections[slot].isPeerNeeded
        {
            closeConnection(slot)
            return
        }
        if events.contains(.writable) { markDirty(slot) }
        if events.contains(.readable) {
            serve(slot)
        } else if events.contains(.hangUp) {
            closeConnection(slot)
        }
    }

    private mutating func serveBacklog() {
        guard !backlog.isEmpty else { return }
        let slots = backlog
        backlog.removeAll(keepingCapacity: true)
        for slot in slots {
            connections[slot].isInBacklog = false
            if connections[slot].phase != .closed { serve(slot) }
        }
    }

    mutating func markDirty(_ slot: Int) {
        guard !connections[slot].isDirty else { return }
        connections[slot].isDirty = true
        dirtySlots.append(slot)
    }

    mutating func addToBacklog(_ slot: Int) {
        guard !connections[slot].isInBacklog else { return }
        connections[slot].isInBacklog = true
        backlog.append(slot)
    }

    /// Lets the listener be reported, or not.
    mutating func setAccepting(_ accepts: Bool) throws(HTTPServerError) {
        guard let listener, accepts != isAccepting else { return }
        isAccepting = accepts
        try epoll.modify(
            listener.descriptor, events: accepts ? .readable : [], token: Self.listenerToken)
    }
}
