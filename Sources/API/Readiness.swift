import Synchronization

/// Whether the service wants more work: until it is about to stop. Asked on the loop, ended from
/// any thread.
public final class Readiness: Sendable {
    private let hasEnded = Atomic<Bool>(false)

    /// Whether a stop is to be expected.
    var isStopping: Bool { hasEnded.load(ordering: .relaxed) }

    /// From now on `/readyz` says 503, and all else goes on.
    ///
    /// - Returns: whether it was the first to say so.
    public func end() -> Bool {
        !hasEnded.exchange(true, ordering: .relaxed)
    }
}
