// The chain, link by link: hash(n) = SHA-256(hash(n-1) || canonical bytes of entry n), and hash(0)
// is 32 zero bytes.
//
// Entries that layouts 1 and 2 of the tables wrote have no hash of their own, since rows never
// change. The chain runs over them all the same: its value at the last of them is worked out once,
// when a ledger is migrated, and kept in `chain_start`. So a change of one of them is seen by
// whoever goes along from the first entry, and of a later one by whoever looks at the entry.

import Digest
import Ledger
import SQLite

/// The value of the chain at one entry, and the way on to the next.
struct EntryChain: ~Copyable {
    private(set) var hash: EntryHash
    private let sha256 = SHA256()
    private var buffer = CanonicalBuffer()

    /// - Parameter hash: of the entry before the first one that is to come.
    init(after hash: EntryHash) {
        self.hash = hash
    }

    /// Goes on from another place.
    mutating func restart(after hash: EntryHash) {
        self.hash = hash
    }

    /// Goes on by one entry.
    mutating func advance(by entry: LedgerEntry) {
        buffer.removeAll()
        buffer.write(hash)
        entry.writeCanonicalBytes(to: &buffer)
        let sha256 = sha256
        let value = buffer.withBytes { bytes in
            sha256.update(bytes)
            return sha256.finish()
        }
        hash = EntryHash(words: value.words)
    }
}

/// Single links of the chain.
final class EntryLink {
    private var chain = EntryChain(after: .zero)

    /// What the hash of an entry must be; nil where the one before is no hash.
    ///
    /// - Parameter previous: the bytes of the hash before; none before the first entry.
    func hash(of entry: LedgerEntry, after previous: [UInt8]) -> EntryHash? {
        let isFirst = entry.sequence.rawValue == 1 && previous.isEmpty
        guard let previous = isFirst ? .zero : EntryHash(bytes: previous) else { return nil }
        chain.restart(after: previous)
        chain.advance(by: entry)
        return chain.hash
    }
}

/// Goes along the rows of a ledger in order, and sees that each is the one that was written.
final class ChainCheck {
    private var chain = EntryChain(after: .zero)

    /// Whether the chain's value is known here: not in the midst of entries without hashes.
    private var isKnown: Bool

    /// Where the entries without a hash of their own end.
    private let start: ChainHead

    /// - Parameter sequence: the entry before the first one that is to come.
    convenience init(after sequence: Sequence, on connection: Connection) throws(LedgerFailure) {
        let start = try ChainStart.read(connection)
        let hash =
            sequence == .zero ? .zero : try ChainStart.hash(at: sequence, start, connection)
        self.init(after: hash, start)
    }

    /// - Parameter head: the entry before the first one that is to come, and the value of the chain
    ///   that one has come to.
    convenience init(after head: ChainHead, on connection: Connection) throws(LedgerFailure) {
        self.init(after: head.hash, try ChainStart.read(connection))
    }

    /// - Parameter hash: nil where the chain's value is not known.
    private init(after hash: EntryHash?, _ start: ChainHead) {
        self.start = start
        isKnown = hash != nil
        chain.restart(after: hash ?? .zero)
    }

    /// The chain's value at the last entry. It means nothing in the midst of entries without
    /// hashes, where one has begun there.
    var hash: EntryHash { chain.hash }

    /// - Throws: `.corrupt` where the entry is not what was written at its place.
    func advance(by entry: LedgerEntry) throws(LedgerFailure) {
        chain.advance(by: entry)
        if entry.sequence == start.sequence {
            guard !isKnown || chain.hash == start.hash else {
                throw Self.damage(entry.sequence, "the entries up to it are not those that were")
            }
            chain.restart(after: start.hash)
            isKnown = true
        }
        guard entry.sequence > start.sequence else {
            guard entry.hash == nil else {
                throw Self.damage(entry.sequence, "it has a hash, and is older than hashes are")
            }
            return
        }
        guard isKnown, entry.hash == chain.hash else {
            throw Self.damage(entry.sequence, "it is not what was written: its hash does not fit")
        }
    }

    private static func damage(_ sequence: Sequence, _ what: String) -> LedgerFailure {
        LedgerFailure(.corrupt, "entry \(sequence.rawValue): \(what)")
    }
}

/// `chain_start`: the last entry without a hash of its own.
enum ChainStart {
    /// Where a ledger has entries older than the chain, and no start yet: goes along them and notes
    /// it. In one transaction, so that it is there or is to be done again.
    static func establish(on connection: Connection) throws(LedgerFailure) {
        guard try needsStart(connection) else { return }
        let rows = try LedgerFailure.converting { () throws(SQLiteError) in
            let rows = try connection.prepare(EntryRow.selectionAfterSequence)
            try rows.bind(0, at: 1)
            return rows
        }
        var chain = EntryChain(after: .zero)
        var last = Sequence.zero
        while try LedgerFailure.converting({ () throws(SQLiteError) in try rows.step() }) {
            let entry = try EntryRow(rows).entry()
            guard entry.sequence == last.next else {
                throw LedgerFailure(.corrupt, "entry \(last.next.rawValue) is missing")
            }
            guard entry.hash == nil else {
                throw LedgerFailure(.corrupt, "the start of the chain is missing")
            }
            chain.advance(by: entry)
            last = entry.sequence
        }
        let hash = chain.hash
        try LedgerFailure.converting { () throws(SQLiteError) in
            let insertion = try connection.prepare(
                "INSERT INTO chain_start (sequence, hash) VALUES (?, ?)")
            try insertion.bind(bitPattern: last.rawValue, at: 1)
            try insertion.bind(hash.bytes, at: 2)
            try insertion.run()
        }
    }

    private static func needsStart(_ connection: Connection) throws(LedgerFailure) -> Bool {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let statement = try connection.prepare(
                """
                SELECT 1 FROM ledger WHERE sequence = 1 AND hash IS NULL
                    AND NOT EXISTS (SELECT 1 FROM chain_start)
                """)
            return try statement.step()
        }
    }

    /// The empty head where all entries have hashes.
    static func read(_ connection: Connection) throws(LedgerFailure) -> ChainHead {
        let statement = try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.prepare("SELECT sequence, hash FROM chain_start")
        }
        guard try LedgerFailure.converting({ () throws(SQLiteError) in try statement.step() })
        else { return .empty }
        guard let hash = EntryHash(bytes: statement.bytes(at: 1)) else {
            throw LedgerFailure(.corrupt, "the start of the chain is no hash")
        }
        return ChainHead(
            sequence: Sequence(UInt64(bitPattern: statement.integer(at: 0))), hash: hash)
    }

    /// The last entry, the chain's value at it, and its time.
    static func head(
        of connection: Connection
    ) throws(LedgerFailure) -> (head: ChainHead, time: Timestamp)? {
        let last = try LedgerFailure.converting { () throws(SQLiteError) -> Statement? in
            let last = try connection.prepare(
                "SELECT sequence, time FROM ledger ORDER BY sequence DESC LIMIT 1")
            return try last.step() ? last : nil
        }
        guard let last else { return nil }
        let sequence = Sequence(UInt64(bitPattern: last.integer(at: 0)))
        guard let hash = try hash(at: sequence, read(connection), connection) else {
            throw LedgerFailure(.corrupt, "entry \(sequence.rawValue): it has no hash")
        }
        return (
            ChainHead(sequence: sequence, hash: hash),
            Timestamp(microseconds: last.integer(at: 1))
        )
    }

    /// The chain's value at an entry, as it is on disk; nil for an entry without one, and where
    /// there is no such entry.
    static func hash(
        at sequence: Sequence, _ start: ChainHead, _ connection: Connection
    ) throws(LedgerFailure) -> EntryHash? {
        if sequence == start.sequence { return start.hash }
        let statement = try LedgerFailure.converting { () throws(SQLiteError) in
            let statement = try connection.prepare("SELECT hash FROM ledger WHERE sequence = ?")
            try statement.bind(bitPattern: sequence.rawValue, at: 1)
            return statement
        }
        let isFound = try LedgerFailure.converting { () throws(SQLiteError) in
            try statement.step()
        }
        return isFound ? EntryHash(bytes: statement.bytes(at: 0)) : nil
    }
}
