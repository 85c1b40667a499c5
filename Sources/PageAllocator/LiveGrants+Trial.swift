// What brings the live grants back to where they stood when a trial began: each change that the
// trial made, last first. The array of grants only grows meanwhile, so that positions stay.

/// The live grants as a trial found them, as far as the trial has changed them.
struct LiveGrantsUndo {
    let slotCount: Int
    let gaps: Int
    private(set) var changes: [Change] = []

    enum Change {
        case blockInserted(PageFrameNumber)
        case blockRemoved(PageFrameNumber, LiveBlock)

        /// What the slot at a position held before.
        case retired(position: Int, livePages: UInt32)

        /// What a run held before; nil where there was none of that id.
        case runChanged(AllocationID, LiveGrants.Run?)
    }

    init(slotCount: Int, gaps: Int) {
        self.slotCount = slotCount
        self.gaps = gaps
    }

    mutating func append(_ change: Change) {
        changes.append(change)
    }
}

extension LiveGrants {
    /// From here on `rollBackTrial` can bring the grants back as they are now.
    mutating func beginTrial() {
        precondition(undo == nil, "a trial within a trial")
        undo = LiveGrantsUndo(slotCount: slots.count, gaps: gaps)
    }

    mutating func commitTrial() {
        precondition(undo != nil, "no trial to be committed")
        undo = nil
        closeUpIfSparse()
    }

    mutating func rollBackTrial() {
        guard let found = undo.take() else { preconditionFailure("no trial to be rolled back") }
        for change in found.changes.reversed() {
            revert(change)
        }
        slots.removeLast(slots.count - found.slotCount)
        directory.removeAll(after: slots.last?.id)
        gaps = found.gaps
    }

    /// Writes down what is changed in a trial.
    @inline(never)
    mutating func note(_ change: LiveGrantsUndo.Change) {
        undo?.append(change)
    }

    private mutating func revert(_ change: LiveGrantsUndo.Change) {
        switch change {
        case .blockInserted(let first):
            let removed = blocks.remove(first)
            precondition(removed != nil, "a block that a trial made is not live")
        case .blockRemoved(let first, let block):
            let isNew = blocks.insert(block, at: first)
            precondition(isNew, "a block that a trial freed is live")
        case .retired(let position, let livePages):
            slots[position].livePages = livePages
        case .runChanged(let id, let run):
            runs[id] = run
        }
    }
}
