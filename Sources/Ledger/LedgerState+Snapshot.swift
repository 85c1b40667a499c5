// The whole state after an entry as bytes: what a ledger of millions of entries leads to, without
// the entries. It is derived: whoever has the entries can make it again.
//
// The same state is always the same bytes, in one versioned layout. Numbers are written as
// `SnapshotCoding` says; texts and bytes with their length before them. A machine's description is
// in it as the ledger has it (`Machine.canonicalBytes`), and what its allocator holds as
// `PageAllocator+Snapshot` says.
//
//   magic               4 bytes "gfpS"
//   version             1
//   last entry          sequence, time (microseconds)
//   names               count, and for each machine that ever was: id, name, dialect
//   machines            count, and for each one living:
//     id, name, time of creation, last entry about it
//     machine           canonical bytes
//     controls          count, and for each: `StoredControl.write`
//     leases            count, and for each, ascending by id: id, from the one before; expiry
//                       (microseconds), from the time of the last entry
//     allocator
//
// It is written in steps, so that a thread which others wait for can do it beside its work; the
// state must not change in between.

public import PageAllocator

private enum Layout {
    static let magic: [UInt8] = Array("gfpS".utf8)
    static let version: UInt64 = 1
}

// MARK: Writing

public struct SnapshotWriting {
    /// Grants that one step writes, about a millisecond's work.
    public static let grantsPerStep = 8192

    private let state: LedgerState
    private var writer = SnapshotWriter()

    /// The position among the machines of the one whose grants come next, and what it is told from;
    /// nil where that machine has not been begun.
    private var machine = 0
    private var grants: SnapshotGrantWriter?

    public init(_ state: LedgerState) {
        self.state = state
        for byte in Layout.magic { writer.write(UInt64(byte)) }
        writer.write(Layout.version)
        writer.write(state.lastSequence.rawValue)
        writer.write(signed: state.lastTime.microseconds)
        writer.write(state.names) { writer, name in
            writer.write(name.id.rawValue)
            writer.write(name.name)
            writer.write(name.dialect.rawValue)
        }
        writer.write(state.machines.count)
    }

    /// Writes some more; false once all is written.
    public mutating func step() -> Bool {
        guard machine < state.machines.count else { return false }
        let current = state.machines[machine]
        guard var grants else {
            current.writeSnapshotHead(to: &writer, state.lastTime)
            grants = SnapshotGrantWriter(current.allocator.machine)
            return true
        }
        let isMore = current.allocator.writeSnapshotGrants(
            Self.grantsPerStep, with: &grants, to: &writer)
        self.grants = isMore ? grants : nil
        if !isMore { machine += 1 }
        return machine < state.machines.count
    }

    /// What has been written.
    public var bytes: [UInt8] { writer.bytes }
}

extension LedgerState {
    /// The state in its canonical layout, version 1.
    public var snapshotBytes: [UInt8] {
        var writing = SnapshotWriting(self)
        while writing.step() {}
        return writing.bytes
    }
}

extension SimulatedMachine {
    fileprivate func writeSnapshotHead(to writer: inout SnapshotWriter, _ now: Timestamp) {
        writer.write(id.rawValue)
        writer.write(name)
        writer.write(signed: createdAt.microseconds)
        writer.write(lastSequence.rawValue)
        writer.write(allocator.machine.canonicalBytes)
        writer.write(controls) { writer, control in control.write(to: &writer) }
        var previous: UInt64 = 0
        writer.write(leases.all) { writer, lease in
            writer.write(lease.id.rawValue - previous)
            writer.write(signed: lease.expiry.microseconds &- now.microseconds)
            previous = lease.id.rawValue
        }
        allocator.writeSnapshotHead(to: &writer)
    }
}

// MARK: Reading

extension LedgerState {
    /// The state whose snapshot these bytes are.
    ///
    /// - Throws: `SnapshotFailure`, for any bytes that are not those of a state.
    public init(snapshotBytes: [UInt8]) throws(SnapshotFailure) {
        var reader = SnapshotReader(snapshotBytes)
        for byte in Layout.magic {
            guard try reader.readNumber() == UInt64(byte) else { throw .notASnapshot }
        }
        let version = try reader.readNumber()
        guard version == Layout.version else { throw .unknownVersion(version) }
        let lastSequence = Sequence(try reader.readNumber())
        let lastTime = Timestamp(microseconds: try reader.readSigned())
        let names = try reader.readList { (reader) throws(SnapshotFailure) in
            MachineName(
                id: MachineID(try reader.readNumber()), name: try reader.readText(),
                dialect: try reader.readDialect())
        }
        let machines = try reader.readList { (reader) throws(SnapshotFailure) in
            try SimulatedMachine(snapshot: &reader, lastTime)
        }
        try reader.expectEnd()
        guard Set(machines.map(\.name)).count == machines.count else {
            throw .contradiction("two machines of one name")
        }
        self.init(
            machines: machines, names: names, lastSequence: lastSequence, lastTime: lastTime)
    }
}

extension SimulatedMachine {
    fileprivate convenience init(
        snapshot reader: inout SnapshotReader, _ now: Timestamp
    ) throws(SnapshotFailure) {
        let id = MachineID(try reader.readNumber())
        let name = try reader.readText()
        let createdAt = Timestamp(microseconds: try reader.readSigned())
        let lastSequence = Sequence(try reader.readNumber())
        let machine = try reader.readMachine()
        let controls = try reader.readList { (reader) throws(SnapshotFailure) in
            try StoredControl(snapshot: &reader)
        }
        let leases = try reader.readLeases(now)
        self.init(
            id: id, name: name, createdAt: createdAt, lastSequence: lastSequence,
            controls: controls, leases: leases,
            allocator: try PageAllocator(machine: machine, snapshot: &reader))
        guard leases.all.allSatisfy({ allocator.liveGrant($0.id) != nil }) else {
            throw .contradiction("a lease of a grant that is not live")
        }
    }
}

extension SnapshotReader {
    fileprivate mutating func readMachine() throws(SnapshotFailure) -> Machine {
        let bytes = try readBytes()
        do throws(CanonicalBytesFailure) {
            return try Machine(canonicalBytes: bytes)
        } catch {
            throw .contradiction("a machine that is none: \(error)")
        }
    }

    fileprivate mutating func readLeases(_ now: Timestamp) throws(SnapshotFailure) -> Leases {
        var leases = Leases()
        var id: UInt64 = 0
        for _ in 0..<(try readCount()) {
            id &+= try readNumber()
            let expiry = Timestamp(microseconds: now.microseconds &+ (try readSigned()))
            leases.set(expiry, of: AllocationID(id))
        }
        return leases
    }
}
