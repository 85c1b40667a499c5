// What few entries have beyond the columns, as the text of the column `details`:
// `migrations/0002_policies_and_runs.sql` lists the words. An entry's details are written one way
// only. Reading is lenient about the way, and `EntryRow` compares what it has read, written again,
// with the text that was there.

import Ledger
import PageAllocator

struct EntryDetails {
    /// Only what the columns do not say counts: neither flags, node nor boundaries, and of the
    /// order only what stands beside `pages`.
    var control = AllocationControl()

    /// Where the control stood in its round of nodes, and where it stands.
    var turn: (before: InterleaveState, after: InterleaveState)?

    /// Of a run granted or freed.
    var segments: [FrameRange] = []
    var changes: [ZoneChange] = []
    var numa: NUMACount?

    init() {}

    init(_ event: LedgerEvent) {
        switch event {
        case .controlPut(_, let control, _):
            self.init(control)
        case .granted(let asked, let grant):
            self.init(asked, grant)
        case .refused(let asked, _):
            self.init(asked)
        case .freed(_, let freed), .leaseExpired(let freed):
            self.init(freed)
        case .machineCreated, .machineDeleted, .controlDeleted, .freeRefused, .leaseRenewed,
            .leaseRenewalRefused:
            self.init()
        }
    }

    init(_ control: AllocationControl) {
        self.control = control
    }

    init(_ asked: AllocationRecord) {
        control = asked.request.control
        turn = asked.interleaveAfter.map { (asked.request.interleave, $0) }
    }

    init(_ asked: AllocationRecord, _ grant: GrantRecord) {
        self.init(asked)
        segments = grant.order == nil ? grant.segments : []
        changes = grant.changes
        numa = grant.numa
    }

    init(_ freed: FreedRecord) {
        segments = freed.ranges
    }

    /// nil where there is nothing to say.
    var text: String? {
        var words = ControlWords.words(control)
        if let turn { words.append("interleave=\(GrantWords.text(turn))") }
        if !segments.isEmpty { words.append("segments=\(GrantWords.text(segments))") }
        if !changes.isEmpty { words.append("changes=\(GrantWords.text(changes))") }
        if let numa { words.append("numa=\(GrantWords.text(numa))") }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// nil where a word is not known, or its value is none.
    init?(text: String) {
        for word in text.utf8.split(separator: UInt8(ascii: " ")) {
            let parts = word.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2,
                set(String(decoding: parts[0], as: UTF8.self), Substring(parts[1]))
            else { return nil }
        }
    }

    private mutating func set(_ name: String, _ value: Substring) -> Bool {
        switch name {
        case "interleave":
            turn = GrantWords.turn(value)
            return turn != nil
        case "segments":
            segments = GrantWords.segments(value) ?? []
            return !segments.isEmpty
        case "changes":
            changes = GrantWords.changes(value) ?? []
            return !changes.isEmpty
        case "numa":
            numa = GrantWords.numa(value)
            return numa != nil
        default:
            return ControlWords.set(name, value, in: &control)
        }
    }
}

extension AllocationControl {
    /// Whether the columns say all of it.
    var isSaidByColumns: Bool {
        memoryPolicy == nil && allowedNodes == nil && isPlainBlock && phase == 0 && maxSegments == 1
    }
}

extension AllocationRecord {
    /// Whether the columns say all of it.
    var isSaidByColumns: Bool { interleaveAfter == nil && request.control.isSaidByColumns }
}

extension GrantRecord {
    /// Whether the columns say all of it.
    var isSaidByColumns: Bool { order != nil && changes.isEmpty && numa == nil }
}
