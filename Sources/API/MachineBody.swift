// The body of `POST /v1/machines`: a topology document, texts of a running kernel in JSON, the text
// of `/proc/zoneinfo` itself, or an hwloc topology.

import JSON
import MachineImport
import PageAllocator

enum MachineBody {
    case topology(Topology)
    case kernelTexts(KernelTexts)

    /// XML, not read yet.
    case hwloc([UInt8], KernelDialect)

    struct KernelTexts {
        var zoneinfo: String
        var iomem: String?
        var distances: [[Int]]?
        var cpus: [NodeID: [Int]]?
        var dialect: KernelDialect
    }

    /// A JSON body is kernel texts where it has a member `zoneinfo`, else a topology.
    ///
    /// - Parameter dialect: where the body names none.
    init(json bytes: [UInt8], _ dialect: KernelDialect = .linux612) throws(JSONError) {
        self =
            try Self.hasZoneinfo(bytes)
            ? .kernelTexts(try Self.kernelTexts(bytes, dialect))
            : .topology(try Self.topology(bytes, dialect))
    }

    /// - Throws: which field breaks which rule.
    func machine() throws(Problem) -> Machine {
        switch self {
        case .topology(let topology):
            do {
                return try Machine(topology: topology)
            } catch {
                throw Problem(error, in: topology)
            }
        case .kernelTexts(let texts):
            do {
                return try MachineImport.machine(
                    zoneinfo: texts.zoneinfo, iomem: texts.iomem, distances: texts.distances,
                    cpus: texts.cpus, dialect: texts.dialect)
            } catch {
                throw Problem(error)
            }
        case .hwloc(let document, let dialect):
            do {
                return try MachineImport.machine(hwloc: document, dialect: dialect)
            } catch .machine(let fault) {
                throw Problem(fault, at: "")
            } catch {
                throw Problem(error)
            }
        }
    }

    private static func hasZoneinfo(_ bytes: [UInt8]) throws(JSONError) -> Bool {
        var reader = JSONReader(bytes)
        var found = false
        try reader.readObject { (key, reader) throws(JSONError) in
            found = found || key == "zoneinfo"
            try reader.skipValue()
        }
        try reader.finish()
        return found
    }

    private static func topology(
        _ bytes: [UInt8], _ dialect: KernelDialect
    ) throws(JSONError) -> Topology {
        var reader = JSONReader(bytes)
        let topology = try reader.readTopology(dialect)
        try reader.finish()
        return topology
    }

    private static func kernelTexts(
        _ bytes: [UInt8], _ dialect: KernelDialect
    ) throws(JSONError) -> KernelTexts {
        var texts = KernelTexts(zoneinfo: "", dialect: dialect)
        var reader = JSONReader(bytes)
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "zoneinfo": texts.zoneinfo = try reader.readString()
            case "iomem": texts.iomem = try reader.readString()
            case "distances": texts.distances = try reader.readDistances()
            case "cpus": texts.cpus = try reader.readCPUsByNode()
            case "dialect": texts.dialect = try reader.readDialect()
            default: throw JSONReader.unknownMember(key)
            }
        }
        try reader.finish()
        return texts
    }
}

extension JSONReader {
    /// `{"0": [0, 1], "1": [2]}`.
    fileprivate mutating func readCPUsByNode() throws(JSONError) -> [NodeID: [Int]] {
        var cpus: [NodeID: [Int]] = [:]
        try readObject { (key, reader) throws(JSONError) in
            cpus[try reader.node(named: key.text)] = try reader.readCPUs()
        }
        return cpus
    }
}

extension Problem {
    /// A topology that is no machine: the rule, and the member that breaks it.
    init(_ fault: MachineFault, in topology: Topology) {
        self.init(fault, at: fault.subject.pointer(into: topology))
    }

    /// Kernel texts that are no machine, or a topology in XML that cannot be read.
    init(_ failure: ImportFailure) {
        switch failure {
        case .text(let source, let line, let rule):
            self.init(.invalidTopology, "line \(line) of \(source.rawValue): \(rule)")
            errors = [FieldError(pointer: source.pointer, detail: "line \(line): \(rule)")]
        case .machine(let fault):
            self.init(fault, at: fault.subject.pointerIntoTexts)
        }
    }

    fileprivate init(_ fault: MachineFault, at pointer: String) {
        self.init(.invalidTopology, pointer.isEmpty ? fault.rule : "\(pointer): \(fault.rule)")
        errors = [FieldError(pointer: pointer, detail: fault.rule)]
    }
}

extension MachineFault.Subject {
    /// Into a topology document.
    fileprivate func pointer(into topology: Topology) -> String {
        switch self {
        case .nodes: "/nodes"
        case .node(let id), .zone(let id, _): topology.pointer(toNode: id)
        case .memory(let id, let range): topology.pointer(toNode: id) + "/memory/\(range)"
        case .distances: "/distances"
        case .zoneTypes: "/zones"
        case .zoneLimit(let type): "/zones/\(type.name)"
        case .reserved(let range): "/reserved/\(range)"
        case .watermarkSettings: "/watermarks"
        case .machine: ""
        }
    }

    /// Into a document of kernel texts.
    fileprivate var pointerIntoTexts: String {
        switch self {
        case .distances: "/distances"
        case .node: "/cpus"
        default: "/zoneinfo"
        }
    }
}

extension Topology {
    /// Of several nodes with one number, the last is the one too many.
    fileprivate func pointer(toNode id: NodeID) -> String {
        nodes.lastIndex { $0.id == id }.map { "/nodes/\($0)" } ?? "/nodes"
    }
}

extension ImportFailure.Source {
    fileprivate var pointer: String {
        switch self {
        case .zoneinfo: "/zoneinfo"
        case .iomem: "/iomem"
        case .nodes, .cpulist: "/cpus"
        case .hwloc: ""
        }
    }
}
