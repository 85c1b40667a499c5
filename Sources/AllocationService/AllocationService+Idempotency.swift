// Idempotency keys: a request that a client sends again is answered as it was the first time.
//
// The key stands in the last entry that the request records, and the answer is kept with that
// entry, in the same commit: so after a crash there are both or neither, and the request has had
// its effect once. A request that records nothing has had no effect, and its key is still free.

public import Ledger

/// A request under an idempotency key, while it is carried out.
public final class KeyedRequest {
    public let key: IdempotencyKey

    /// The entry that carries the key, once it is recorded.
    public private(set) var entry: Sequence?

    public init(_ key: IdempotencyKey) {
        self.key = key
    }

    func takeKey(for sequence: Sequence) -> IdempotencyKey {
        precondition(entry == nil, "a second entry for one key")
        entry = sequence
        return key
    }
}

extension AllocationService {
    /// The answer that a request under this key was given; nil where the key is new, or so old that
    /// it counts as new.
    ///
    /// - Throws: `keyReused` where it was another request; `keyInUse` where the first under this
    ///   key still waits for pages.
    public func answer(under key: IdempotencyKey) throws(ServiceFailure) -> KeptAnswer? {
        guard !isUnderWay(key) else { throw .keyInUse }
        let found = try asking { (ledger) throws(LedgerFailure) in try ledger.keyed(key.key) }
        guard let found, now < found.time.adding(seconds: keyRetention) else { return nil }
        guard found.fingerprint == key.fingerprint else { throw .keyReused(found.sequence) }
        return found.answer
    }

    /// Keeps the answer to a request that has recorded something; does nothing for another.
    public func keep(
        _ answer: @autoclosure () -> KeptAnswer, of request: KeyedRequest
    ) throws(ServiceFailure) {
        guard let entry = request.entry else { return }
        let answer = answer()
        try asking { (ledger) throws(LedgerFailure) in try ledger.keep(answer, for: entry) }
    }
}
