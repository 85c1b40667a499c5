// A ledger as version 1 of its tables had it: the rows that a gfpd of that version wrote in a short
// life, as SQL, and the entries that they are.

import Ledger
import PageAllocator
import SQLite
import TestSupport

@testable import SQLiteLedger

enum Version1Ledger {
    /// Puts the ledger into a new directory.
    static func write(to bench: LedgerBench) throws {
        let connection = try bench.raw()
        try connection.execute(String(decoding: PackageResources._001_ledger_sql, as: UTF8.self))
        try connection.execute("PRAGMA application_id = \(LedgerSchema.applicationID)")
        try connection.execute("PRAGMA user_version = 1")
        try connection.execute(rows)
    }

    /// The events of its entries. `machines` are those of its two documents.
    static func events(_ machines: (Machine, Machine)) -> [LedgerEvent] {
        let nic = AllocationControl(
            flags: [.dma, .noWarn], order: Order(sketched: 1), node: NodeID(sketched: 0),
            lowBoundary: 0x10_0000, highBoundary: 0xff_ffff)
        let movable = AllocationControl(
            flags: [.kernel, .movable, .highmem], order: Order(sketched: 2))
        let whole = FreeRecord(target: .allocation(AllocationID(6)))
        let page = FreeRecord(target: .page(PageFrameNumber(4101), order: nil))
        let block = FreeRecord(target: .page(PageFrameNumber(1), order: Order(sketched: 3)))
        let eight = AllocationControl(order: Order(sketched: 3))
        return [
            .machineCreated(name: "default", machine: machines.0),
            .controlPut(name: "nic", control: nic, dialect: .linux612),
            .controlPut(name: "gone", control: AllocationControl(), dialect: .linux612),
            .granted(asked(AllocationControl()), grant(4096, 0, .normal)),
            .granted(
                AllocationRecord(
                    controlName: "nic",
                    request: AllocationRequest(
                        control: nic, additionalFlags: .compound, cpu: 0),
                    dialect: .linux612, owner: "task:4711",
                    labels: [
                        Label(name: "driver", value: "e1000e"), Label(name: "irq", value: "9"),
                    ]),
                grant(256, 1, .dma, isCompound: true)),
            .granted(asked(movable), grant(4100, 2, .normal, .movable)),
            .refused(
                asked(AllocationControl(highBoundary: 7)), reason: .unsatisfiable(.windowTooSmall)),
            .controlDeleted(name: "gone"),
            .controlPut(
                name: "dma-32bit", control: AllocationControl(highBoundary: 0x7fff_ffff),
                dialect: .linux612),
            .freed(page, freed(6, 4101, 0, pages: 1)),
            .freeRefused(block, reason: .notAllocated),
            .freed(whole, freed(6, 4100, 2, pages: 3)),
            .freeRefused(whole, reason: .alreadyFreed),
            .machineCreated(name: "second", machine: machines.1),
            .granted(
                AllocationRecord(request: AllocationRequest(control: eight), dialect: .linux61),
                grant(0, 3, .normal)),
            .freed(
                FreeRecord(target: .allocation(AllocationID(15))), freed(15, 0, 3, pages: 8)),
            .machineDeleted(name: "second"),
        ]
    }

    private static func asked(_ control: AllocationControl) -> AllocationRecord {
        AllocationRecord(request: AllocationRequest(control: control), dialect: .linux612)
    }

    private static func grant(
        _ pfn: UInt64, _ order: Int, _ zone: ZoneType, _ migratetype: Migratetype = .unmovable,
        isCompound: Bool = false
    ) -> GrantRecord {
        GrantRecord(
            pfn: PageFrameNumber(pfn), order: Order(sketched: order), node: NodeID(sketched: 0),
            zone: zone, migratetype: migratetype, isCompound: isCompound)
    }

    private static func freed(
        _ id: UInt64, _ pfn: UInt64, _ order: Int, pages: UInt64
    ) -> FreedRecord {
        FreedRecord(
            allocation: AllocationID(id), pfn: PageFrameNumber(pfn), order: Order(sketched: order),
            node: NodeID(sketched: 0), zone: .normal, pages: pages)
    }

    /// Columns that are NULL are left out.
    private static let rows = """
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, machine_name, document
        ) VALUES (
            1, 1795410220082907, 1, 1, 3, 'first-start', 'default',
            x'6766704d01000a0000006c696e75782d362e313201000000010000000300020302000000000100\
        000000000000ff0f0000000000000100010000000000000000100000000000000100010000000000\
        0000001000000000000049000000000000005b000000000000006d00000000000000017f00000000\
        00000003000000000000000020000000000000002000000000000000000002001000000000000000\
        20000000000000010000100000000000000030000000000000010000100000000000000030000000\
        0000009300000000000000b700000000000000db0000000000000001ff0000000000000003000000\
        0000000000000000000000000000000000000000000a0000');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, dialect, flags,
            low_boundary, high_boundary, request_node, block_order
        ) VALUES (
            2, 1795410221528318, 1, 3, 3, 'r1', 'nic', 'linux-6.12', 8193, 1048576, 16777215, 0,
            1);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, dialect, flags,
            block_order
        ) VALUES (
            3, 1795410221540936, 1, 3, 3, 'r2', 'gone', 'linux-6.12', 3264, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, pfn, block_order,
            node, zone, migratetype, compound
        ) VALUES (
            4, 1795410221554078, 1, 5, 1, 'r3', 'linux-6.12', 3264, 4096, 0, 0, 2, 0, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, owner, dialect, flags,
            additional_flags, low_boundary, high_boundary, request_node, request_cpu, labels,
            pfn, block_order, node, zone, migratetype, compound
        ) VALUES (
            5, 1795410221571751, 1, 5, 1, 'r4', 'nic', 'task:4711', 'linux-6.12', 8193, 262144,
            1048576, 16777215, 0, 0, 'driver=e1000e
        irq=9', 256, 1, 0, 0, 0, 1);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, pfn, block_order,
            node, zone, migratetype, compound
        ) VALUES (
            6, 1795410221584592, 1, 5, 1, 'r5', 'linux-6.12', 3274, 4100, 2, 0, 2, 1, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, high_boundary,
            block_order, reason
        ) VALUES (
            7, 1795410221598108, 1, 5, 2, 'r6', 'linux-6.12', 3264, 7, 0, 'window_too_small');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control
        ) VALUES (
            8, 1795410221613648, 1, 4, 3, 'r7', 'gone');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, dialect, flags,
            high_boundary, block_order
        ) VALUES (
            9, 1795410221633790, 1, 3, 3, 'r8', 'dma-32bit', 'linux-6.12', 3264, 2147483647, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, target_pfn, allocation, pfn,
            block_order, freed_pages, node, zone
        ) VALUES (
            10, 1795410221646492, 1, 6, 3, 'r9', 4101, 6, 4101, 0, 1, 0, 2);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, target_pfn, target_order, reason
        ) VALUES (
            11, 1795410221661369, 1, 6, 2, 'r10', 1, 3, 'not_allocated');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, allocation, pfn, block_order,
            freed_pages, node, zone
        ) VALUES (
            12, 1795410221676888, 1, 6, 3, 'r11', 6, 4100, 2, 3, 0, 2);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, allocation, reason
        ) VALUES (
            13, 1795410221694372, 1, 6, 2, 'r12', 6, 'already_freed');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, machine_name, document
        ) VALUES (
            14, 1795410221712883, 14, 1, 3, 'r13', 'second',
            x'6766704d0100090000006c696e75782d362e310100000000000202030100000002000000000000\
        00001000000000000000010000000000000000001000000000000000010000000000000000001000\
        00000000000020000000000000002800000000000000300000000000000000020000000000000000\
        00000000000000000a0000');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, pfn, block_order,
            node, zone, migratetype, compound
        ) VALUES (
            15, 1795410221729579, 14, 5, 1, 'r14', 'linux-6.1', 3264, 0, 3, 0, 2, 0, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, allocation, pfn, block_order,
            freed_pages, node, zone
        ) VALUES (
            16, 1795410221746491, 14, 6, 3, 'r15', 15, 0, 3, 8, 0, 2);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, machine_name
        ) VALUES (
            17, 1795410221746535, 14, 2, 3, 'r15', 'second');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.1', 3264, 'GFP_KERNEL');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 3264, 'GFP_KERNEL');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 3274, 'GFP_KERNEL|__GFP_HIGHMEM|__GFP_MOVABLE');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 8193, 'GFP_DMA|__GFP_NOWARN');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 262144, '__GFP_COMP');
        """
}
