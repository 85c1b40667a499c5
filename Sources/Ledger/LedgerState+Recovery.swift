// Bringing the state back: from the newest snapshot that is of use, and the entries after it; from
// all entries where there is none.
//
// A snapshot saves time and decides nothing. One that is damaged, of another version, or of another
// ledger is passed over; and where the entries after one do not fit it, all entries are asked,
// since they alone are the truth.

public import PageAllocator

/// Where snapshots are kept, if there are any.
public protocol SnapshotSource: AnyObject {
    /// The newest snapshot at or before an entry that is as it was written, and of this ledger;
    /// nil where there is none.
    func snapshot(atOrBefore sequence: Sequence) -> LedgerSnapshot?

    /// Gives up the snapshot of an entry: it is of no use.
    func discard(_ sequence: Sequence, because reason: String)
}

/// A state as it was kept.
public struct LedgerSnapshot: Sendable {
    /// The last entry whose effect is in it.
    public let sequence: Sequence

    /// As `LedgerState.snapshotBytes` gave them.
    public let bytes: [UInt8]

    public init(sequence: Sequence, bytes: [UInt8]) {
        self.sequence = sequence
        self.bytes = bytes
    }
}

/// A state that was brought back, and from what.
public struct Recovery {
    public private(set) var state = LedgerState()
    public private(set) var way = Way()

    public struct Way: Hashable, Sendable {
        /// The snapshot that it began with; nil: none.
        public internal(set) var snapshot: Sequence?

        /// Entries that were replayed.
        public internal(set) var entries: UInt64 = 0
    }

    private init() {}
}

extension LedgerState {
    /// The state after all of a ledger's entries.
    public static func recover(from ledger: any Ledger) throws(RecoveryFailure) -> LedgerState {
        try Recovery(of: ledger, with: nil).state
    }
}

extension Recovery {
    /// The state after all of a ledger's entries.
    ///
    /// - Parameter snapshots: of the same ledger.
    public init(
        of ledger: any Ledger, with snapshots: (any SnapshotSource)?
    ) throws(RecoveryFailure) {
        self = Recovery(newestOf: snapshots, atOrBefore: ledger.lastSequence)
        do throws(RecoveryFailure) {
            try replay(ledger)
        } catch {
            guard case .contradiction(let sequence, let reason) = error,
                let snapshot = way.snapshot
            else { throw error }
            self = Recovery()
            try replay(ledger)
            snapshots?.discard(
                snapshot, because: "entry \(sequence.rawValue) contradicts it: \(reason)")
        }
    }

    /// The state of the newest snapshot that can be read; the empty one where none can.
    private init(newestOf snapshots: (any SnapshotSource)?, atOrBefore sequence: Sequence) {
        self.init()
        var bound = sequence
        while let kept = snapshots?.snapshot(atOrBefore: bound) {
            do throws(SnapshotFailure) {
                state = try LedgerState(kept)
                way.snapshot = kept.sequence
                return
            } catch {
                snapshots?.discard(kept.sequence, because: error.description)
            }
            guard kept.sequence > .zero else { return }
            bound = Sequence(kept.sequence.rawValue - 1)
        }
    }

    private mutating func replay(_ ledger: any Ledger) throws(RecoveryFailure) {
        try ledger.replay(after: state.lastSequence) { (entry) throws(RecoveryFailure) in
            try state.apply(entry)
            way.entries += 1
        }
    }
}

extension LedgerState {
    /// The state that was kept.
    public init(_ snapshot: LedgerSnapshot) throws(SnapshotFailure) {
        try self.init(snapshotBytes: snapshot.bytes)
        guard lastSequence == snapshot.sequence else {
            throw .contradiction("it is the state after entry \(lastSequence.rawValue)")
        }
    }
}
