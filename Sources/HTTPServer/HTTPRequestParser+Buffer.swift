extension HTTPRequestParser {
    /// Free bytes offered to a read, at least.
    private static let minimumFreeBytes = 2 << 10
    /// Bytes of a connection's first buffer.
    private static let initialBufferBytes = 4 << 10
    /// Bytes of a buffer from which on it grows at once to what its body will take, where that is
    /// known: the kernel gives the memory page by page as it is written to, and nothing more is
    /// copied. Fewer are doubled, so that a large `Content-Length` alone reserves nothing.
    private static let doubledBytes = 512 << 10

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
        let free = end..<min(buffer.count, end + limits.maximumReadBytes)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe read(UnsafeMutableRawBufferPointer(rebasing: bytes[free]))
        }
        if count > 0 { self.end += count }
        touchedBytes = max(touchedBytes, self.end)
        return count
    }

    /// Moves the bytes to the front where that is enough, and else grows the buffer in step with
    /// what has really come.
    private mutating func makeRoom() {
        if phase == .complete { beginRequest() }
        if start == end {
            (start, end) = (0, 0)
            releaseLargeBuffer()
        }
        if hasRoom { return }
        if start > 0 {
            move(start..<end, to: 0)
            (start, end) = (0, end - start)
        }
        if hasRoom { return }
        let doubled = max(2 * buffer.count, Self.initialBufferBytes)
        if buffer.count >= Self.doubledBytes, let missingBytes {
            grow(to: end + missingBytes)
        } else {
            grow(to: doubled)
        }
    }

    private var hasRoom: Bool {
        buffer.count - end >= min(Self.minimumFreeBytes, missingBytes ?? .max)
    }

    /// Bytes of the body under way that have not come; nil where that is not known, or none is.
    private var missingBytes: Int? {
        guard case .body(let count) = phase else { return nil }
        let missing = count - (end - start - position)
        // What is behind the body is of the next request.
        return missing > 0 ? missing : nil
    }

    /// Grows the buffer to so many bytes. Those behind what was received are not written to, so
    /// that the kernel need not give them yet; nobody reads them before a read has written them.
    private mutating func grow(to size: Int) {
        let end = end
        buffer = unsafe [UInt8](unsafeUninitializedCapacity: size) { grown, count in
            unsafe buffer.withUnsafeBytes { held in
                unsafe UnsafeMutableRawBufferPointer(grown).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: held[..<end]))
            }
            count = size
        }
        touchedBytes = end
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
        touchedBytes = 0
        (start, end, position, scanned) = (0, 0, 0, 0)
    }
}
