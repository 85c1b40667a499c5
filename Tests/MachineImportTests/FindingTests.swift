import PageAllocator
import Testing

@testable import MachineImport

/// What the ground truth's FINDINGS say that kernels do, each held by its number: by the data, and
/// where a rule decides, by the answers that are wrong without it.
///
/// Not here: 19, 23 and 24's lists, which a trace replay needs; 25, which concerns firmware.
@Suite struct FindingTests {
    private typealias Name = OracleZone.Name

    private struct Case {
        let request: OracleRequest
        let kernel: OracleAnswer
    }

    private static func cases(_ oracle: Oracle) -> [Case] {
        let kernel = OracleAnswer.all(in: oracle.log)
        return oracle.requests.compactMap { request in
            kernel[request.sequence].map { Case(request: request, kernel: $0) }
        }
    }

    /// How many answers are wrong once the requests, or what they find, are changed.
    private static func wrong(
        _ oracle: Oracle, by answering: OracleSet? = nil,
        where isMeant: (OracleRequest) -> Bool = { _ in true },
        changing change: (inout OracleRequest) -> Void = { _ in }
    ) -> Int {
        cases(oracle).count { item in
            guard isMeant(item.request) else { return false }
            var request = item.request
            change(&request)
            return (answering ?? oracle.answering).answer(request) != item.kernel.grant?.zone
        }
    }

    /// The same machine with other zone constants.
    private static func machine(
        _ oracle: Oracle, changing change: (String) -> String
    ) throws -> OracleSet {
        var texts = oracle.texts
        texts.zones = change(texts.zones)
        #expect(texts.zones != oracle.texts.zones)
        return try OracleSet(texts)
    }

    // MARK: Per-CPU lists

    @Test(
        "1: per-CPU lists serve most small requests",
        arguments: [.d1, .d4] as [GroundTruth.KernelSet])
    func finding1(set: GroundTruth.KernelSet) throws {
        let small = Self.cases(try Oracle.of(set)).filter {
            $0.request.phase.hasPrefix("matrix") && $0.request.size <= 3
        }
        let untouched = small.count { item in
            guard let grant = item.kernel.grant else { return false }
            let zone = item.request.state.first { $0.name == grant.zone }
            return zone?.record.counters.freePages == grant.freePagesAfter
        }
        #expect(Double(untouched) > 0.6 * Double(small.count))
    }

    @Test("2: an empty list is refilled in bulk")
    func finding2() throws {
        let refilled = Self.cases(try Oracle.of(.d1)).contains { item in
            guard let grant = item.kernel.grant, item.request.size == 1,
                let zone = item.request.state.first(where: { $0.name == grant.zone })
            else { return false }
            return zone.record.counters.freePages == grant.freePagesAfter + 62
        }
        #expect(refilled)
    }

    @Test("3: frees of small blocks do not merge", arguments: GroundTruth.KernelSet.guests)
    func finding3(set: GroundTruth.KernelSet) throws {
        var before: [OracleZoneState]?
        var pages = 0
        for line in try Oracle.of(set).lines {
            guard case .free(let free) = line else {
                before = nil
                continue
            }
            if free.kind == "split" || free.kind == "rsplit", let before {
                #expect(before.map(\.freeBlocks) == free.state.map(\.freeBlocks))
                pages += 1
            }
            before = free.state
        }
        #expect(pages > 200)
    }

    // MARK: Order of zones

    @Test("4: the order of nodes is not by distance and number")
    func finding4() throws {
        let machine = try Oracle.of(.d2).answering.machine
        #expect(machine.fallbackOrders[1] == [1, 2, 0, 3])
        var sorted = 0
        var nodes = 0
        for set in GroundTruth.KernelSet.guests {
            let machine = try Oracle.of(set).answering.machine
            for (node, order) in machine.fallbackOrders.enumerated() {
                let distances = machine.distances[node]
                let naive = order.sorted { (distances[$0], $0) < (distances[$1], $1) }
                sorted += naive == order ? 1 : 0
                nodes += 1
            }
        }
        #expect(sorted == 9 && nodes == 10)
    }

    @Test(
        "5: all zones of a node, high ones first, before the next node",
        arguments: GroundTruth.KernelSet.guests)
    func finding5(set: GroundTruth.KernelSet) throws {
        let oracle = try Oracle.of(set)
        for list in oracle.answering.zones.fallbackLists {
            for (a, b) in zip(list.zones, list.zones.dropFirst()) where a.node == b.node {
                #expect(a.type > b.type)
            }
            let nodes = list.zones.map(\.node)
            let runs = zip(nodes, nodes.dropFirst()).count { $0 != $1 } + 1
            #expect(Set(nodes).count == runs)
        }
    }

    @Test("6: Movable is for HIGHMEM and MOVABLE together")
    func finding6() throws {
        var movable = 0
        for item in Self.cases(try Oracle.of(.d2)) where item.kernel.grant?.zone.type == .movable {
            #expect(item.request.flags.isSuperset(of: [.highmem, .movable]))
            movable += 1
        }
        #expect(movable > 100)
    }

    @Test("7: contradictory zone bits silently mean DMA")
    func finding7() throws {
        var illegal = 0
        for set in GroundTruth.KernelSet.guests {
            let oracle = try Oracle.of(set)
            for item in Self.cases(oracle) where item.request.phase == "illegal" {
                illegal += 1
                guard item.request.flags.highestZone == nil, let grant = item.kernel.grant else {
                    continue
                }
                #expect(grant.zone.type == .dma)
            }
            #expect(Self.wrong(oracle, where: { $0.phase == "illegal" }) == 0)
            #expect(Self.wrong(oracle, where: { $0.flags.highestZone == nil }) == 0)
        }
        #expect(illegal == 336)
    }

    // MARK: Watermarks

    @Test("8: lowmem_reserve counts in every check")
    func finding8() throws {
        let oracle = try Oracle.of(.d4)
        let without = try Self.machine(oracle) {
            $0.replacing(/lowmem_reserve=\S*/, with: "lowmem_reserve=0/0/0/0/0")
        }
        #expect(Self.wrong(oracle, by: without) == 15_247)
    }

    @Test("9: the low mark over the whole list comes first, and only then the min mark")
    func finding9() throws {
        let oracle = try Oracle.of(.d1)
        let onlyMin = try Self.machine(oracle) {
            $0.replacing(/min=(\d+) low=\d+/) { "min=\($0.1) low=\($0.1)" }
        }
        #expect(Self.wrong(oracle, by: onlyMin) > 100)
    }

    @Test("10: the boundaries of the reserves are exact to the page")
    func finding10() throws {
        let oracle = try Oracle.of(.d1)
        for change: (UInt64) -> UInt64 in [{ $0 + 8 }, { $0 - 8 }] {
            let shifted = try Self.machine(oracle) {
                $0.replacing(/min=(\d+)/) { "min=\(change(UInt64($0.1) ?? 0))" }
            }
            #expect(Self.wrong(oracle, by: shifted) > 0)
        }
    }

    @Test("11: __GFP_NOMEMALLOC takes the non-blocking quarter away")
    func finding11() throws {
        let oracle = try Oracle.of(.d1)
        let wrong = Self.wrong(
            oracle, where: { $0.flags.contains(.noMemAlloc) },
            changing: { $0.flags.remove(.noMemAlloc) })
        #expect(wrong > 0)
    }

    @Test(
        "12: pageblocks of atomic requests are hidden from others",
        arguments: [(.d1, 24), (.d2, 6927)] as [(GroundTruth.KernelSet, Int)])
    func finding12(set: GroundTruth.KernelSet, decided: Int) throws {
        let wrong = Self.wrong(
            try Oracle.of(set),
            changing: { (request: inout OracleRequest) in
                for zone in request.state.indices {
                    request.state[zone].record.counters.reservedHighatomic = 0
                    request.state[zone].record.counters.freeHighatomic = 0
                }
            })
        #expect(wrong == decided)
    }

    @Test("13: a boost raises the marks, but not for a single page of GFP_ATOMIC")
    func finding13() throws {
        let oracle = try Oracle.of(.d1)
        let wrong = Self.wrong(
            oracle,
            changing: { (request: inout OracleRequest) in
                for zone in request.state.indices {
                    request.state[zone].record.counters.boost = 0
                }
            })
        #expect(wrong > 50)
        // In 6.1 only __GFP_ATOMIC passes over the boost, not all of __GFP_HIGH.
        let wronger = Self.wrong(
            oracle, where: { $0.flags.contains(.high) },
            changing: { $0.flags.formUnion(.atomic) })
        #expect(wronger > 50)
    }

    @Test(
        "14: __GFP_MEMALLOC gets no pageblock of atomic requests",
        arguments: GroundTruth.KernelSet.guests)
    func finding14(set: GroundTruth.KernelSet) throws {
        var passedBy = 0
        for item in Self.cases(try Oracle.of(set)) where item.request.flags.contains(.memAlloc) {
            guard item.request.policy == nil, item.request.nodeMask == 0 else { continue }
            for zone in item.request.state {
                if zone.name == item.kernel.grant?.zone { break }
                let free = zone.record.counters.freeOrders
                let ordinary = free[.unmovable] | free[.movable] | free[.reclaimable]
                let order = UInt16(item.request.size)
                if ordinary >> order == 0, free[.highAtomic] >> order != 0 { passedBy += 1 }
            }
        }
        #expect(passedBy > 0 || set == .d3)
    }

    // MARK: Masks and policies

    @Test(
        "15: GFP_ATOMIC and __GFP_MEMALLOC ignore node masks when all else fails",
        arguments: [(.d1, 5), (.d2, 28), (.d4, 20)] as [(GroundTruth.KernelSet, Int)])
    func finding15(set: GroundTruth.KernelSet, pages: Int) throws {
        let outside = Self.cases(try Oracle.of(set)).filter { item in
            guard let grant = item.kernel.grant, item.request.nodeMask != 0 else { return false }
            return item.request.nodeMask >> UInt64(grant.zone.node.rawValue) & 1 == 0
        }
        #expect(outside.count == pages)
        #expect(
            outside.allSatisfy {
                $0.request.flags.contains(.memAlloc) || $0.request.flags.contains(.high)
            })
    }

    @Test(
        "16: bind does not bind requests for DMA and DMA32 where Normal exists",
        arguments: [(.d1, 40, 100), (.d2, 100, 140), (.d4, 30, 120)]
            as [(GroundTruth.KernelSet, Int, Int)])
    func finding16(set: GroundTruth.KernelSet, outside: Int, all: Int) throws {
        let low = Self.cases(try Oracle.of(set)).filter { item in
            item.request.call == .byPolicy && item.request.policy?.mode == .bind
                && (item.request.flags.highestZone ?? .normal) < .normal
        }
        let unbound = low.count { item in
            guard let node = item.kernel.grant?.zone.node else { return false }
            return item.request.policy?.nodes.contains(node) == false
        }
        #expect(low.count == all)
        #expect(unbound == outside)
    }

    @Test("17: preferred-many is tried in its nodes first, and then everywhere")
    func finding17() throws {
        var servedElsewhere = 0
        for set in [.d1, .d2, .d4] as [GroundTruth.KernelSet] {
            let oracle = try Oracle.of(set)
            let isPreferredMany: (OracleRequest) -> Bool = {
                $0.policy?.mode == .preferredMany && $0.call == .byPolicy
            }
            #expect(Self.wrong(oracle, where: isPreferredMany) == 0)
            #expect(Self.wrong(oracle, where: isPreferredMany) { $0.policy = nil } >= 40)
            servedElsewhere += Self.wrong(oracle, where: isPreferredMany) {
                $0.policy?.mode = .bind
            }
        }
        #expect(servedElsewhere > 0)
    }

    @Test("18: an interleave moves on with each request, wherever its pages come from")
    func finding18() throws {
        for set in [.d1, .d2, .d4] as [GroundTruth.KernelSet] {
            let oracle = try Oracle.of(set)
            var steps = 0
            for (request, next) in zip(oracle.requests, oracle.requests.dropFirst()) {
                guard let policy = request.policy, policy == next.policy,
                    policy.mode == .interleave || policy.mode == .weightedInterleave,
                    request.phase == next.phase, request.cpu == next.cpu,
                    next.sequence <= request.sequence + 2,
                    next.interleave != .start
                else { continue }
                var control = AllocationControl(flags: request.flags)
                control.memoryPolicy = policy
                let call = AllocationRequest(
                    control: control, cpu: request.cpu, interleave: request.interleave)
                let after = call.interleaveAfter(on: oracle.answering.machine)
                #expect(after?.previous ?? request.interleave.previous == next.interleave.previous)
                steps += 1
            }
            #expect(steps > 100)
        }
    }

    // MARK: Blocks and runs

    @Test("20: a block needs the watermark and a list that has it")
    func finding20() throws {
        let oracle = try Oracle.of(.d1)
        let large: (OracleRequest) -> Bool = { $0.size > 3 }
        #expect(Self.wrong(oracle, where: large) == 0)
        let withBlocks = Self.wrong(oracle, where: large) { (request: inout OracleRequest) in
            for zone in request.state.indices {
                request.state[zone].record.counters.freeOrders[.movable] |= 0x400
            }
        }
        #expect(withBlocks > 0)
    }

    @Test("21: runs of pages lie on a grid from the zone's first page, in the first zone")
    func finding21() throws {
        var granted = 0
        var refused = 0
        for set in GroundTruth.KernelSet.guests {
            let oracle = try Oracle.of(set)
            let kernel = OracleAnswer.all(in: oracle.log)
            for case .request(let request) in oracle.lines where request.call == .contiguous {
                let answer = try #require(kernel[request.sequence])
                #expect(oracle.answering.agrees(request, with: answer))
                guard let grant = answer.grant else {
                    refused += 1
                    continue
                }
                granted += 1
                let beside = OracleAnswer(
                    sequence: answer.sequence,
                    grant: OracleAnswer.Grant(
                        pfn: grant.pfn + 1, zone: grant.zone, freePagesAfter: grant.freePagesAfter,
                        perCPUPagesAfter: grant.perCPUPagesAfter))
                #expect(!oracle.answering.agrees(request, with: beside) || request.size == 1)
            }
        }
        #expect(granted == 594 && refused == 6)
    }

    @Test(
        "22: a head given back alone returns one page; behind a held head the rest returns at once")
    func finding22() throws {
        let oracle = try Oracle.of(.d1)
        var kinds: [String: Int] = [:]
        var expectation = OracleFrees(oracle.answering.zones)
        let kernel = OracleAnswer.all(in: oracle.log)
        for line in oracle.lines {
            switch line {
            case .request(let request):
                guard let answer = kernel[request.sequence] else { break }
                expectation.note(request, answer)
            case .step(let state):
                expectation.note(state)
            case .free(let free):
                let verdict = expectation.verdict(on: free)
                guard free.kind.hasPrefix("one") || free.kind.hasPrefix("ref") else { break }
                #expect(verdict?.isExpected == true, "\(free.kind) at \(free.sequence)")
                kinds[free.kind, default: 0] += 1
            }
        }
        #expect(kinds == ["one-head": 12, "one-rest": 12, "ref-tail": 12, "ref-head": 12])
    }

    @Test("24: blocks of order 9 have per-CPU lists of their own")
    func finding24() throws {
        let oracle = try Oracle.of(.d1)
        let huge: (OracleRequest) -> Bool = { $0.size == 9 }
        #expect(Self.wrong(oracle, where: huge) == 0)
        let isListed = oracle.requests.contains { request in
            request.state.contains { $0.record.perCPULists & 0x3000 != 0 }
        }
        #expect(isListed)
    }

    @Test("26: Debian's 6.1 has the reserves of 6.3; since 6.8 the min of Movable is capped")
    func finding26() throws {
        let oracle = try Oracle.of(.d2)
        let movable = try #require(
            oracle.answering.machine.zones.first { $0.type == .movable })
        #expect(movable.watermarks.min == 6683)
        var texts = oracle.texts
        texts.version = "Linux version 6.12.0"
        let newer = try OracleSet(texts)
        let settings = OracleSet.settings(sysctl: texts.sysctl)
        let constants = newer.machine.recomputedConstants(settings)
        let position = try #require(newer.machine.zones.firstIndex { $0.type == .movable })
        #expect(constants[position].watermarks.min == 128)
    }
}
