// A ledger as version 3 of its tables had it: the rows that a gfpd of that version wrote in a short
// life, as SQL.

import SQLite
import TestSupport

@testable import SQLiteLedger

enum Version3Ledger {
    static let entries: UInt64 = 9

    /// The chain's value at the last entry, as that version wrote it.
    static let head = "6f71bf84156c04dbff64769580c92e244ba9dec7c012463ac1d7c50cdcc15c7f"

    /// Puts the ledger into a new directory.
    static func write(to bench: LedgerBench) throws {
        let connection = try bench.raw()
        for script in [
            PackageResources._001_ledger_sql, PackageResources._002_policies_and_runs_sql,
            PackageResources._003_chain_leases_keys_sql,
        ] {
            try connection.execute(String(decoding: script, as: UTF8.self))
        }
        try connection.execute("PRAGMA application_id = \(LedgerSchema.applicationID)")
        try connection.execute("PRAGMA user_version = 3")
        try connection.execute(rows)
    }

    /// Columns that are NULL are left out.
    private static let rows = """
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, machine_name,
        document, hash) VALUES (1, 1795439478928512, 1, 1, 3, 'first-start', 'default',
        x'6766704d01000a0000006c696e75782d362e3132010000000100000002020301000000020000000000000\
        000000400000000000001000000000000000000000400000000000001000000000000000000000400000000\
        000040000000000000005000000000000000600000000000000001700000000000000002000000000000000\
        000000000000000000a0000', x'37042d1c963718f1f8960aa5f36b81be9aebee0f0fea52124adf4f86671\
        cbd04');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, owner, dialect,
        flags, labels, pfn, block_order, node, zone, migratetype, compound, ttl_seconds, hash)
        VALUES (2, 1795439481752097, 1, 5, 1, 'r1', 'net', 'linux-6.12', 3264, 'app=a', 0, 0, 0,
        2, 0, 0, 60, x'2431b04d71a0ad533619593a6304253e94fe9b01e2d3659b6c873e9729167f66');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, dialect, flags,
        pfn, block_order, node, zone, migratetype, compound, idempotency_key, fingerprint, hash)
        VALUES (3, 1795439481791458, 1, 5, 1, 'r2', 'linux-6.12', 3264, 4, 2, 0, 2, 0, 0, 'k1',
        x'd8d973515d2b37a8f1fb1b275181ff2e1a90259a3904675d88b582039754caea',
        x'adee9f8c7369cc32bd56e867b42563c3cd21060fc70ebf56d21a1d603990f09e');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, allocation,
        ttl_seconds, hash) VALUES (4, 1795439481831051, 1, 7, 3, 'r3', 2, 120,
        x'de4eba83a4b8bd36a72537542e11a4d97f3b9f3b3b9ce71d9ea6c3cae7049f47');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, dialect, flags,
        request_node, block_order, reason, idempotency_key, fingerprint, hash) VALUES (5,
        1795439481868270, 1, 5, 2, 'r4', 'linux-6.12', 3264, 7, 0, 'no_such_node', 'k2',
        x'e617f3a6a5658d1a0ad70f777a56685629a218738d0ab3fd10ab1e75ef5e7608',
        x'a2bea5258f0040f0e8fe4deebb756d0294f1dbbefb350eb03edbdf2dcdd906d9');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, allocation, pfn,
        block_order, freed_pages, node, zone, hash) VALUES (6, 1795439481907352, 1, 6, 3, 'r5',
        3, 4, 2, 4, 0, 2, x'0c80993b1f68eba2d70e64612ebb0fd5602c523a736561dc1ff56f2eef8933ee');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, allocation,
        reason, hash) VALUES (7, 1795439481951806, 1, 6, 2, 'r6', 3, 'already_freed',
        x'f90a097aabbaf1440d54cd12d5206cd057f6bd094d5f622b05c8ca3250881aa0');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, dialect, flags,
        pfn, node, zone, migratetype, compound, details, ttl_seconds, hash) VALUES (8,
        1795439481999146, 1, 5, 1, 'r7', 'linux-6.12', 3264, 1, 0, 2, 0, 0,
        'pages=3 segments=1+3', 1, x'02d4a2d46ece7501795e53a01f918a714c3ef3b1a063d434b8779f261f\
        40dc21');
        INSERT INTO ledger (sequence, time, machine, kind, outcome, request_id, allocation, pfn,
        freed_pages, node, zone, details, hash) VALUES (9, 1795439482999733, 1, 8, 3,
        'lease-expiry', 8, 1, 3, 0, 2, 'segments=1+3', x'6f71bf84156c04dbff64769580c92e244ba9de\
        c7c012463ac1d7c50cdcc15c7f');
        INSERT INTO answer (sequence, idempotency_key, status, fields, body, hash) VALUES (3,
        'k1', 201, 'Content-Type: application/json\r\nLocation: /v1/machines/default/allocation\
        s/3\r\n', x'7b226964223a332c226d616368696e65223a2264656661756c74222c2270666e223a342c226\
        1646472657373223a22307834303030222c226f72646572223a322c227061676573223a342c2273697a6522\
        3a31363338342c226e6f6465223a302c227a6f6e65223a224e6f726d616c222c226d6967726174657479706\
        5223a22556e6d6f7661626c65222c22636f6d706f756e64223a66616c73652c227374617465223a226c6976\
        65222c226566666563746976655f666c616773223a7b2276616c7565223a223078636330222c226e616d657\
        3223a5b224746505f4b45524e454c225d7d2c22616c6c6f636174696f6e5f636f6e74726f6c223a7b22666c\
        616773223a7b2276616c7565223a223078636330222c226e616d6573223a5b224746505f4b45524e454c225\
        d7d2c226f72646572223a322c226e6f6465223a2d312c226c6f775f626f756e64617279223a22307830222c\
        22686967685f626f756e64617279223a22307866666666666666666666666666666666227d2c226772616e7\
        465645f6174223a22323032362d31312d32335431333a31313a32312e3739313435385a222c227365717565\
        6e6365223a337d', x'9dc8f558bd16234d58836bce0914c7544498ef096f2b8baa2b2ed50b86be6fab');
        INSERT INTO answer (sequence, idempotency_key, status, fields, body, hash) VALUES (5,
        'k2', 422, 'Content-Type: application/problem+json\r\n', x'7b2274797065223a222f70726f62\
        6c656d732f756e7361746973666961626c65222c227469746c65223a224e6f207374617465206f662074686\
        973206d616368696e6520636f756c64206d656574207468652072657175657374222c22737461747573223a\
        3432322c2264657461696c223a22746865206d616368696e6520686173206e6f2073756368206e6f6465222\
        c22696e7374616e6365223a222f76312f6d616368696e65732f64656661756c742f616c6c6f636174696f6e\
        73222c22726571756573745f6964223a227234222c226572726f7273223a5b7b22706f696e746572223a222\
        f616c6c6f636174696f6e5f636f6e74726f6c2f6e6f6465222c2264657461696c223a22746865206d616368\
        696e6520686173206e6f2073756368206e6f6465227d5d2c22726561736f6e223a226e6f5f737563685f6e6\
        f6465222c2273657175656e6365223a357d', x'd94230dddd6a8e5cc7c12c19a42e1a7408e49708a484cd3\
        0754f53a5fbbde344');
        INSERT INTO gfp_spelling (dialect, value, names) VALUES ('linux-6.12', 3264,
        'GFP_KERNEL');
        """
}
