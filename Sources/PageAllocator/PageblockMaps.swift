// The maps of a zone's pageblocks, made when they are first written.
//
// A zone begins as blocks of the largest order, which need no map, and most of a large zone may
// never be divided. The maps are therefore made in chunks, each with the first block that goes into
// it; until then its place is held by one chunk that has no free block and is never written. So a
// zone of a tebibyte is there at once, and what is read needs no test whether it is there.

@safe struct PageblockMaps: ~Copyable {
    /// log2 of the pageblocks that share a chunk: 256, of 128 MiB, whose maps take 32 KiB.
    private static let chunkShift = 8

    /// Maps.
    private let count: Int
    private let chunkCount: Int
    private let wordsPerChunk: Int
    private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>>

    /// Stands in for each chunk that has not been made.
    private let emptyChunk: UnsafeMutablePointer<UInt64>

    init(count: Int) {
        precondition(count > 0)
        self.count = count
        chunkCount = (count + 1 << Self.chunkShift - 1) >> Self.chunkShift
        wordsPerChunk = min(count, 1 << Self.chunkShift) * PageblockMap.wordCount
        unsafe emptyChunk = Self.makeChunk(wordsPerChunk)
        unsafe chunks = .allocate(capacity: chunkCount)
        unsafe chunks.initialize(repeating: emptyChunk, count: chunkCount)
    }

    deinit {
        for chunk in 0..<chunkCount where unsafe chunks[chunk] != emptyChunk {
            unsafe chunks[chunk].deallocate()
        }
        unsafe chunks.deallocate()
        unsafe emptyChunk.deallocate()
    }

    /// A map, to be read and to have blocks taken off.
    @inline(__always)
    subscript(number: Int) -> PageblockMap {
        precondition(UInt(bitPattern: number) < UInt(bitPattern: count))
        return unsafe PageblockMap(chunks[number &>> Self.chunkShift] + Self.offset(number))
    }

    /// A map that a block can be put on.
    @inline(__always)
    mutating func writable(_ number: Int) -> PageblockMap {
        precondition(UInt(bitPattern: number) < UInt(bitPattern: count))
        let chunk = number &>> Self.chunkShift
        if unsafe chunks[chunk] == emptyChunk { make(chunk) }
        return unsafe PageblockMap(chunks[chunk] + Self.offset(number))
    }

    @inline(__always)
    private static func offset(_ number: Int) -> Int {
        (number & (1 << chunkShift - 1)) &* PageblockMap.wordCount
    }

    @inline(never)
    private mutating func make(_ chunk: Int) {
        unsafe chunks[chunk] = Self.makeChunk(wordsPerChunk)
    }

    private static func makeChunk(_ words: Int) -> UnsafeMutablePointer<UInt64> {
        let chunk = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        unsafe chunk.initialize(repeating: 0, count: words)
        return unsafe chunk
    }
}
