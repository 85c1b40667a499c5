// Canonical bytes under construction: one value after another, in memory that is used again for the
// next entry, since each entry is written on the way to its commit.
//
// All integers are little-endian. Text is its length in bytes (u32) and UTF-8. An optional value is
// a byte 0, or a byte 1 and the value. There is no padding.

@safe public struct CanonicalBuffer: ~Copyable {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int

    /// Bytes written.
    public private(set) var count = 0

    /// Enough for nearly every entry; machines take more.
    private static let initialCapacity = 1024

    public init() {
        capacity = Self.initialCapacity
        unsafe memory = .allocate(byteCount: Self.initialCapacity, alignment: 8)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Empties it. Memory is kept.
    public mutating func removeAll() {
        count = 0
    }

    /// Hands over what was written.
    public borrowing func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        let bytes = unsafe UnsafeBufferPointer(
            start: memory.assumingMemoryBound(to: UInt8.self), count: count)
        return body(unsafe bytes.span)
    }

    /// A copy of what was written.
    public var bytes: [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: memory, count: count))
    }

    @inline(__always)
    mutating func write<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        reserve(MemoryLayout<Value>.size)
        unsafe memory.storeBytes(of: value.littleEndian, toByteOffset: count, as: Value.self)
        count += MemoryLayout<Value>.size
    }

    mutating func write(_ text: String) {
        let utf8 = text.utf8
        write(UInt32(utf8.count))
        if unsafe utf8.withContiguousStorageIfAvailable({ unsafe copy($0) }) == nil {
            write(raw: Array(utf8))
        }
    }

    /// Without a length.
    mutating func write(raw bytes: [UInt8]) {
        unsafe bytes.withUnsafeBufferPointer { unsafe copy($0) }
    }

    /// With their length (u32) before them.
    mutating func write(_ bytes: [UInt8]) {
        write(UInt32(bytes.count))
        write(raw: bytes)
    }

    public mutating func write(_ hash: EntryHash) {
        let words = hash.words
        write(words.0)
        write(words.1)
        write(words.2)
        write(words.3)
    }

    /// The number of elements that follow.
    mutating func write<Count: FixedWidthInteger & BitwiseCopyable>(
        count list: [some Any], as: Count.Type
    ) {
        write(Count(list.count))
    }

    /// Whether a value follows.
    mutating func write(presence value: (some Any)?) {
        write(UInt8(value == nil ? 0 : 1))
    }

    private mutating func copy(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        unsafe (memory + count).copyMemory(from: start, byteCount: bytes.count)
        count += bytes.count
    }

    /// Makes room for so many bytes more.
    @inline(__always)
    private mutating func reserve(_ size: Int) {
        if capacity - count < size { grow(by: size) }
    }

    @inline(never)
    private mutating func grow(by size: Int) {
        let larger = max(capacity * 2, count + size)
        let new = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        unsafe new.copyMemory(from: memory, byteCount: count)
        unsafe memory.deallocate()
        unsafe memory = new
        capacity = larger
    }
}
