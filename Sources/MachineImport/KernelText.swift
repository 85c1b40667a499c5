// A machine's state in the formats of /proc, for readers that know those. Each format has a file of
// its own, `KernelText+….swift`.

/// Writes kernel texts.
public enum KernelText {
    /// `%8s` and `%6lu`: `text` with blanks before it up to `width`; a longer text is kept whole.
    static func padded(_ text: String, to width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
