// Which trace of the caller's a request belongs to: the field `traceparent` of W3C Trace Context,
// Recommendation of 23 November 2021, section 3.2. gfpd keeps it with the entry, so that a trace
// leads to what was granted; it makes no spans of its own.

/// `version "-" trace-id "-" parent-id "-" trace-flags`, in lower-case hexadecimal.
enum TraceParent {
    private static let versionEnd = 2
    private static let traceEnd = versionEnd + 1 + 32
    private static let parentEnd = traceEnd + 1 + 16
    private static let end = parentEnd + 1 + 2

    /// The field as it is kept; nil where it is none, which counts as none at all (section 3.2.2).
    /// Of a later version only what this one has is kept (section 3.2.1).
    static func kept(_ field: String) -> String? {
        let bytes = Array(field.utf8)
        guard bytes.count >= end, areDigits(bytes[..<versionEnd]),
            !bytes.starts(with: Array("ff".utf8))
        else { return nil }
        let isFirstVersion = bytes.starts(with: Array("00".utf8))
        guard bytes.count == end || !isFirstVersion && bytes[end] == hyphen else { return nil }
        let trace = bytes[(versionEnd + 1)..<traceEnd]
        let parent = bytes[(traceEnd + 1)..<parentEnd]
        guard [versionEnd, traceEnd, parentEnd].allSatisfy({ bytes[$0] == hyphen }),
            isIdentifier(trace), isIdentifier(parent), areDigits(bytes[(parentEnd + 1)..<end])
        else { return nil }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    private static let hyphen = UInt8(ascii: "-")

    /// Digits that are not all zero.
    private static func isIdentifier(_ bytes: ArraySlice<UInt8>) -> Bool {
        areDigits(bytes) && bytes.contains { $0 != UInt8(ascii: "0") }
    }

    private static func areDigits(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
    }
}
