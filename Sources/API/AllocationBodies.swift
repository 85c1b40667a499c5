// The bodies of requests about pages.

import JSON
import Ledger
import PageAllocator

/// The body of `POST …/allocations`.
struct AllocationBody: Sendable {
    var controlName: String?
    var fields = ControlFields()
    var additionalFlags: GFPFlags = []
    var cpu: Int?
    var owner: String?
    var labels: [Label] = []
    var ttlSeconds: UInt32?

    /// How long it may wait for frees, where it may wait at all; nil: not.
    var waitMilliseconds: UInt32?

    /// An empty body is `{}`.
    init(
        _ bytes: [UInt8], _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) {
        guard !bytes.isEmpty else {
            self.init()
            return
        }
        var reader = JSONReader(bytes)
        try self.init(&reader, dialect, known)
        try reader.finish()
    }

    init(
        _ reader: inout JSONReader, _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) {
        self.init()
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "control": controlName = try reader.readName()
            case "allocation_control": fields = try known.fields(from: &reader, dialect)
            case "additional_flags": additionalFlags = try reader.readFlags(dialect)
            case "cpu": cpu = try reader.readCPU()
            case "owner": owner = try reader.readOwner()
            case "labels": labels = try reader.readLabels()
            case "ttl_seconds": ttlSeconds = try reader.readTTL()
            case "wait_ms": waitMilliseconds = try reader.readWait()
            default: throw JSONReader.unknownMember(key)
            }
        }
    }

    private init() {}

    /// The record of the request, on a machine that holds the named control.
    func record(on machine: SimulatedMachine) throws(Problem) -> AllocationRecord {
        var control = try machine.storedControl(controlName)
        try fields.lay(over: &control, at: "/allocation_control")
        return AllocationRecord(
            controlName: controlName,
            request: AllocationRequest(
                control: control, additionalFlags: additionalFlags, cpu: cpu),
            dialect: machine.allocator.machine.dialect, owner: owner, labels: labels,
            ttlSeconds: ttlSeconds)
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
        if controlName != nil {
            return try Self.order(of: try machine.storedControl(controlName), at: "/control")
        }
        guard let fields else { return nil }
        var control = AllocationControl()
        let pointer: StaticString = "/allocation_control"
        try fields.lay(over: &control, at: pointer)
        return try Self.order(of: control, at: pointer)
    }

    private static func order(
        of control: AllocationControl, at pointer: StaticString
    ) throws(Problem) -> Order {
        guard control.pages == nil else {
            throw Problem(
                at: "\(pointer)", "must not ask for pages: a run is freed by its allocation's id")
        }
        return control.order
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
