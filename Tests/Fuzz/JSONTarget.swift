import JSON

/// The JSON reader: what it takes is read again from what the writer makes of it.
enum JSONTarget {
    static func run(_ input: [UInt8]) {
        guard let document = copy(of: input) else { return }
        guard let again = copy(of: document) else {
            preconditionFailure("what was written is not read")
        }
        precondition(again == document, "what was written is read as something else")
    }

    /// The document as the writer writes it; nil where the reader refuses it.
    static func copy(of bytes: [UInt8]) -> [UInt8]? {
        var reader = JSONReader(bytes)
        var writer = JSONWriter(reserving: bytes.count)
        do throws(JSONError) {
            try copyValue(from: &reader, to: &writer)
            try reader.finish()
        } catch {
            precondition(!error.detail.isEmpty)
            // A document that is skipped is held to the same rules as one that is read.
            precondition(!canSkip(bytes), "skipped, and not read: \(error)")
            return nil
        }
        precondition(canSkip(bytes), "read, and not skipped")
        return writer.take()
    }

    private static func canSkip(_ bytes: [UInt8]) -> Bool {
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            try reader.skipValue()
            try reader.finish()
            return true
        } catch {
            return false
        }
    }

    /// - Parameter depth: of the containers around the value. What is deeper than the writer goes
    ///   is left to the reader, which refuses it.
    private static func copyValue(
        from reader: inout JSONReader, to writer: inout JSONWriter, depth: Int = 0
    ) throws(JSONError) {
        let isWritten = depth < JSONLimits.maximumDepth
        switch try reader.kind() {
        case .object:
            if isWritten { writer.beginObject() }
            try reader.readObject { (key, reader) throws(JSONError) in
                writer.key(key.text)
                try copyValue(from: &reader, to: &writer, depth: depth + 1)
            }
            writer.endObject()
        case .array:
            if isWritten { writer.beginArray() }
            try reader.readArray { (_, reader) throws(JSONError) in
                try copyValue(from: &reader, to: &writer, depth: depth + 1)
            }
            writer.endArray()
        case .string: writer.value(try reader.readString())
        case .number: try copyNumber(from: &reader, to: &writer)
        case .bool: writer.value(try reader.readBool())
        case .null:
            _ = try reader.readNull()
            writer.null()
        }
    }

    /// A number that is no 64-bit integer is skipped, and written as 0.
    private static func copyNumber(
        from reader: inout JSONReader, to writer: inout JSONWriter
    ) throws(JSONError) {
        if let number = try? reader.readInt64() {
            writer.value(number)
        } else if let number = try? reader.readUInt64() {
            writer.value(number)
        } else {
            try reader.skipValue()
            writer.value(0)
        }
    }
}
