// A service over a ledger in memory, with a clock that the test sets.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

final class TestClock {
    var now = Timestamp(microseconds: 1_000_000)

    func advance(microseconds: Int64) {
        now = Timestamp(microseconds: now.microseconds + microseconds)
    }

    func advance(seconds: Int64) {
        advance(microseconds: seconds * 1_000_000)
    }
}

/// A service, and short ways to ask it for something.
final class ServiceBench {
    let clock = TestClock()
    let service: AllocationService
    private var calls = 0

    init(over ledger: any Ledger) throws(RecoveryFailure) {
        let clock = self.clock
        service = try AllocationService(ledger: ledger) { clock.now }
    }

    /// A new request id with each call.
    var caller: AllocationService.Caller {
        calls += 1
        return AllocationService.Caller(requestID: "request-\(calls)")
    }

    @discardableResult
    func create(_ name: String, _ machine: Machine) throws(ServiceFailure) -> SimulatedMachine {
        try service.createMachine(named: name, machine, for: caller)
    }

    @discardableResult
    func allocate(
        _ control: AllocationControl = AllocationControl(), on machine: SimulatedMachine,
        if precondition: Precondition = .none
    ) throws(ServiceFailure) -> LedgerEntry {
        try service.allocate(
            Self.record(control), on: machine, if: precondition, for: caller)
    }

    /// Allocates what a stored or built-in control asks for.
    @discardableResult
    func allocate(
        by name: String, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> LedgerEntry {
        try service.allocate(try record(by: name, on: machine), on: machine, for: caller)
    }

    func record(
        by name: String, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> AllocationRecord {
        var record = Self.record(try service.control(named: name, on: machine).control)
        record.controlName = name
        return record
    }

    @discardableResult
    func put(
        _ name: String, _ control: AllocationControl, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> StoredControl {
        try service.putControl(named: name, control, on: machine, for: caller).stored
    }

    @discardableResult
    func free(
        _ target: FreeRecord.Target, on machine: SimulatedMachine,
        if precondition: Precondition = .none
    ) throws(ServiceFailure) -> (freed: Freed, entry: LedgerEntry) {
        try service.free(target, on: machine, if: precondition, for: caller)
    }

    /// Allocates pages that are granted for so long.
    @discardableResult
    func lease(
        _ control: AllocationControl = AllocationControl(), seconds: UInt32,
        on machine: SimulatedMachine
    ) throws(ServiceFailure) -> AllocationID {
        let record = Self.record(control, ttlSeconds: seconds)
        let entry = try service.allocate(record, on: machine, for: caller)
        return AllocationID(entry.sequence.rawValue)
    }

    @discardableResult
    func renew(
        _ id: AllocationID, seconds: UInt32, on machine: SimulatedMachine,
        if precondition: Precondition = .none
    ) throws(ServiceFailure) -> LedgerEntry {
        try service.renew(
            id, ttlSeconds: seconds, on: machine, if: precondition, for: caller
        ).renewal
    }

    static func record(
        _ control: AllocationControl, ttlSeconds: UInt32? = nil
    ) -> AllocationRecord {
        AllocationRecord(
            request: AllocationRequest(control: control), dialect: .linux612,
            ttlSeconds: ttlSeconds)
    }
}

extension ServiceFailure {
    var isOfTheLedger: Bool { self == .ledger(FaultyLedger.failure) }
}

extension ServiceBench {
    /// The reason for which a free is refused; nil where it is not.
    func refusal(
        of free: (ServiceBench) throws -> (freed: Freed, entry: LedgerEntry)
    ) -> FreeFailure? {
        do {
            _ = try free(self)
            return nil
        } catch ServiceFailure.freeRefused(let failure, _) {
            return failure
        } catch {
            Issue.record("another failure: \(error)")
            return nil
        }
    }
}
