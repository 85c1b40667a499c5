/// The limits of the service, each with its unit. Those of HTTP are in `HTTPServerLimits`.
public enum ServiceLimits {
    /// Living machines.
    public static let machines = 256

    /// Pages spanned by all living machines together: 4 TiB. The free-block index takes about a
    /// quarter of a byte a page.
    public static let spannedPages: UInt64 = 1 << 30

    /// Live allocations that one request may free, in one commit: all of a machine that is
    /// deleted, or all of an owner's.
    public static let forcedFrees = 1_000_000

    /// Stored controls a machine.
    public static let controlsPerMachine = 1024

    /// Characters of a machine's or a control's name.
    public static let nameLength = 63

    /// Bytes of an owner, in UTF-8.
    public static let ownerBytes = 255

    /// Labels of an allocation.
    public static let labels = 16

    /// Characters of a label's name.
    public static let labelNameLength = 63

    /// Bytes of a label's value, in UTF-8.
    public static let labelValueBytes = 255

    /// Seconds that a lease may be asked for: 365 days.
    public static let ttlSeconds: UInt32 = 31_536_000

    /// Milliseconds that an allocation may wait for frees.
    public static let waitMilliseconds: UInt32 = 60_000

    /// Allocations that may wait for frees at one time.
    public static let waitingAllocations = 256

    /// Seconds for which an answer is given again under its idempotency key, unless the operator
    /// says otherwise: 24 hours.
    public static let keyRetention: UInt32 = 86_400

    /// Printable ASCII characters of an idempotency key.
    public static let idempotencyKeyLength = 255

    /// Operations of a batch.
    public static let batchOperations = 10_000

    /// Printable ASCII characters of a request id. A longer one is cut.
    public static let requestIDLength = 128
}
