extension HTTPRequestParser {
    /// Free bytes offered to a read, at least.
    private static let minimumFreeBytes = 2 << 10
    /// Bytes of a connection's first buffer.
    private static let initialBufferBytes = 4 << 10
    /// Bytes by which a buffer grows at the most: what a large body leaves unused of it.
    private static let maximumGrowthBytes = 8 << 20

    /// Takes over `bytes`.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe receive { free in
                let piece = rest.prefix(free.count)
                unsafe free.copyBytes(from: piece)
                return piece.count
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Lets `read` write into the free end of the buffer. It returns how many bytes it wrote, or
    /// a negative number, which is passed on.
    mutating func receive(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        makeRoom()
        let end = end
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe read(UnsafeMutableRawBufferPointer(rebasing: bytes[end...]))
        }
        if count > 0 { self.end += count }
        return count
    }

    /// Moves the bytes to the front where that is enough, and else grows the buffer in step with
    /// what has really come: a large `Content-Length` alone reserves nothing.
    private mutating func makeRoom() {
        if phase == .complete { beginRequest() }
        if start == end {
            (start, end) = (0, 0)
            releaseLargeBuffer()
        }
        if buffer.count - end >= Self.minimumFreeBytes { return }
        if start > 0 {
            move(start..<end, to: 0)
            (start, end) = (0, end - start)
        }
        if buffer.count - end >= Self.minimumFreeBytes { return }
        let growth = max(buffer.count, Self.initialBufferBytes)
        grow(by: min(growth, Self.maximumGrowthBytes))
    }

    /// Grows the buffer by exactly so many bytes. `append` would go byte by byte where nothing is
    /// optimized, and take twice the memory where it grows.
    private mutating func grow(by bytes: Int) {
        let (held, size) = (buffer.count, buffer.count + bytes)
        buffer = unsafe [UInt8](unsafeUninitializedCapacity: size) { grown, count in
            unsafe UnsafeMutableRawBufferPointer(grown).copyBytes(from: buffer)
            unsafe UnsafeMutableBufferPointer(rebasing: grown[held...]).initialize(repeating: 0)
            count = size
        }
    }

    /// Gives a large buffer back that holds nothing: between requests.
    mutating func releaseLargeBuffer() {
        if buffer.count > limits.maximumRetainedBufferBytes, !hasBufferedBytes, !isInBody {
            discardBuffer()
        }
    }

    /// Moves bytes within the buffer; source and destination may overlap.
    mutating func move(_ source: Range<Int>, to destination: Int) {
        guard !source.isEmpty, source.lowerBound != destination else { return }
        unsafe buffer.withUnsafeMutableBytes { bytes in
            let moved = unsafe UnsafeRawBufferPointer(rebasing: bytes[source])
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[destination...])
                .copyMemory(from: moved)
        }
    }

    /// Drops all bytes and the memory that held them.
    mutating func discardBuffer() {
        buffer = []
        (start, end, position, scanned) = (0, 0, 0, 0)
    }
}
