// Calls on trial: several allocations and frees that stand together or not at all.
//
// Between `beginTrial` and `rollBackTrial` any number of pages may be allocated and freed; after it
// the allocator is in every respect as it was before, and gives the same pages for the same calls.
// What that takes is written down as the trial goes: a zone's free lists where they are about to be
// changed (`BuddyAllocator+Trial.swift`), and each change of the live grants
// (`LiveGrants+Trial.swift`). To go back costs what the trial touched, however large the machine.

/// What a trial found and may have to bring back, beside free lists and live grants.
struct AllocatorUndo {
    /// One for each of the machine's zones.
    let rotors: [PageFrameNumber]
    let numaCounts: [NUMACounts]
}

extension PageAllocator {
    /// Whether a trial has begun and not ended.
    public var isOnTrial: Bool { undo != nil }

    /// Begins a trial: what is allocated and freed from here on can be undone.
    ///
    /// - Precondition: no trial is under way.
    public mutating func beginTrial() {
        precondition(!isOnTrial, "a trial within a trial")
        let positions = machine.zones.indices
        undo = AllocatorUndo(
            rotors: positions.map { unsafe zones[$0].rotor }, numaCounts: numaCounts)
        for position in positions {
            unsafe zones[position].buddies.beginTrial()
        }
        grants.beginTrial()
    }

    /// Ends the trial; what it did stands.
    ///
    /// - Precondition: a trial is under way.
    public mutating func commitTrial() {
        precondition(isOnTrial, "no trial to be committed")
        undo = nil
        for position in machine.zones.indices {
            unsafe zones[position].buddies.commitTrial()
        }
        grants.commitTrial()
    }

    /// Ends the trial; all is as it was when it began. The ids of its grants may be given again.
    ///
    /// - Precondition: a trial is under way.
    public mutating func rollBackTrial() {
        guard let found = undo.take() else { preconditionFailure("no trial to be rolled back") }
        for position in machine.zones.indices {
            unsafe zones[position].buddies.rollBackTrial()
            unsafe zones[position].rotor = found.rotors[position]
        }
        numaCounts = found.numaCounts
        grants.rollBackTrial()
    }
}
