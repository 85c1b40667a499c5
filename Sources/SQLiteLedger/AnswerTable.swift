// The answers to keyed requests: each is kept in the transaction of the entry that it tells of, and
// carries a hash over that entry's hash and itself, so that one that was changed on disk is seen
// before it is sent.

import Digest
import Ledger
import SQLite

struct AnswerTable {
    static let columns = ["sequence", "idempotency_key", "status", "fields", "body", "hash"]

    private let insertion: Statement
    private let selection: Statement

    init(on connection: Connection) throws(SQLiteError) {
        insertion = try connection.prepare(
            """
            INSERT INTO answer (sequence, status, fields, body, hash, idempotency_key)
            VALUES (?1, ?2, ?3, ?4, ?5, (SELECT idempotency_key FROM ledger WHERE sequence = ?1))
            """)
        selection = try connection.prepare(
            """
            SELECT l.sequence, l.time, l.fingerprint, l.hash, a.status, a.fields, a.body, a.hash
            FROM answer AS a CROSS JOIN ledger AS l ON l.sequence = a.sequence
            WHERE a.idempotency_key = ?1 AND l.idempotency_key = ?1
            ORDER BY a.sequence DESC LIMIT 1
            """)
    }

    /// Within the transaction that wrote the entry at `head`, which has a key.
    func keep(_ answer: KeptAnswer, at head: ChainHead) throws(SQLiteError) {
        try insertion.bind(bitPattern: head.sequence.rawValue, at: 1)
        try insertion.bind(Int64(answer.status), at: 2)
        try insertion.bind(answer.fields, at: 3)
        try insertion.bind(answer.body, at: 4)
        try insertion.bind(Self.hash(answer, after: head.hash.bytes), at: 5)
        try insertion.run()
    }

    /// The answer kept last for a key.
    ///
    /// - Throws: `.corrupt` where it is not the one that was kept.
    func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? {
        defer { selection.reset() }
        let isFound = try LedgerFailure.converting { () throws(SQLiteError) in
            try selection.bind(key, at: 1)
            return try selection.step()
        }
        guard isFound else { return nil }
        let sequence = Sequence(UInt64(bitPattern: selection.integer(at: 0)))
        guard let fields = selection.text(at: 5) else { throw Self.damage(sequence) }
        let answer = KeptAnswer(
            status: Int(selection.integer(at: 4)), fields: fields, body: selection.bytes(at: 6))
        guard Self.hash(answer, after: selection.bytes(at: 3)) == selection.bytes(at: 7) else {
            throw Self.damage(sequence)
        }
        return KeyedAnswer(
            sequence: sequence, time: Timestamp(microseconds: selection.integer(at: 1)),
            fingerprint: selection.bytes(at: 2), answer: answer)
    }

    /// The entries whose answers are not those that were kept: the whole table is read.
    static func damaged(in connection: Connection) throws(LedgerFailure) -> [Sequence] {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let rows = try connection.prepare(
                """
                SELECT a.sequence, l.hash, a.status, a.fields, a.body, a.hash,
                    a.idempotency_key IS l.idempotency_key
                FROM answer AS a LEFT JOIN ledger AS l ON l.sequence = a.sequence
                """)
            var damaged: [Sequence] = []
            while try rows.step() {
                let answer = rows.text(at: 3).map { fields in
                    KeptAnswer(
                        status: Int(rows.integer(at: 2)), fields: fields, body: rows.bytes(at: 4))
                }
                let isSound = answer.map { hash($0, after: rows.bytes(at: 1)) } == rows.bytes(at: 5)
                if !isSound || rows.integer(at: 6) != 1 {
                    damaged.append(Sequence(UInt64(bitPattern: rows.integer(at: 0))))
                }
            }
            return damaged
        }
    }

    private static func damage(_ sequence: Sequence) -> LedgerFailure {
        LedgerFailure(.corrupt, "the answer of entry \(sequence.rawValue) is not what was kept")
    }

    /// SHA-256 over the entry's hash, the status (u16), the length of the fields in bytes (u32,
    /// both little-endian), the fields and the body.
    private static func hash(_ answer: KeptAnswer, after entryHash: [UInt8]) -> [UInt8] {
        let length = UInt32(answer.fields.utf8.count)
        var message = entryHash
        message += [0, 8].map { UInt8(truncatingIfNeeded: answer.status >> $0) }
        message += (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        message += answer.fields.utf8
        message += answer.body
        return SHA256.hash(message).bytes
    }
}
