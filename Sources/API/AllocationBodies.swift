// The bodies of requests about pages and controls.

import JSON
import Ledger
import PageAllocator

/// An `allocation_control` as a body has it: what is not there is nil.
struct ControlFields {
    var flags: GFPFlags?
    var order: Order?

    /// The inner nil is -1: no node is named.
    var node: NodeID??
    var lowBoundary: UInt64?
    var highBoundary: UInt64?

    init() {}

    init(_ reader: inout JSONReader, _ dialect: KernelDialect) throws(JSONError) {
        var fields = ControlFields()
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "flags": fields.flags = try reader.readFlags(dialect)
            case "order": fields.order = try reader.readOrder()
            case "node": fields.node = .some(try reader.readNode())
            case "low_boundary": fields.lowBoundary = try reader.readAddress()
            case "high_boundary": fields.highBoundary = try reader.readAddress()
            default: throw JSONReader.unknownMember(key)
            }
        }
        self = fields
    }

    /// The whole of a body is one control.
    init(body: [UInt8], _ dialect: KernelDialect) throws(JSONError) {
        var reader = JSONReader(body)
        try self.init(&reader, dialect)
        try reader.finish()
    }

    /// Lays these fields over a control, field by field.
    func applied(to base: AllocationControl) -> AllocationControl {
        var control = base
        if let flags { control.flags = flags }
        if let order { control.order = order }
        if let node { control.node = node }
        if let lowBoundary { control.lowBoundary = lowBoundary }
        if let highBoundary { control.highBoundary = highBoundary }
        return control
    }
}

/// The body of `POST …/allocations`.
struct AllocationBody {
    var controlName: String?
    var fields = ControlFields()
    var additionalFlags: GFPFlags = []
    var cpu: Int?
    var owner: String?
    var labels: [Label] = []

    /// An empty body is `{}`.
    init(_ bytes: [UInt8], _ dialect: KernelDialect) throws(JSONError) {
        if bytes.isEmpty { return }
        var body = self
        var reader = JSONReader(bytes)
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "control": body.controlName = try reader.readName()
            case "allocation_control": body.fields = try ControlFields(&reader, dialect)
            case "additional_flags": body.additionalFlags = try reader.readFlags(dialect)
            case "cpu": body.cpu = try reader.readCPU()
            case "owner": body.owner = try reader.readOwner()
            case "labels": body.labels = try reader.readLabels()
            default: throw JSONReader.unknownMember(key)
            }
        }
        try reader.finish()
        self = body
    }

    /// The record of the request, on a machine that holds the named control.
    func record(on machine: SimulatedMachine) throws(Problem) -> AllocationRecord {
        let control = fields.applied(to: try machine.storedControl(controlName))
        return AllocationRecord(
            controlName: controlName,
            request: AllocationRequest(
                control: control, additionalFlags: additionalFlags, cpu: cpu),
            dialect: machine.allocator.machine.dialect, owner: owner, labels: labels)
    }
}

/// The body of `POST …/pages/{pfn}/free`: none for `free_a_page`; else what says how many pages.
struct FreeBody {
    var order: Order?
    var controlName: String?
    var fields: ControlFields?

    init(_ bytes: [UInt8], _ dialect: KernelDialect) throws(Problem) {
        if bytes.isEmpty { return }
        var body = self
        var members = 0
        do throws(JSONError) {
            var reader = JSONReader(bytes)
            try reader.readObject { (key, reader) throws(JSONError) in
                members += 1
                switch key {
                case "order": body.order = try reader.readOrder()
                case "control": body.controlName = try reader.readName()
                case "allocation_control": body.fields = try ControlFields(&reader, dialect)
                default: throw JSONReader.unknownMember(key)
                }
            }
            try reader.finish()
        } catch {
            throw Problem(error)
        }
        guard members <= 1 else {
            throw Problem(
                at: "", "must have only one of order, control and allocation_control")
        }
        self = body
    }

    /// The order to free; nil for `free_a_page`.
    func order(on machine: SimulatedMachine) throws(Problem) -> Order? {
        if let order { return order }
        if controlName != nil { return try machine.storedControl(controlName).order }
        return fields?.applied(to: AllocationControl()).order
    }
}

extension SimulatedMachine {
    /// The control of that name; the RFC's defaults where none is named.
    fileprivate func storedControl(_ name: String?) throws(Problem) -> AllocationControl {
        guard let name else { return AllocationControl() }
        guard let stored = control(named: name) else {
            throw Problem(.controlNotFound, at: "/control", "names no control of this machine")
        }
        return stored.control
    }
}
