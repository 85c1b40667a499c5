/// Why a document is not taken.
public struct XMLFault: Error, Hashable, Sendable {
    /// Counts from 1.
    public let line: Int

    /// The rule, in words: "… must …".
    public let rule: String

    public init(line: Int, _ rule: String) {
        self.line = line
        self.rule = rule
    }
}
