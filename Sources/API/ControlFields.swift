// An `allocation_control` as a body has it, and how it is laid over a stored one.

import JSON
import PageAllocator

/// The limits of an `allocation_control`'s values that do not follow from their types.
enum ControlLimits {
    /// Pages of a grant: as many as all machines together may have.
    static let pages = Machine.maximumSpannedPages

    /// Runs into which the pages of one grant may be divided.
    static let segments = 64
}

/// The members of a body's `allocation_control`: what is not there is nil.
struct ControlFields: Sendable {
    var flags: GFPFlags?
    var order: Order?

    /// The inner nil is -1: no node is named.
    var node: NodeID??
    var lowBoundary: UInt64?
    var highBoundary: UInt64?

    /// nil where there is none of these members.
    var placement: PlacementFields?

    init() {}

    init(_ reader: inout JSONReader, _ dialect: KernelDialect) throws(JSONError) {
        self.init()
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "flags": flags = try reader.readFlags(dialect)
            case "order": order = try reader.readOrder()
            case "node": node = .some(try reader.readNode())
            case "low_boundary": lowBoundary = try reader.readAddress()
            case "high_boundary": highBoundary = try reader.readAddress()
            default:
                let placement = self.placement ?? PlacementFields()
                try placement.read(key, from: &reader)
                self.placement = placement
            }
        }
        if placement?.pages != nil, order != nil {
            throw JSONError(pointer: "/pages", detail: "must not be given together with order")
        }
    }

    /// The whole of a body is one control.
    init(body: [UInt8], _ dialect: KernelDialect) throws(JSONError) {
        var reader = JSONReader(body)
        try self.init(&reader, dialect)
        try reader.finish()
    }

    /// Lays these fields over a control that keeps the rules, field by field. `order` takes the
    /// place of the control's `pages`, and `pages` that of its `order`.
    ///
    /// - Parameter pointer: where the fields are in the body.
    /// - Throws: where fields contradict each other, here or with the control's.
    func lay(over control: inout AllocationControl, at pointer: StaticString) throws(Problem) {
        if let flags { control.flags = flags }
        if let order {
            control.order = order
            (control.pages, control.maxSegments) = (nil, 1)
        }
        if let node { control.node = node }
        if let lowBoundary { control.lowBoundary = lowBoundary }
        if let highBoundary { control.highBoundary = highBoundary }
        try placement?.lay(over: &control, at: pointer)
    }
}

/// The members that say more of the pages' place, and are in few requests: kept out of line, so
/// that the others carry a reference that is nil. Written to while the body is read, by one thread,
/// and never after: so it may go to another.
final class PlacementFields: @unchecked Sendable {
    var memoryPolicy: MemoryPolicy?
    var allowedNodes: [NodeID]?
    var alignment: UInt64?
    var phase: UInt64?
    var boundary: UInt64?
    var pages: UInt64?
    var maxSegments: Int?
    var fit: Fit?

    /// Reads the member of that name.
    func read(_ key: borrowing JSONKey, from reader: inout JSONReader) throws(JSONError) {
        switch key {
        case "mempol": memoryPolicy = try reader.readMemoryPolicy()
        case "mems_allowed": allowedNodes = try reader.readNodeMask()
        case "alignment": alignment = try reader.readPowerOfTwo()
        case "phase": phase = try reader.readByteCount()
        case "boundary": boundary = try reader.readPowerOfTwo()
        case "pages": pages = try reader.readPageCount()
        case "max_segments": maxSegments = try reader.readSegmentCount()
        case "fit": fit = try reader.readFit()
        default: throw JSONReader.unknownMember(key)
        }
    }

    fileprivate func lay(
        over control: inout AllocationControl, at pointer: StaticString
    ) throws(Problem) {
        if let memoryPolicy { control.memoryPolicy = memoryPolicy }
        if let allowedNodes { control.allowedNodes = allowedNodes }
        if let alignment {
            control.alignment = alignment
            // A phase means nothing without the alignment that it is counted from.
            if alignment == 0 { control.phase = 0 }
        }
        if let phase { control.phase = phase }
        if let boundary { control.boundary = boundary }
        if let pages { (control.pages, control.order) = (pages, .zero) }
        if let maxSegments { control.maxSegments = maxSegments }
        if let fit { control.fit = fit }
        if control.phase > 0, control.phase >= control.alignment {
            throw Problem(at: "\(pointer)/phase", "must be less than alignment")
        }
        if control.maxSegments > 1, control.pages == nil {
            throw Problem(at: "\(pointer)/max_segments", "must be 1 unless pages is given")
        }
    }
}
