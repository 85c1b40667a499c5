// The chain of hashes as its definition says it, without the storage's code.

import Digest
public import Ledger

extension Array where Element == LedgerEntry {
    /// The entries as they are after they were appended: each with its hash.
    ///
    /// - Parameter hash: of the entry before the first.
    public func chained(after hash: EntryHash = .zero) -> [LedgerEntry] {
        var last = hash
        return map { entry in
            last = entry.hash(after: last)
            var chained = entry
            chained.hash = last
            return chained
        }
    }
}

extension LedgerEntry {
    /// SHA-256 over the hash before and the entry's canonical bytes.
    public func hash(after previous: EntryHash) -> EntryHash {
        EntryHash(words: SHA256.hash(previous.bytes + canonicalBytes).words)
    }
}
