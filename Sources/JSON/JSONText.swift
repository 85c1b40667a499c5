/// Text of a document, as a view on the document's bytes: a string that was read, or the name of a
/// member. It can be compared, and its bytes looked at, without a `String` made of it.
///
/// Texts are compared after unescaping: `"\u0061"` is `"a"` (RFC 8259 section 8.3). Only one that
/// was written with escapes has bytes of its own; every other points into the document.
public struct JSONText: RandomAccessCollection, Sendable {
    @usableFromInline let bytes: [UInt8]
    @usableFromInline let range: Range<Int>

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

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { range.count }

    /// A byte of its UTF-8.
    @inlinable
    public subscript(position: Int) -> UInt8 {
        bytes[range.lowerBound + position]
    }

    /// Compares bytes, without allocation and without Unicode normalization.
    @inlinable
    public static func == (text: borrowing JSONText, other: StaticString) -> Bool {
        text.range.count == other.utf8CodeUnitCount && text.hasBytes(of: other)
    }

    /// Lets `switch key { case "flags": … }` compare bytes.
    @inlinable
    public static func ~= (other: StaticString, text: borrowing JSONText) -> Bool {
        text == other
    }

    /// The text as a string of its own.
    public var text: String { bytes.text(in: range) }

    /// Whether the bytes are those of `other`, which has as many.
    @usableFromInline
    func hasBytes(of other: StaticString) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            let mine = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
            return unsafe mine.hasBytes(of: UnsafeRawPointer(other.utf8Start))
        }
    }

    /// Whether the bytes are those of `document` at `other`.
    func hasBytes(of document: [UInt8], at other: Range<Int>) -> Bool {
        guard other.count == range.count else { return false }
        return unsafe bytes.withUnsafeBytes { bytes in
            unsafe document.withUnsafeBytes { document in
                let mine = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
                let others = unsafe UnsafeRawBufferPointer(rebasing: document[other])
                return unsafe others.baseAddress.map { unsafe mine.hasBytes(of: $0) } ?? true
            }
        }
    }
}

/// The name of a member.
public typealias JSONKey = JSONText

extension UnsafeRawBufferPointer {
    /// Whether as many bytes at `other` are the same; eight at a time, the last eight over again.
    @inline(__always)
    fileprivate func hasBytes(of other: UnsafeRawPointer) -> Bool {
        guard let start = baseAddress else { return true }
        var offset = 0
        if count >= 8 {
            while offset < count &- 8 {
                guard unsafe start.hasWord(of: other, at: offset) else { return false }
                offset &+= 8
            }
            return unsafe start.hasWord(of: other, at: count &- 8)
        }
        while offset < count {
            guard
                unsafe start.load(fromByteOffset: offset, as: UInt8.self)
                    == other.load(fromByteOffset: offset, as: UInt8.self)
            else { return false }
            offset &+= 1
        }
        return true
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    fileprivate func hasWord(of other: UnsafeRawPointer, at offset: Int) -> Bool {
        unsafe loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            == other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}

extension [UInt8] {
    /// The text of a range, whose bytes are known to be UTF-8 and are not looked at again.
    func text(in range: Range<Int>) -> String {
        unsafe String(copying: UTF8Span(unchecked: span.extracting(range)))
    }
}
