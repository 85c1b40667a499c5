// The body of a request: counted, or in chunks (RFC 9112, section 7.1), which are moved together
// in place behind the head. What has been parsed of the framing is overwritten, so a body of many
// small chunks takes no more memory than its bytes.

extension HTTPRequestParser {
    /// A size of more digits is beyond every limit; leading zeros count as digits.
    private static let maximumChunkSizeDigits = 15

    mutating func advanceBody(_ count: Int) -> Bool {
        guard end - start - position >= count else { return false }
        position += count
        bodyEnd = position
        phase = .complete
        return true
    }

    mutating func advanceChunkSize() throws(HTTPRequestError) -> Bool {
        let limit = limits.maximumChunkLineBytes
        guard let line = try takeLine(limit: limit, tooLong: .malformedChunk) else { return false }
        let size = try chunkSize(line)
        guard size <= bodyLimit - (bodyEnd - head.end) else { throw .bodyTooLarge }
        phase = size == 0 ? .trailerLines : .chunk(remaining: size)
        fieldBytes = 0
        return true
    }

    /// `chunk-size [ ";" extension ]`; extensions are checked for control characters and dropped.
    private func chunkSize(_ line: Range<Int>) throws(HTTPRequestError) -> Int {
        let bytes = buffer.span.extracting(start..<end)
        var size = 0
        var digits = line.lowerBound
        while digits < line.upperBound,
            let value = ASCII.hexadecimalValue(bytes[digits])
        {
            guard digits - line.lowerBound < Self.maximumChunkSizeDigits else {
                throw .bodyTooLarge
            }
            size = size << 4 | Int(value)
            digits += 1
        }
        guard digits > line.lowerBound,
            digits == line.upperBound || bytes[digits] == ASCII.semicolon
        else { throw .malformedChunk }
        for position in digits..<line.upperBound
        where !ASCII.isFieldValueByte(bytes[position]) {
            throw .malformedChunk
        }
        return size
    }

    mutating func advanceChunk(_ remaining: Int) -> Bool {
        let count = min(remaining, end - start - position)
        guard count > 0 else { return false }
        move(start + position..<start + position + count, to: start + bodyEnd)
        bodyEnd += count
        position += count
        scanned = position
        phase = count == remaining ? .chunkEnd : .chunk(remaining: remaining - count)
        return true
    }

    mutating func advanceChunkEnd() throws(HTTPRequestError) -> Bool {
        let received = end - start - position
        if received > 0, buffer[start + position] != ASCII.carriageReturn { throw .malformedChunk }
        guard received > 1 else { return false }
        guard buffer[start + position + 1] == ASCII.lineFeed else { throw .malformedChunk }
        position += 2
        scanned = position
        phase = .chunkSize
        return true
    }

    mutating func advanceTrailerLine() throws(HTTPRequestError) -> Bool {
        let limit = limits.maximumTrailerBytes - fieldBytes
        guard let line = try takeLine(limit: limit, tooLong: .headerTooLarge) else { return false }
        if line.isEmpty {
            phase = .complete
            return true
        }
        fieldBytes += line.count
        trailerCount += 1
        guard trailerCount <= limits.maximumHeaderFields else { throw .tooManyFields }
        _ = try Self.parseFieldLine(buffer.span.extracting(start..<end), line)
        return true
    }

    /// Moves the bytes not yet parsed up to where the body ends so far. Done once for each piece
    /// received, when nothing but the beginning of a line is left to move.
    mutating func closeGap() {
        let gap = position - bodyEnd
        guard isInBody, gap > 0 else { return }
        move(start + position..<end, to: start + bodyEnd)
        end -= gap
        position -= gap
        scanned -= gap
    }
}
