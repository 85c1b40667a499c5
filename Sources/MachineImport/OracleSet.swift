// One machine on which a kernel answered requests: its texts, the machine that follows from them,
// and our answers to the same requests.
//
// What the machine is made of: zones with their marks, reserves and page counts, distances, CPUs.
// Where the memory lies does not enter into which zone serves, and is not said by these texts where
// nodes interleave; so each zone is given a place of its own.

public import PageAllocator

/// The texts of one machine. None is read from a disk here.
public struct OracleTexts: Sendable {
    /// `oracle/zones`.
    public var zones: String

    /// `oracle/zones-recomputed`: after a write to min_free_kbytes; empty where there is none.
    public var recomputed: String

    /// The files of the nodes in sysfs, each after a line `== path`.
    public var nodes: String

    /// `/proc/version`.
    public var version: String

    /// Lines `min_free_kbytes: 90112`.
    public var sysctl: String

    /// Lines `/sys/kernel/mm/mempolicy/weighted_interleave/node0: 5`; empty where there are none.
    public var weights: String

    public init(
        zones: String, recomputed: String = "", nodes: String, version: String,
        sysctl: String = "", weights: String = ""
    ) {
        self.zones = zones
        self.recomputed = recomputed
        self.nodes = nodes
        self.version = version
        self.sysctl = sysctl
        self.weights = weights
    }
}

/// A machine with the rules of its kernel.
public struct OracleSet: Sendable {
    public let machine: Machine
    let zones: OracleZones
    private let weights: [MemoryPolicy.Weight]

    /// - Throws: `ImportFailure`: why the texts describe no machine.
    public init(_ texts: OracleTexts) throws(ImportFailure) {
        zones = OracleZones(parsing: texts.zones)
        weights = OraclePolicy.weights(parsing: texts.weights)
        machine = try Self.machine(
            zones, sysfs: SysfsNodes(parsing: texts.nodes),
            dialect: Self.dialect(version: texts.version))
    }

    /// The lines of a log that are understood, without the kernel's answers.
    public func lines(of log: [UInt8]) -> [OracleLine] {
        OracleReader.lines(of: log).compactMap { $0.line(weights: weights) }
    }

    /// Our answers to all requests for blocks of pages, by sequence number.
    public func answers(to lines: [OracleLine]) -> [Int: OracleZone.Name?] {
        var answers: [Int: OracleZone.Name?] = [:]
        for case .request(let request) in lines where request.call != .contiguous {
            answers[request.sequence] = .some(answer(request))
        }
        return answers
    }

    /// The zone that serves a request for a block of pages by our rules; nil for a refusal.
    ///
    /// Contradictory zone bits are read as the kernel reads them.
    public func answer(_ request: OracleRequest) -> OracleZone.Name? {
        guard let order = Order(Int(request.size)) else { return nil }
        var control = AllocationControl(flags: request.flags, order: order)
        switch request.call {
        case .byPolicy: control.memoryPolicy = request.policy
        case .onNode, .withMask, .contiguous: control.node = node(of: request)
        }
        let call = AllocationRequest(
            control: control, cpu: machine.nodeIndex(ofCPU: request.cpu) == nil ? nil : request.cpu,
            interleave: request.interleave)
        let mask = request.nodeMask == 0 ? nil : nodes(in: request.nodeMask)
        // What could never be met is refused like what cannot be met now.
        let zone = try? machine.place(
            call, amid: records(of: request.state), contradictions: .readAsDMA, nodeMask: mask)
        return zone.map {
            OracleZone.Name(node: machine.zones[$0].node, type: machine.zones[$0].type)
        }
    }

    /// What was named, or the nearest node with memory to the CPU (`numa_mem_id`).
    func node(of request: OracleRequest) -> NodeID? {
        request.node ?? zones.cpus.first { $0.number == request.cpu }?.memoryNode
    }

    func nodes(in mask: UInt64) -> [NodeID] {
        machine.nodes.map(\.id).filter { $0.rawValue < 64 && mask >> UInt64($0.rawValue) & 1 == 1 }
    }

    /// In the order of the machine's zones; a zone that the state leaves out is empty.
    private func records(of state: [OracleZoneState]) -> [RecordedZone] {
        machine.zones.map { zone in
            let name = OracleZone.Name(node: zone.node, type: zone.type)
            return state.first { $0.name == name }?.record
                ?? RecordedZone(counters: ZoneCounters(freePages: 0, freeOrders: FreeOrders()))
        }
    }

    /// What an administrator may set; what the text does not give is as at boot.
    static func settings(sysctl: String) -> Topology.WatermarkSettings {
        var settings = Topology.WatermarkSettings()
        for line in TextLine.lines(of: sysctl) {
            let numbers = line.words.dropFirst().compactMap { UInt64(decimal: $0) }
            guard let first = numbers.first else { continue }
            switch line.words[0] {
            case "min_free_kbytes:": settings.minFreeKbytes = first
            case "watermark_scale_factor:": settings.watermarkScaleFactor = first
            case "lowmem_reserve_ratio:": settings.lowmemReserveRatio = numbers
            default: break
            }
        }
        return settings
    }

    // MARK: Machine

    /// `__GFP_ATOMIC` went, and other bits moved, with Linux 6.3.
    private static func dialect(version: String) -> KernelDialect {
        let words = TextLine.lines(of: version).first?.words ?? []
        let numbers = (words.count > 2 ? words[2] : "").split(separator: ".").prefix(2)
            .map { UInt64(decimal: $0.prefix { $0.isNumber }) ?? 0 }
        guard numbers.count == 2 else { return .linux612 }
        return (numbers[0], numbers[1]) < (6, 3) ? .linux61 : .linux612
    }

    private static func machine(
        _ zones: OracleZones, sysfs: SysfsNodes, dialect: KernelDialect
    ) throws(ImportFailure) -> Machine {
        var numbers = Set(sysfs.nodes + zones.nodes + zones.zones.map(\.name.node))
        numbers.formUnion(zones.cpus.map(\.node))
        let nodes = numbers.sorted().map { node in
            let cpus = zones.cpus.filter { $0.node == node }.map(\.number)
            return Node(id: node, cpus: cpus.isEmpty ? sysfs.cpus[node] ?? [] : cpus.sorted())
        }
        do throws(MachineFault) {
            return try Machine(
                dialect: dialect, nodes: nodes, zoneTypes: ZoneType.allCases,
                zones: placed(zones.zones),
                distances: sysfs.nodes == nodes.map(\.id)
                    ? sysfs.distances ?? Machine.distances(ofNodes: nodes.count)
                    : Machine.distances(ofNodes: nodes.count))
        } catch {
            throw .machine(error)
        }
    }

    /// One zone after the other, each from a multiple of the largest block, with a gap between two.
    private static func placed(_ zones: [OracleZone]) -> [Zone] {
        let block = Order.max.pageCount
        var next: UInt64 = 0
        return zones.sorted { ($0.name.node, $0.name.type) < ($1.name.node, $1.name.type) }.map {
            zone in
            let start = PageFrameNumber(next)
            let present = min(zone.presentPages, Machine.maximumSpannedPages)
            let managed = min(zone.managedPages, present)
            next += (present / block + 2) * block
            return Zone(
                node: zone.name.node, type: zone.name.type, startPFN: start, spannedPages: present,
                presentRanges: present == 0 ? [] : [FrameRange(start, start + present)],
                managedRanges: managed == 0 ? [] : [FrameRange(start, start + managed)],
                watermarks: zone.watermarks, lowmemReserve: zone.lowmemReserve)
        }
    }
}
