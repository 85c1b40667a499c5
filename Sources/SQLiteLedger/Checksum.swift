// A 64-bit sum that finds damage: bits that a disk has turned, bytes of another place. It is no
// cryptographic hash. It is on disk in `history.db`, so that changing it means a new version there.

struct Checksum {
    private(set) var value: UInt64 = 0x9e37_79b9_7f4a_7c15

    /// Each step is one-to-one in the word and in the sum before it, so that a change in one word
    /// alone always changes the sum.
    mutating func add(_ word: UInt64) {
        let mixed = (value ^ word) &* 0xd6e8_feb8_6659_fd93
        value = mixed ^ (mixed >> 32)
    }

    /// Adds the number of bytes too.
    mutating func add(_ bytes: RawSpan) {
        add(UInt64(bytes.byteCount))
        var place = 0
        while place + 8 <= bytes.byteCount {
            add(bytes.littleEndian(at: place, width: 8))
            place += 8
        }
        add(bytes.littleEndian(at: place, width: bytes.byteCount - place))
    }
}

extension RawSpan {
    /// The unsigned integer whose bytes these are, the lowest first; 0 for no bytes.
    func littleEndian(at place: Int, width: Int) -> UInt64 {
        if width == 8 {
            return UInt64(
                littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self))
        }
        var value: UInt64 = 0
        for byte in (0..<width).reversed() {
            value =
                value << 8
                | UInt64(unsafe unsafeLoad(fromByteOffset: place + byte, as: UInt8.self))
        }
        return value
    }
}
