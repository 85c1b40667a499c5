// An entry as bytes: one fixed binary layout, which knows nothing of how entries are kept. The
// chain of hashes is made of these bytes, so the same entry must be the same bytes for ever.
//
// How values are written: `CanonicalBuffer`. Numbers of enums are those that the ledger keeps
// (`LedgerKind`, `LedgerOutcome`, `ZoneType`, `Migratetype`); the others are written as names.
// `?` marks an optional value, `[n]` a list with its count as n.
//
//   magic               4 bytes "gfpE"
//   version             u16     1; 2 where there is a traceparent
//   sequence            u64
//   time                i64     microseconds since 1970
//   machine             u64
//   kind, outcome       u8 ×2
//   request id          text
//   principal           text?
//   idempotency key     (text, fingerprint u32 length and bytes)?
//   traceparent         text    in version 2 alone
// and then by kind:
//   machine_created     name text, machine u32 length and its own canonical bytes
//   machine_deleted     name text
//   control_put         name text, dialect text, control
//   control_deleted     name text
//   allocate            asked; granted: grant; refused: reason text
//   free                target; done: freed; refused: reason text
//   lease_renewed       allocation u64, ttl u32; refused: reason text
//   lease_expired       freed
// where
//   asked               control name text?, dialect text, control, additional flags u32, cpu i64?,
//                       turn before, turn after ?, owner text?, labels [u16] of (name, value) text,
//                       ttl u32?
//   turn                previous node u16, weight left u8
//   control             flags u32, order u8, node u16?, low and high boundary u64 ×2, policy ?,
//                       allowed nodes ([u16] of u16)?, alignment, phase, boundary u64 ×3,
//                       pages u64?, segments i64, fit text
//   policy              mode u8, flags u32, nodes [u16] of u16, home node u16?,
//                       weights [u16] of (node u16, pages u8)
//   grant               order u8?, segments [u32] of (first frame u64, one past the last u64),
//                       node u16, zone u8, migratetype u8, compound u8,
//                       changes [u32] of change, numa ?
//   change              u8: 0 retyped, 1 moved: frames u64 ×2, migratetype u8; 2 boosted: pages
//                       u64; 3 advanced: frame u64
//   numa                preferred, local i64 ×2, interleave hit u8
//   target              u8: 0 allocation u64; 1 page: frame u64, order u8?
//   freed               allocation u64, first frame u64, order u8?, node u16, zone u8, pages u64,
//                       ranges [u32] of (first frame u64, one past the last u64)
//
// What a later version adds is written in a version of its own, and only where an entry has it: the
// entries of today keep their bytes.

import PageAllocator

private enum Layout {
    static let magic: [UInt8] = Array("gfpE".utf8)
    static let version: UInt16 = 1
    static let versionWithTraceParent: UInt16 = 2
}

extension LedgerEntry {
    /// The entry in its canonical layout.
    public var canonicalBytes: [UInt8] {
        var buffer = CanonicalBuffer()
        writeCanonicalBytes(to: &buffer)
        return buffer.bytes
    }

    /// Adds the entry in its canonical layout.
    public func writeCanonicalBytes(to buffer: inout CanonicalBuffer) {
        buffer.write(raw: Layout.magic)
        buffer.write(traceParent == nil ? Layout.version : Layout.versionWithTraceParent)
        buffer.write(sequence.rawValue)
        buffer.write(time.microseconds)
        buffer.write(machine.rawValue)
        buffer.write(UInt8(kind.rawValue))
        buffer.write(UInt8(outcome.rawValue))
        buffer.write(requestID)
        buffer.write(optional: principal)
        buffer.write(presence: idempotency)
        if let idempotency {
            buffer.write(idempotency.key)
            buffer.write(idempotency.fingerprint)
        }
        if let traceParent { buffer.write(traceParent) }
        buffer.write(event)
    }
}

extension CanonicalBuffer {
    fileprivate mutating func write(_ event: LedgerEvent) {
        switch event {
        case .machineCreated(let name, let machine):
            write(name)
            write(machine.canonicalBytes)
        case .machineDeleted(let name), .controlDeleted(let name):
            write(name)
        case .controlPut(let name, let control, let dialect):
            write(name)
            write(dialect.rawValue)
            write(control)
        case .granted(let asked, let grant):
            write(asked)
            write(grant)
        case .refused(let asked, let reason):
            write(asked)
            write(reason.name)
        case .freed(let named, let freed):
            write(named.target)
            write(freed)
        case .freeRefused(let named, let reason):
            write(named.target)
            write(reason.rawValue)
        case .leaseRenewed(let lease):
            write(lease)
        case .leaseRenewalRefused(let lease, let reason):
            write(lease)
            write(reason.rawValue)
        case .leaseExpired(let freed):
            write(freed)
        }
    }

    // MARK: What was asked for

    private mutating func write(_ asked: AllocationRecord) {
        write(optional: asked.controlName)
        write(asked.dialect.rawValue)
        write(asked.request.control)
        write(asked.request.additionalFlags.rawValue)
        write(optional: asked.request.cpu.map { Int64($0) })
        write(asked.request.interleave)
        write(presence: asked.interleaveAfter)
        if let after = asked.interleaveAfter { write(after) }
        write(optional: asked.owner)
        write(count: asked.labels, as: UInt16.self)
        for label in asked.labels {
            write(label.name)
            write(label.value)
        }
        write(optional: asked.ttlSeconds)
    }

    private mutating func write(_ turn: InterleaveState) {
        write(turn.previous)
        write(turn.weightLeft)
    }

    private mutating func write(_ control: AllocationControl) {
        write(control.flags.rawValue)
        write(control.order)
        write(optional: control.node.map { UInt16($0.rawValue) })
        write(control.lowBoundary)
        write(control.highBoundary)
        write(presence: control.memoryPolicy)
        if let policy = control.memoryPolicy { write(policy) }
        write(presence: control.allowedNodes)
        if let nodes = control.allowedNodes { write(nodes) }
        write(control.alignment)
        write(control.phase)
        write(control.boundary)
        write(optional: control.pages)
        write(Int64(control.maxSegments))
        write(control.fit.rawValue)
    }

    private mutating func write(_ policy: MemoryPolicy) {
        write(UInt8(policy.mode.rawValue))
        write(policy.flags.rawValue)
        write(policy.nodes)
        write(optional: policy.homeNode.map { UInt16($0.rawValue) })
        write(count: policy.weights, as: UInt16.self)
        for weight in policy.weights {
            write(weight.node)
            write(weight.pages)
        }
    }

    private mutating func write(_ target: FreeRecord.Target) {
        switch target {
        case .allocation(let id):
            write(UInt8(0))
            write(id.rawValue)
        case .page(let pfn, let order):
            write(UInt8(1))
            write(pfn.rawValue)
            write(optional: order.map { UInt8($0.rawValue) })
        }
    }

    private mutating func write(_ lease: LeaseRecord) {
        write(lease.allocation.rawValue)
        write(lease.ttlSeconds)
    }

    // MARK: What became of it

    private mutating func write(_ grant: GrantRecord) {
        write(optional: grant.order.map { UInt8($0.rawValue) })
        write(UInt32(1 + grant.furtherSegments.count))
        write(grant.frames)
        for segment in grant.furtherSegments {
            write(segment)
        }
        write(grant.node)
        write(UInt8(grant.zone.rawValue))
        write(UInt8(grant.migratetype.rawValue))
        write(UInt8(grant.isCompound ? 1 : 0))
        write(count: grant.changes, as: UInt32.self)
        for change in grant.changes {
            write(change)
        }
        write(presence: grant.numa)
        if let numa = grant.numa {
            write(Int64(numa.preferred))
            write(Int64(numa.local))
            write(UInt8(numa.isInterleaveHit ? 1 : 0))
        }
    }

    private mutating func write(_ change: ZoneChange) {
        switch change {
        case .retyped(let frames, let type):
            write(UInt8(0))
            write(frames)
            write(UInt8(type.rawValue))
        case .moved(let frames, let type):
            write(UInt8(1))
            write(frames)
            write(UInt8(type.rawValue))
        case .boosted(let pages):
            write(UInt8(2))
            write(pages)
        case .advanced(let frame):
            write(UInt8(3))
            write(frame.rawValue)
        }
    }

    private mutating func write(_ freed: FreedRecord) {
        write(freed.allocation.rawValue)
        write(freed.pfn.rawValue)
        write(optional: freed.order.map { UInt8($0.rawValue) })
        write(freed.node)
        write(UInt8(freed.zone.rawValue))
        write(freed.pages)
        write(count: freed.ranges, as: UInt32.self)
        for range in freed.ranges {
            write(range)
        }
    }

    // MARK: Values

    private mutating func write(_ frames: FrameRange) {
        write(frames.lowerBound.rawValue)
        write(frames.upperBound.rawValue)
    }

    private mutating func write(_ order: Order) {
        write(UInt8(order.rawValue))
    }

    private mutating func write(_ node: NodeID) {
        write(UInt16(node.rawValue))
    }

    private mutating func write(_ nodes: [NodeID]) {
        write(count: nodes, as: UInt16.self)
        for node in nodes {
            write(node)
        }
    }

    fileprivate mutating func write(optional text: String?) {
        write(presence: text)
        if let text { write(text) }
    }

    private mutating func write<Value: FixedWidthInteger & BitwiseCopyable>(
        optional value: Value?
    ) {
        write(presence: value)
        if let value { write(value) }
    }
}
