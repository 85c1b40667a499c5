// Without room on the disk nothing is decided; with room again everything goes on.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

/// Room that a test gives and takes.
private final class TestDisk {
    var free = UInt64.max
    private(set) var looks = 0

    func look() throws(LedgerFailure) -> UInt64 {
        looks += 1
        return free
    }
}

@Suite("AllocationService on a full disk")
struct StorageRoomTests {
    private let disk = TestDisk()
    private let ledger = MemoryLedger()
    private let caller = AllocationService.Caller(requestID: "test")

    private func service() throws -> AllocationService {
        let disk = self.disk
        return try AllocationService(
            ledger: ledger, freeBytes: { () throws(LedgerFailure) in try disk.look() },
            clock: { Timestamp(microseconds: 1) })
    }

    private func allocate(
        _ service: AllocationService, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> LedgerEntry {
        let record = AllocationRecord(request: AllocationRequest(), dialect: .linux612)
        return try service.allocate(record, on: machine, for: caller)
    }

    @Test("every verb is refused, nothing changes, and all goes on when there is room")
    func everyVerb() throws {
        let service = try service()
        let machine = try service.createMachine(
            named: "m", TestWorld.oneNode.machine, for: caller)
        _ = try service.putControl(named: "c", AllocationControl(), on: machine, for: caller)
        let granted = try allocate(service, on: machine)
        try service.commit()
        let before = LedgerStateImage(service.state)

        disk.free = LedgerLimits.reservedBytes - 1
        let refusal = ServiceFailure.insufficientStorage(freeBytes: disk.free)
        #expect(throws: refusal) { try service.checkLedger() }
        #expect(throws: refusal) { try allocate(service, on: machine) }
        let target = FreeRecord.Target.allocation(AllocationID(granted.sequence.rawValue))
        #expect(throws: refusal) { try service.free(target, on: machine, for: caller) }
        #expect(throws: refusal) {
            try service.putControl(named: "c", AllocationControl(), on: machine, for: caller)
        }
        #expect(throws: refusal) {
            try service.deleteControl(named: "c", on: machine, for: caller)
        }
        #expect(throws: refusal) {
            try service.createMachine(named: "n", TestWorld.holes.machine, for: caller)
        }
        for force in [false, true] {
            #expect(throws: refusal) {
                try service.deleteMachine(machine, force: force, for: caller)
            }
        }
        try service.commit()
        try service.housekeep()
        #expect(ledger.committed.count == 3)
        #expect(LedgerStateImage(service.state) == before)

        disk.free = LedgerLimits.reservedBytes
        try service.commit()
        #expect(try allocate(service, on: machine).sequence == Sequence(4))
        _ = try service.free(target, on: machine, for: caller)
        try service.commit()
        #expect(ledger.committed.count == 5)
    }

    @Test("a turn looks once, and all of it is treated alike")
    func onceATurn() throws {
        let service = try service()
        let machine = try service.createMachine(
            named: "m", TestWorld.oneNode.machine, for: caller)
        disk.free = 0
        for _ in 0..<5 { _ = try allocate(service, on: machine) }
        #expect(disk.looks == 1)
        try service.commit()
        #expect(disk.looks == 1)
        #expect(throws: ServiceFailure.insufficientStorage(freeBytes: 0)) {
            try allocate(service, on: machine)
        }
        disk.free = .max
        #expect(throws: ServiceFailure.insufficientStorage(freeBytes: 0)) {
            try allocate(service, on: machine)
        }
        #expect(disk.looks == 2)
        try service.commit()
        _ = try allocate(service, on: machine)
        #expect(disk.looks == 3)
    }

    @Test("what frees many allocations needs room for each of them")
    func forcedDeletion() throws {
        let service = try service()
        let machine = try service.createMachine(
            named: "m", TestWorld.oneNode.machine, for: caller)
        for _ in 0..<8 { _ = try allocate(service, on: machine) }
        try service.commit()
        let needed = LedgerLimits.reservedBytes + 8 * LedgerLimits.bytesPerEntry
        disk.free = needed - 1
        #expect(throws: ServiceFailure.insufficientStorage(freeBytes: needed - 1)) {
            try service.deleteMachine(machine, force: true, for: caller)
        }
        #expect(machine.allocator.liveGrantCount == 8)
        disk.free = needed
        try service.commit()
        let deletion = try service.deleteMachine(machine, force: true, for: caller)
        #expect(deletion.freedAllocations == 8)
    }

    @Test("a file system that does not say ends the service")
    func noAnswer() throws {
        let failure = LedgerFailure(.storage, "statvfs")
        let service = try AllocationService(
            ledger: ledger, freeBytes: { () throws(LedgerFailure) in throw failure },
            clock: { Timestamp(microseconds: 1) })
        #expect(throws: ServiceFailure.ledger(failure)) {
            try service.createMachine(named: "m", TestWorld.oneNode.machine, for: caller)
        }
        #expect(throws: failure) { try service.commit() }
        #expect(ledger.pending == [])
    }
}
