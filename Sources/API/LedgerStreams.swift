// Streams of ledger entries, on the history thread.
//
// A stream is a place in the ledger and a filter, and the ledger is its buffer: what comes next is
// read once the reader has taken most of what came before. So a slow reader costs what is on its
// way to it and no more; it falls behind and holds nobody up, least of all a commit. Nothing is
// sent twice or left out, since a stream goes from sequence to sequence, through the past by pages
// as through what was committed just now.
//
// Streams that have caught up are served together: new entries are read and rendered once for all
// of them (`StreamTail`).

import HTTPServer
import Ledger
import PageAllocator

/// What a stream is to tell of.
struct StreamRequest: Sendable {
    /// Which entries, and after which sequence. Its machines are left open where `machineName` is
    /// set.
    var query: HistoryQuery

    /// Entries of all machines that ever had, or come to have, this name.
    var machineName: String?

    /// Of the request that asked for the stream.
    let requestID: String
}

/// The streams that the thread serves. It is used on the thread alone.
final class LedgerStreams {
    private struct Stream {
        let exchange: ExchangeID
        var request: StreamRequest

        /// The last sequence that was looked at.
        var position: Sequence
        var nextComment: ContinuousClock.Instant
        var nextBookmark: ContinuousClock.Instant

        /// Since when nothing can be added to what is on its way.
        var blockedSince: ContinuousClock.Instant?
    }

    /// What a stretch of the ledger had for a stream.
    private struct Finding {
        var events: [UInt8] = []
        var position: Sequence
    }

    private let mailbox: HistoryThread.Mailbox
    private let completions: HTTPCompletions
    private let limits: StreamLimits
    private let clock = ContinuousClock()
    private var streams: [Stream] = []
    private var tail = StreamTail()
    private var names = MachineNames()

    /// The last entry that may be told of.
    private var committed = Sequence.zero

    init(
        _ mailbox: HistoryThread.Mailbox, _ completions: HTTPCompletions, _ limits: StreamLimits
    ) {
        self.mailbox = mailbox
        self.completions = completions
        self.limits = limits
    }

    /// Whether a stream can go on now.
    var haveWork: Bool {
        streams.contains { $0.blockedSince == nil && $0.position < committed }
    }

    /// How long until something is to be done though nothing happens; nil without streams.
    var timeToNextBeat: Duration? {
        let times = streams.map { stream in
            stream.blockedSince.map { $0.advanced(by: limits.patience) }
                ?? min(stream.nextComment, stream.nextBookmark)
        }
        return times.min().map { max(.zero, clock.now.duration(to: $0)) }
    }

    /// Takes the streams that have come, and how far the ledger is.
    func take(_ news: HistoryThread.StreamNews) {
        committed = max(committed, news.committed)
        names.note(news.names)
        let now = clock.now
        for (exchange, request) in news.opened {
            streams.append(
                Stream(
                    exchange: exchange, request: request,
                    position: request.query.after ?? .zero,
                    nextComment: now.advanced(by: limits.commentInterval),
                    nextBookmark: now.advanced(by: limits.bookmarkInterval)))
        }
    }

    /// Takes each stream on by one stretch of the ledger.
    func step(in reader: HistoryReader) {
        guard !streams.isEmpty else { return }
        let now = clock.now
        do throws(LedgerFailure) {
            try followTail(in: reader)
        } catch {
            for stream in streams { fail(stream, error) }
            streams = []
            return
        }
        streams = streams.compactMap { stream in
            var stream = stream
            return goOn(&stream, now, in: reader) ? stream : nil
        }
    }

    /// - Returns: whether the stream goes on.
    private func goOn(
        _ stream: inout Stream, _ now: ContinuousClock.Instant, in reader: HistoryReader
    ) -> Bool {
        switch mailbox.room(for: stream.exchange) {
        case .gone: return false
        case .full:
            let since = stream.blockedSince ?? now
            stream.blockedSince = since
            guard since.duration(to: now) >= limits.patience else { return true }
            mailbox.close(stream.exchange)
            completions.cutStream(for: stream.exchange)
            return false
        case .free: stream.blockedSince = nil
        }
        do throws(LedgerFailure) {
            var finding = try next(for: stream, in: reader)
            stream.position = finding.position
            appendBeats(to: &finding.events, &stream, now)
            send(finding.events, to: stream)
            guard try isOver(stream, in: reader) else { return true }
            end(stream)
        } catch {
            fail(stream, error)
        }
        return false
    }

    /// Comment lines and bookmarks that are due. A bookmark says the last sequence that was looked
    /// at, whatever there was to tell.
    private func appendBeats(
        to events: inout [UInt8], _ stream: inout Stream, _ now: ContinuousClock.Instant
    ) {
        if stream.nextBookmark <= now {
            stream.nextBookmark = now.advanced(by: limits.bookmarkInterval)
            events += ServerSentEvent.bookmark(stream.position)
        }
        if stream.nextComment <= now {
            stream.nextComment = now.advanced(by: limits.commentInterval)
            events += ServerSentEvent.comment
        }
    }

    private func send(_ events: [UInt8], to stream: Stream) {
        guard !events.isEmpty else { return }
        mailbox.note(events.count, for: stream.exchange)
        completions.write(events, for: stream.exchange)
    }

    private func end(_ stream: Stream) {
        mailbox.close(stream.exchange)
        completions.endStream(for: stream.exchange)
    }

    /// The ledger cannot be read: the stream says so and ends.
    private func fail(_ stream: Stream, _ failure: LedgerFailure) {
        let requestID = stream.request.requestID
        send(ServerSentEvent.problem(Problem(failure), requestID: requestID), to: stream)
        end(stream)
    }
}

// What comes next.
extension LedgerStreams {
    private func next(
        for stream: Stream, in reader: HistoryReader
    ) throws(LedgerFailure) -> Finding {
        guard stream.position < committed else { return Finding(position: stream.position) }
        var query = stream.request.query
        if let name = stream.request.machineName { query.machines = names.ids(named: name) }
        return isFollowing(stream)
            ? fromTail(stream.position, query) : try fromPast(stream.position, query, in: reader)
    }

    private func fromTail(_ position: Sequence, _ query: HistoryQuery) -> Finding {
        var finding = Finding(position: position)
        while finding.events.count < StreamLimits.bytesUnderWay,
            let entry = tail.entry(at: finding.position.next)
        {
            finding.position = entry.sequence
            guard query.matches(entry) else { continue }
            finding.events += tail.event(of: entry) { names.name(of: $0) }
        }
        return finding
    }

    /// A page of the past, up to where the tail begins or the ledger ends.
    private func fromPast(
        _ position: Sequence, _ asked: HistoryQuery, in reader: HistoryReader
    ) throws(LedgerFailure) -> Finding {
        let end = tail.start > position ? tail.start : committed
        var query = asked
        query.after = position
        query.before = min(asked.before ?? end.next, end.next)
        query.pageSize = StreamLimits.entriesPerRead
        let page = try reader.openedHistory().page(query)
        var finding = Finding(position: page.resume ?? end)
        for entry in page.entries {
            finding.events += ServerSentEvent.entry(entry, machine: names.name(of: entry.machine))
            guard finding.events.count < StreamLimits.bytesUnderWay else {
                finding.position = entry.sequence
                break
            }
        }
        // Caught up: what comes from here on is read once for all.
        if finding.position == committed { tail.begin(after: committed) }
        return finding
    }

    /// Whether a stream goes on in the tail. One that is far from the ledger's end does not: an
    /// index may lead it past most entries.
    private func isFollowing(_ stream: Stream) -> Bool {
        tail.follows(stream.position)
            && committed.rawValue - stream.position.rawValue <= UInt64(StreamLimits.entriesKept)
    }

    /// Reads what was committed since, where streams wait for it.
    private func followTail(in reader: HistoryReader) throws(LedgerFailure) {
        guard tail.end < committed, streams.contains(where: isFollowing) else {
            return
        }
        var query = HistoryQuery()
        query.after = tail.end
        query.before = committed.next
        query.pageSize = StreamLimits.entriesPerRead
        tail.append(try reader.openedHistory().page(query).entries)
    }

    /// Whether nothing more can be asked for: `before` or `until` is reached.
    private func isOver(_ stream: Stream, in reader: HistoryReader) throws(LedgerFailure) -> Bool {
        let query = stream.request.query
        if let before = query.before, stream.position.next >= before { return true }
        guard let until = query.until, stream.position >= committed, committed > .zero else {
            return false
        }
        // Times never go back.
        return try reader.openedHistory().entry(at: committed).map { $0.time >= until } ?? false
    }
}

/// The newest entries, for streams that have caught up.
private struct StreamTail {
    /// Before the first of the entries that are kept.
    private(set) var start = Sequence.zero
    private var entries: [LedgerEntry] = []

    /// As they are sent; nil until somebody asks.
    private var events: [[UInt8]?] = []

    /// The last of the entries.
    var end: Sequence { Sequence(start.rawValue + UInt64(entries.count)) }

    /// Whether a stream that has looked at a sequence goes on here.
    func follows(_ position: Sequence) -> Bool { position >= start && position <= end }

    /// Forgets the entries; the next one will be that after a sequence.
    mutating func begin(after sequence: Sequence) {
        start = sequence
        (entries, events) = ([], [])
    }

    /// Adds the entries after the last one, and forgets the oldest.
    mutating func append(_ next: [LedgerEntry]) {
        entries += next
        events += Array(repeating: nil, count: next.count)
        let excess = max(0, entries.count - StreamLimits.entriesKept)
        entries.removeFirst(excess)
        events.removeFirst(excess)
        start = Sequence(start.rawValue + UInt64(excess))
    }

    func entry(at sequence: Sequence) -> LedgerEntry? {
        sequence > start && sequence <= end ? entries[position(of: sequence)] : nil
    }

    mutating func event(of entry: LedgerEntry, _ name: (MachineID) -> String) -> [UInt8] {
        let position = position(of: entry.sequence)
        if let event = events[position] { return event }
        let event = ServerSentEvent.entry(entry, machine: name(entry.machine))
        events[position] = event
        return event
    }

    private func position(of sequence: Sequence) -> Int {
        Int(sequence.rawValue - start.rawValue) - 1
    }
}

/// The names of all machines that ever were.
private struct MachineNames {
    private var names: [MachineName] = []
    private var byID: [MachineID: String] = [:]

    /// - Parameter names: those known, and perhaps further ones after them.
    mutating func note(_ names: [MachineName]) {
        for name in names.dropFirst(self.names.count) { byID[name.id] = name.name }
        if names.count > self.names.count { self.names = names }
    }

    func name(of id: MachineID) -> String {
        guard let name = byID[id] else {
            preconditionFailure("an entry of a machine that was never created")
        }
        return name
    }

    func ids(named name: String) -> [MachineID] {
        names.filter { $0.name == name }.map(\.id)
    }
}
