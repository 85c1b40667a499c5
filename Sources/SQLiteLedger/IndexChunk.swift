// A chunk: some of the sorted postings of one field of one index run, packed into about a page.
//
//   8  checksum of what follows
//   8  id: run << 28 | place in the run
//   1  field
//   1  bytes of an offset
//   12 low: the key (8 bytes) and offset (4) from which on this chunk says which postings there are
//   12 high: those up to which it says so; the next chunk's low
//   …  groups: postings of one key. A variable-length integer with the difference of its key to the
//      group's before (the first one's to low's), shifted left by one; its lowest bit is set where
//      the group has more than one posting, and their number follows. Then the first offset, and
//      each further one as the difference to the one before.
//
// All is little-endian; a variable-length integer has 7 bits in each byte, the lowest first, and
// the top bit set in all but the last. Since a chunk says what it covers, a search that was led to
// the wrong one by a damaged fence notices.

import Ledger

/// An entry of a run, by its distance from the run's first one, and one of its keys. In order of
/// key, then of offset.
struct Posting: Hashable, Comparable {
    var key: UInt64
    var offset: UInt32

    static let first = Posting(key: 0, offset: 0)

    /// After all others.
    static let end = Posting(key: .max, offset: .max)

    static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.key == rhs.key ? lhs.offset < rhs.offset : lhs.key < rhs.key
    }
}

struct IndexChunk {
    typealias ID = Int64

    static let headerSize = 42

    let id: ID
    let field: IndexField
    let low: Posting
    let high: Posting

    /// Ascending.
    private(set) var keys: [UInt64] = []

    /// For each key, where its offsets begin; and where the last one's end.
    private var starts: [Int] = [0]
    private var offsets: [UInt32] = []

    var keyCount: Int { keys.count }

    /// Ascending. `index` counts keys.
    func offsets(ofKeyAt index: Int) -> ArraySlice<UInt32> {
        offsets[starts[index]..<starts[index + 1]]
    }

    /// Ascending.
    func offsets(of key: UInt64) -> ArraySlice<UInt32> {
        let index = keys.firstIndex(atLeast: key)
        return index < keys.count && keys[index] == key ? offsets(ofKeyAt: index) : []
    }

    /// Whether it says if there is such a posting.
    func covers(_ posting: Posting) -> Bool {
        low <= posting && posting < high
    }
}

// MARK: Bytes

extension IndexChunk {
    /// The bytes of a chunk.
    static func bytes(
        id: ID, field: IndexField, offsetWidth: Int, low: Posting, high: Posting, groups: [UInt8]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerSize + groups.count)
        bytes.append(littleEndian: 0, width: 8)
        bytes.append(littleEndian: UInt64(bitPattern: id), width: 8)
        bytes.append(field.rawValue)
        bytes.append(UInt8(offsetWidth))
        for posting in [low, high] {
            bytes.append(littleEndian: posting.key, width: 8)
            bytes.append(littleEndian: UInt64(posting.offset), width: 4)
        }
        bytes += groups
        let sum = checksum(of: bytes)
        for byte in 0..<8 {
            bytes[byte] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * byte))
        }
        return bytes
    }

    /// nil where the bytes are not those of this chunk, as they were written.
    init?(bytes: [UInt8], id: ID) {
        guard bytes.count > Self.headerSize else { return nil }
        let span = unsafe bytes.span.bytes
        guard span.littleEndian(at: 0, width: 8) == Self.checksum(of: bytes),
            span.littleEndian(at: 8, width: 8) == UInt64(bitPattern: id),
            let field = IndexField(rawValue: bytes[16])
        else { return nil }
        self.id = id
        self.field = field
        low = Self.posting(span, at: 18)
        high = Self.posting(span, at: 30)
        guard decode(bytes.span, offsetWidth: Int(bytes[17])) else { return nil }
    }

    private static func checksum(of bytes: [UInt8]) -> UInt64 {
        var sum = Checksum()
        unsafe sum.add(bytes.span.bytes.extracting(droppingFirst: 8))
        return sum.value
    }

    private static func posting(_ bytes: RawSpan, at place: Int) -> Posting {
        Posting(
            key: bytes.littleEndian(at: place, width: 8),
            offset: UInt32(bytes.littleEndian(at: place + 8, width: 4)))
    }

    /// False where the groups are not whole.
    private mutating func decode(_ bytes: Span<UInt8>, offsetWidth: Int) -> Bool {
        var place = Self.headerSize
        var key = low.key
        // Most postings of the fields with many keys take five bytes.
        keys.reserveCapacity(bytes.count / 5)
        starts.reserveCapacity(bytes.count / 5)
        offsets.reserveCapacity(bytes.count / 2)
        while place < bytes.count {
            guard let head = Self.integer(bytes, &place) else { return false }
            key &+= head >> 1
            var count: UInt64 = 1
            if head & 1 == 1 {
                guard let more = Self.integer(bytes, &place) else { return false }
                count = more
            }
            guard place + offsetWidth <= bytes.count else { return false }
            var offset: UInt64 = 0
            for byte in 0..<offsetWidth {
                offset |= UInt64(bytes[place + byte]) << UInt64(8 * byte)
            }
            place += offsetWidth
            offsets.append(UInt32(truncatingIfNeeded: offset))
            for _ in 1..<max(count, 1) {
                guard let step = Self.integer(bytes, &place) else { return false }
                offset &+= step
                offsets.append(UInt32(truncatingIfNeeded: offset))
            }
            keys.append(key)
            starts.append(offsets.count)
        }
        return true
    }

    private static func integer(_ bytes: Span<UInt8>, _ place: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while place < bytes.count, shift < 64 {
            let byte = bytes[place]
            place += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: UInt64, width: Int) {
        for byte in 0..<width {
            append(UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)))
        }
    }

    mutating func append(variableLength value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}

extension UInt64 {
    /// Bytes that it takes as a variable-length integer.
    var variableLength: Int { (bitWidth - (self | 1).leadingZeroBitCount + 6) / 7 }
}

extension RandomAccessCollection where Element: Comparable, Index == Int {
    /// The place of the first element that is not less; `endIndex` where there is none. The
    /// elements ascend.
    func firstIndex(atLeast element: Element) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if self[middle] < element {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
