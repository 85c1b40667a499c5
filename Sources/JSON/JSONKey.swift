/// The name of a member, as a view on the document's bytes.
///
/// Names are compared after unescaping: `"\u0061"` is `"a"` (RFC 8259 section 8.3). Only a name
/// that was written with escapes has bytes of its own; every other points into the document.
public struct JSONKey: Sendable {
    let bytes: [UInt8]
    let range: Range<Int>

    /// Whether `range` lies in the document, rather than in bytes that were unescaped.
    let isVerbatim: Bool

    init(verbatim range: Range<Int>, in document: [UInt8]) {
        self.bytes = document
        self.range = range
        self.isVerbatim = true
    }

    init(unescaped bytes: [UInt8]) {
        self.bytes = bytes
        self.range = 0..<bytes.count
        self.isVerbatim = false
    }

    /// Compares bytes, without allocation and without Unicode normalization.
    public static func == (key: borrowing JSONKey, name: StaticString) -> Bool {
        key.range.count == name.utf8CodeUnitCount && key.hasBytes(of: name)
    }

    /// Lets `switch key { case "flags": … }` compare bytes.
    public static func ~= (name: StaticString, key: borrowing JSONKey) -> Bool {
        key == name
    }

    /// The name as a string of its own.
    public var text: String { bytes.text(in: range) }

    /// Whether the bytes are those of `name`, which has as many.
    private func hasBytes(of name: StaticString) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        let bytes = bytes.span
        for offset in 0..<range.count
        where unsafe name.utf8Start[offset] != bytes[unchecked: range.lowerBound &+ offset] {
            return false
        }
        return true
    }

    /// Whether the bytes are those of `document` at `other`.
    func hasBytes(of document: [UInt8], at other: Range<Int>) -> Bool {
        guard other.count == range.count else { return false }
        for offset in 0..<other.count
        where document[other.lowerBound &+ offset] != bytes[range.lowerBound &+ offset] {
            return false
        }
        return true
    }
}

extension [UInt8] {
    /// The text of a range, whose bytes are UTF-8.
    func text(in range: Range<Int>) -> String {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return unsafe withUnsafeBytes { bytes in
            // From a pointer: a slice of an array takes the long way through `Collection`.
            unsafe String(
                decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        }
    }
}
