/// The most that a document may have.
public struct XMLLimits: Sendable {
    /// Bytes of the document: 64 MiB.
    public var bytes = 64 << 20

    /// Elements within one another.
    public var depth = 256

    /// Elements in all.
    public var elements = 1_000_000

    /// Bytes of one start tag with all its attributes: 64 KiB.
    public var tagBytes = 64 << 10

    public init() {}
}
