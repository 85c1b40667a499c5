// One machine's life, twice: each call is put to the allocator and to the reference, and each
// answer and each state that follows must be the same.

import PageAllocator
import TestSupport

struct RandomLife: ~Copyable {
    let machine: Machine
    private var allocator: PageAllocator
    private var reference: ReferenceAllocator
    private var journal: [Record] = []
    private var trial: Trial?

    /// What there was when the trial under way began.
    private struct Trial {
        let reference: ReferenceAllocator
        let journal: [Record]
        let state: WholeState
    }

    /// What a ledger would keep of a call.
    private enum Record {
        case granted(AllocationID, Grant)
        case freed(FreedFrames)
    }

    /// Calls made.
    private var calls = 0

    /// Calls between two checks of the allocator's own invariants, and of every frame that is held:
    /// they cost more than all else. The free blocks are compared after each call.
    private static let invariantsInterval = 16

    /// Calls between two requests that are explained before they are made.
    private static let explanationInterval = 4

    /// How many calls ended how.
    private(set) var outcomes: [String: Int] = [:]

    init(on machine: Machine) {
        self.machine = machine
        allocator = PageAllocator(machine: machine)
        reference = ReferenceAllocator(machine)
    }

    /// - Returns: what differs; nil where all is the same.
    mutating func make(_ step: RandomStep) -> String? {
        let difference: String? =
            switch step {
            case .allocate(let request, let id): allocate(request, id)
            case .free(let id):
                compare(reference.free(id), freeing { (a) throws(FreeFailure) in try a.free(id) })
            case .freeAPage(let pfn):
                compare(
                    reference.freeAPage(pfn),
                    freeing { (a) throws(FreeFailure) in try a.freeAPage(pfn) })
            case .freeSomePages(let pfn, let order):
                compare(
                    reference.freeSomePages(pfn, order: order),
                    freeing { (a) throws(FreeFailure) in try a.freeSomePages(pfn, order: order) })
            case .beginTrial: beginTrial()
            case .endTrial(let commits): endTrial(commits: commits)
            }
        calls += 1
        let image = image
        if let difference = difference ?? reference.difference(from: image) { return difference }
        guard calls.isMultiple(of: Self.invariantsInterval) else { return nil }
        allocator.checkInvariants()
        return reference.heldDifference(from: image) ?? goOnFromSnapshot(image)
    }

    /// Puts an allocator made from a snapshot in the place of this one: all that follows must be
    /// the same.
    private mutating func goOnFromSnapshot(_ image: PageAllocatorImage) -> String? {
        // A snapshot knows of no trial.
        guard trial == nil else { return nil }
        let bytes = allocator.snapshotBytes
        do throws(SnapshotFailure) {
            allocator = try PageAllocator.restored(on: machine, from: bytes)
        } catch {
            return "a snapshot was refused: \(error)"
        }
        allocator.checkInvariants()
        guard self.image == image else { return "a snapshot led to another state" }
        return allocator.snapshotBytes == bytes ? nil : "the same state, and other bytes"
    }

    /// The calls that a reference without history may choose from.
    mutating func next(_ steps: inout RandomSteps) -> RandomStep { steps.next(after: reference) }

    // MARK: Allocating

    private mutating func allocate(_ request: AllocationRequest, _ id: AllocationID) -> String? {
        let isExplained = calls.isMultiple(of: Self.explanationInterval)
        let explained = isExplained ? explanation(request) : nil
        let answer: Result<Grant, AllocationFailure>
        do throws(AllocationFailure) {
            let grant = try allocator.allocatePages(request, as: id)
            journal.append(.granted(id, grant))
            for change in grant.changes { outcomes[Self.name(change), default: 0] += 1 }
            if !grant.furtherSegments.isEmpty { outcomes["in segments", default: 0] += 1 }
            answer = .success(grant.withoutChanges)
        } catch {
            answer = .failure(error.withoutCertificate)
        }
        let expected = reference.allocate(request, as: id, offered: answer)
        count(answer)
        if answer != expected { return difference(answer, expected) }
        if let explained, explained != answer {
            return "\(short(answer)), but explained as \(short(explained))"
        }
        let interleave = reference.interleaveAfter(request)
        if request.interleaveAfter(on: machine) != interleave {
            return "the round does not go on at \(String(describing: interleave))"
        }
        return nil
    }

    private static func name(_ change: ZoneChange) -> String {
        switch change {
        case .retyped(_, .highAtomic): "reserved"
        case .retyped: "retyped"
        case .moved: "moved"
        case .boosted: "boosted"
        case .advanced: "advanced"
        }
    }

    /// What `explain` says would be granted, or why not; it must change nothing.
    private func explanation(_ request: AllocationRequest) -> Result<Grant, AllocationFailure> {
        do throws(AllocationFailure) {
            let explanation = try allocator.explain(request)
            guard let grant = explanation.wouldGrant else {
                return .failure(.outOfMemory(explanation.withoutCertificate))
            }
            return .success(grant.withoutChanges)
        } catch {
            return .failure(error.withoutCertificate)
        }
    }

    /// Of two refusals, what is not the same in both; else both answers.
    private func difference(
        _ answer: Result<Grant, AllocationFailure>, _ expected: Result<Grant, AllocationFailure>
    ) -> String {
        guard case .failure(.outOfMemory(let one)) = answer,
            case .failure(.outOfMemory(let other)) = expected
        else { return "\(short(answer)) instead of \(short(expected))" }
        let zones = zip(one.zones, other.zones).filter { $0.0 != $0.1 }.map {
            "\(short($0)) instead of \(short($1))"
        }
        return "explained as to \(zones), \(one.highestZone) and \(other.highestZone), then "
            + "\(short(one.kernelWouldTry)) and \(short(other.kernelWouldTry))"
    }

    /// The same without the names of types.
    private func short<Value>(_ value: Value) -> String {
        var text = ""
        var word = ""
        for character in "\(value)" {
            if character.isLetter || character.isNumber {
                word.append(character)
            } else {
                // A type's name begins with a capital and stands before a point or a bracket.
                let isType = word.first?.isUppercase ?? false
                text += isType && (character == "." || character == "(") ? "" : word
                if !(isType && character == ".") { text.append(character) }
                word = ""
            }
        }
        return text + word
    }

    private mutating func count(_ answer: Result<Grant, AllocationFailure>) {
        let outcome =
            switch answer {
            case .success: "granted"
            case .failure(.outOfMemory): "out of memory"
            case .failure(.unsatisfiable(let rule)): rule.rawValue
            }
        outcomes[outcome, default: 0] += 1
    }

    // MARK: Freeing

    private mutating func freeing(
        _ body: (inout PageAllocator) throws(FreeFailure) -> Freed
    ) -> Result<FreedFrames, FreeFailure> {
        do throws(FreeFailure) {
            return .success(FreedFrames(try body(&allocator)))
        } catch {
            return .failure(error)
        }
    }

    private mutating func compare(
        _ expected: Result<FreedFrames, FreeFailure>, _ answer: Result<FreedFrames, FreeFailure>
    ) -> String? {
        switch answer {
        case .success(let freed):
            outcomes[freed.endsGrant ? "freed" : "freed in part", default: 0] += 1
            journal.append(.freed(freed))
        case .failure(let failure): outcomes[failure.reason.rawValue, default: 0] += 1
        }
        return answer == expected ? nil : "\(answer) instead of \(expected)"
    }

    // MARK: Trials

    /// One that has begun already goes on: calls that are left out to find the fewest may be ends.
    private mutating func beginTrial() -> String? {
        guard trial == nil else { return nil }
        trial = Trial(reference: reference, journal: journal, state: allocator.wholeState())
        allocator.beginTrial()
        return allocator.isOnTrial ? nil : "a trial has not begun"
    }

    private mutating func endTrial(commits: Bool) -> String? {
        guard let trial else { return nil }
        self.trial = nil
        outcomes[commits ? "committed" : "rolled back", default: 0] += 1
        guard !commits else {
            allocator.commitTrial()
            return allocator.isOnTrial ? "a trial has not ended" : nil
        }
        allocator.rollBackTrial()
        reference = trial.reference
        journal = trial.journal
        return allocator.wholeState() == trial.state ? nil : "a trial left something behind"
    }

    // MARK: The whole state

    var image: PageAllocatorImage { allocator.stateImage() }

    /// Whether the records alone lead to the same state.
    func replay() -> String? {
        do {
            var replayed = PageAllocator(machine: machine)
            for record in journal {
                switch record {
                case .granted(let id, let grant): try replayed.replay(grant, as: id)
                case .freed(let freed):
                    try replayed.replayFree(
                        of: freed.allocation, pfn: freed.pfn, order: freed.order,
                        pages: UInt64(freed.frames.count))
                }
            }
            allocator.checkInvariants()
            replayed.checkInvariants()
            return replayed.stateImage() == image ? nil : "a replay led to another state"
        } catch {
            return "a replay was refused: \(error)"
        }
    }
}

extension RandomLife {
    /// Lives as many steps as asked for.
    ///
    /// - Returns: what went wrong, with the fewest calls found that show it.
    static func fault(
        on machine: Machine, steps: inout RandomSteps, count: Int, outcomes: inout [String: Int]
    ) -> String? {
        var life = RandomLife(on: machine)
        var made: [RandomStep] = []
        for _ in 0..<count {
            let step = life.next(&steps)
            made.append(step)
            guard let difference = life.make(step) else { continue }
            let fewest = shrink(made, on: machine)
            let calls = fewest.map { "  \($0)" }.joined(separator: "\n")
            return "call \(made.count): \(difference)\nfewest calls:\n\(calls)\n"
                + "  → \(firstDifference(fewest, on: machine) ?? "none")"
        }
        outcomes.merge(life.outcomes) { $0 + $1 }
        return life.replay()
    }

    static func firstDifference(_ steps: [RandomStep], on machine: Machine) -> String? {
        var life = RandomLife(on: machine)
        for step in steps {
            if let difference = life.make(step) { return difference }
        }
        return nil
    }

    /// Leaves out calls, many at a time and then few, as long as something still differs.
    private static func shrink(_ steps: [RandomStep], on machine: Machine) -> [RandomStep] {
        var steps = steps
        var length = steps.count / 2
        while length > 0 {
            var start = 0
            while start < steps.count {
                var fewer = steps
                fewer.removeSubrange(start..<min(start + length, steps.count))
                if !fewer.isEmpty, firstDifference(fewer, on: machine) != nil {
                    steps = fewer
                } else {
                    start += length
                }
            }
            length /= 2
        }
        return steps
    }
}

extension Grant {
    /// What a caller sees of it: the changes show in the state.
    fileprivate var withoutChanges: Grant {
        var grant = self
        grant.changes = []
        return grant
    }
}

extension AllocationFailure {
    fileprivate var withoutCertificate: AllocationFailure {
        guard case .outOfMemory(let explanation) = self else { return self }
        return .outOfMemory(explanation.withoutCertificate)
    }
}

extension Explanation {
    /// Certificates have tests of their own.
    fileprivate var withoutCertificate: Explanation {
        Explanation(
            highestZone: highestZone, zones: zones, wouldGrant: wouldGrant,
            kernelWouldTry: kernelWouldTry)
    }
}
