// How far our answers agree with a kernel's: the metrics of the ground truth, F1 to F10.
//
// Everything is given as right out of how many. Answers come first, all of them, and the kernel's
// are read here only.

import PageAllocator

/// Right answers among all.
public struct OracleShare: Hashable, Sendable {
    public private(set) var right = 0
    public private(set) var total = 0

    mutating func add(_ isRight: Bool) {
        right += isRight ? 1 : 0
        total += 1
    }

    /// 1 where there was nothing to answer.
    public var value: Double { total == 0 ? 1 : Double(right) / Double(total) }
}

/// The grades of one machine.
public struct OracleGrades: Sendable {
    /// F1: zone and node, or refusal, of each request for a block; by group of phases, in the
    /// order they began.
    public private(set) var phases: [(name: String, share: OracleShare)] = []

    /// F1 over all requests.
    public private(set) var placement = OracleShare()

    /// F3: requests that the kernel refused.
    public private(set) var refusals = OracleShare()

    /// F4: nodes whose zonelist is the kernel's.
    public private(set) var nodeOrder = OracleShare()

    /// F5: zones whose marks and reserves are the kernel's, from managed pages and sysctls.
    public private(set) var constants = OracleShare()

    /// F9: requests for runs of pages.
    public private(set) var contiguous = OracleShare()

    /// F10: frees that leave what the rules expect (`OracleFrees`).
    public private(set) var frees = OracleShare()

    /// Those frees of which the rules expect one state and no other.
    public private(set) var decidedFrees = OracleShare()

    /// The mean over the groups of phases: the headline of F1.
    public var macro: Double {
        guard !phases.isEmpty else { return 1 }
        return phases.reduce(0) { $0 + $1.share.value } / Double(phases.count)
    }

    /// - Parameters:
    ///   - answers: ours, by sequence number (`OracleSet.answers`).
    ///   - lines: what they answer.
    ///   - log: the same lines as they were written, with the kernel's answers.
    ///   - texts: of the same machine.
    public init(
        _ answers: [Int: OracleZone.Name?], to lines: [OracleLine], log: [UInt8],
        of set: OracleSet, texts: OracleTexts
    ) {
        gradeNodeOrder(of: set)
        gradeConstants(of: set, texts)
        let kernel = OracleAnswer.all(in: log)
        var expectation = OracleFrees(set.zones)
        for line in lines {
            switch line {
            case .request(let request):
                guard let answer = kernel[request.sequence] else { break }
                if request.call == .contiguous {
                    contiguous.add(set.agrees(request, with: answer))
                } else {
                    grade(request, answers[request.sequence] ?? nil, answer)
                }
                expectation.note(request, answer)
            case .free(let free):
                guard let verdict = expectation.verdict(on: free) else { break }
                frees.add(verdict.isExpected)
                if verdict.isDecided { decidedFrees.add(verdict.isExpected) }
            case .step(let state):
                expectation.note(state)
            }
        }
    }

    private mutating func grade(
        _ request: OracleRequest, _ ours: OracleZone.Name?, _ answer: OracleAnswer
    ) {
        let isRight = ours == answer.grant?.zone
        placement.add(isRight)
        if answer.grant == nil { refusals.add(isRight) }
        if let position = phases.firstIndex(where: { $0.name == request.phaseGroup }) {
            phases[position].share.add(isRight)
        } else {
            phases.append((request.phaseGroup, OracleShare()))
            phases[phases.count - 1].share.add(isRight)
        }
    }

    private mutating func gradeNodeOrder(of set: OracleSet) {
        let machine = set.machine
        for list in set.zones.fallbackLists {
            let ours = machine.index(of: list.node).map { node in
                machine.zonelists[node].map {
                    OracleZone.Name(node: machine.zones[$0].node, type: machine.zones[$0].type)
                }
            }
            nodeOrder.add(ours == list.zones)
        }
    }

    private mutating func gradeConstants(of set: OracleSet, _ texts: OracleTexts) {
        let settings = OracleSet.settings(sysctl: texts.sysctl)
        let recomputed = set.machine.recomputedConstants(settings)
        for kernel in OracleZones(parsing: texts.recomputed).zones {
            let ours = set.machine.zones.firstIndex {
                $0.node == kernel.name.node && $0.type == kernel.name.type
            }.map { recomputed[$0] }
            constants.add(
                ours.map {
                    $0.watermarks.min == kernel.watermarks.min
                        && $0.watermarks.low == kernel.watermarks.low
                        && $0.watermarks.high == kernel.watermarks.high
                        && $0.lowmemReserve == kernel.lowmemReserve
                } ?? false)
        }
    }
}
