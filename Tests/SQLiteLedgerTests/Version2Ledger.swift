// A ledger as version 2 of its tables had it: the rows that a gfpd of that version wrote in a short
// life, as SQL.

import SQLite
import TestSupport

@testable import SQLiteLedger

enum Version2Ledger {
    static let entries: UInt64 = 13

    /// Puts the ledger into a new directory.
    static func write(to bench: LedgerBench) throws {
        let connection = try bench.raw()
        for script in [
            PackageResources._001_ledger_sql, PackageResources._002_policies_and_runs_sql,
        ] {
            try connection.execute(String(decoding: script, as: UTF8.self))
        }
        try connection.execute("PRAGMA application_id = \(LedgerSchema.applicationID)")
        try connection.execute("PRAGMA user_version = 2")
        try connection.execute(rows)
    }

    /// Columns that are NULL are left out.
    private static let rows = """
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, machine_name, document
        ) VALUES (
            1, 1795424116950991, 1, 1, 3, 'first-start', 'default',
            x'6766704d01000a0000006c696e75782d362e3132020000000100000001000100010004000102030300\
        0000000000000000000000000400000000000001000000000000000000000400000000000001000000000000\
        0000000004000000000000040000000000000005000000000000000600000000000000010700000000000000\
        0400000000000000000400000000000000040000000000000004000000000000000000010004000000000000\
        0004000000000000010000040000000000000008000000000000010000040000000000000008000000000000\
        0400000000000000050000000000000006000000000000000107000000000000000400000000000000000000\
        0000000000000000000000000000000000000000000001000100080000000000000008000000000000010000\
        08000000000000001000000000000001000008000000000000001000000000000008000000000000000a0000\
        00000000000c00000000000000010e0000000000000004000000000000000000000000000000000000000000\
        00000000000000000000000a14140a0000');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, dialect, flags,
            block_order, details
        ) VALUES (
            2, 1795424134510111, 1, 3, 3, 'r1', 'round', 'linux-6.12', 3264, 0,
            'policy=weighted_interleave policy_nodes=0,1 weights=0:2,1:1');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, owner, dialect, flags,
            labels, pfn, block_order, node, zone, migratetype, compound, details
        ) VALUES (
            3, 1795424134524080, 1, 5, 1, 'r2', 'round', 'net', 'linux-6.12', 3264, 'app=a
        pid=7',
            1024, 0, 0, 1, 0, 0,
            'policy=weighted_interleave policy_nodes=0,1 weights=0:2,1:1 interleave=1023+0,0+1 c\
        hanges=retyped:1024+1024:Unmovable');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control, dialect, flags, pfn,
            block_order, node, zone, migratetype, compound, details
        ) VALUES (
            4, 1795424134682124, 1, 5, 1, 'r3', 'round', 'linux-6.12', 3264, 1025, 0, 0, 1, 0, 0,
            'policy=weighted_interleave policy_nodes=0,1 weights=0:2,1:1 interleave=0+1,0+0');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, owner, dialect, flags, pfn, node,
            zone, migratetype, compound, details
        ) VALUES (
            5, 1795424134918329, 1, 5, 1, 'r4', 'dev', 'linux-6.12', 3264, 1040, 0, 1, 0, 0,
            'alignment=0x10000 boundary=0x100000 pages=24 fit=next segments=1040+24 changes=adva\
        nced:1064');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, request_cpu, pfn,
            block_order, node, zone, migratetype, compound, details
        ) VALUES (
            6, 1795424135156597, 1, 5, 1, 'r5', 'linux-6.12', 1051850, 1, 2048, 3, 1, 1, 1, 0,
            'policy=bind policy_nodes=1');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, high_boundary,
            reason, details
        ) VALUES (
            7, 1795424135558182, 1, 5, 2, 'r7', 'linux-6.12', 3264, 4194303, 'window_too_small',
            'pages=4000');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, pfn, node, zone,
            migratetype, compound, details
        ) VALUES (
            8, 1795424142926106, 1, 5, 1, 'r9', 'linux-6.12', 3264, 1064, 0, 1, 0, 0,
            'allowed_nodes=0 pages=100 max_segments=4 fit=first segments=1064+100');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, allocation, pfn, block_order,
            freed_pages, node, zone
        ) VALUES (
            9, 1795424143189998, 1, 6, 3, 'r10', 6, 2048, 3, 8, 1, 1);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, allocation, reason
        ) VALUES (
            10, 1795424143482262, 1, 6, 2, 'r11', 6, 'already_freed');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, dialect, flags, pfn, block_order,
            node, zone, migratetype, compound
        ) VALUES (
            11, 1795424143635865, 1, 5, 1, 'r12', 'linux-6.12', 3264, 1028, 2, 0, 1, 0, 0);
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, control
        ) VALUES (
            12, 1795424143842860, 1, 4, 3, 'r13', 'round');
        INSERT INTO ledger (
            sequence, time, machine, kind, outcome, request_id, target_pfn, allocation, pfn,
            block_order, freed_pages, node, zone
        ) VALUES (
            13, 1795424157386815, 1, 6, 3, 'r14', 1050, 5, 1050, 0, 1, 0, 1);
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 3264, 'GFP_KERNEL');
        INSERT INTO gfp_spelling (
            dialect, value, names
        ) VALUES (
            'linux-6.12', 1051850, 'GFP_HIGHUSER_MOVABLE');
        """
}
