import JSON

/// The error that reading throws, or nil where it goes well.
func refusal(
    of document: [UInt8], _ read: (inout JSONReader) throws(JSONError) -> Void
) -> JSONError? {
    var reader = JSONReader(document)
    do throws(JSONError) {
        try read(&reader)
        try reader.finish()
        return nil
    } catch {
        return error
    }
}

func refusal(
    of text: String, _ read: (inout JSONReader) throws(JSONError) -> Void
) -> JSONError? {
    refusal(of: Array(text.utf8), read)
}

/// The error for a document that is read without any expectation.
func refusal(of document: [UInt8]) -> JSONError? {
    refusal(of: document) { (reader) throws(JSONError) in try reader.skipValue() }
}

func refusal(of text: String) -> JSONError? {
    refusal(of: Array(text.utf8))
}

/// What `read` makes of a whole document.
func value<Value>(
    of text: String, _ read: (inout JSONReader) throws(JSONError) -> Value
) throws(JSONError) -> Value {
    var reader = JSONReader(Array(text.utf8))
    let value = try read(&reader)
    try reader.finish()
    return value
}

/// What `write` makes of an empty writer.
func text(_ write: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    write(&writer)
    return String(decoding: writer.take(), as: UTF8.self)
}

/// SplitMix64: the same seed, the same numbers, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// A document as a tree, for tests alone. Strings are bytes, since Swift compares a `String` by
/// canonical equivalence, which would hide a changed byte.
indirect enum JSONTree: Equatable {
    case object([Member])
    case array([JSONTree])
    case string([UInt8])
    case signed(Int64)
    case unsigned(UInt64)
    /// A number that no read takes: it can only be skipped.
    case otherNumber
    case bool(Bool)
    case null

    struct Member: Equatable {
        var name: [UInt8]
        var value: JSONTree
    }
}

extension JSONTree {
    /// Reads whatever comes next.
    init(from reader: inout JSONReader) throws(JSONError) {
        switch try reader.kind() {
        case .object:
            var members: [Member] = []
            try reader.readObject { (key, reader) throws(JSONError) in
                members.append(
                    Member(name: Array(key.text.utf8), value: try JSONTree(from: &reader)))
            }
            self = .object(members)
        case .array:
            var elements: [JSONTree] = []
            try reader.readArray { (index, reader) throws(JSONError) in
                precondition(index == elements.count)
                elements.append(try JSONTree(from: &reader))
            }
            self = .array(elements)
        case .string: self = .string(Array(try reader.readString().utf8))
        case .number: self = try Self.number(from: &reader)
        case .bool: self = .bool(try reader.readBool())
        case .null:
            let isNull = try reader.readNull()
            precondition(isNull)
            self = .null
        }
    }

    /// Leans on it that a number which is refused has not been consumed.
    private static func number(from reader: inout JSONReader) throws(JSONError) -> JSONTree {
        if let number = try? reader.readInt64() { return .signed(number) }
        if let number = try? reader.readUInt64() { return .unsigned(number) }
        try reader.skipValue()
        return .otherNumber
    }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.key(String(decoding: member.name, as: UTF8.self))
                member.value.write(to: &writer)
            }
            writer.endObject()
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .string(let text): writer.value(String(decoding: text, as: UTF8.self))
        case .signed(let number): writer.value(number)
        case .unsigned(let number): writer.value(number)
        case .otherNumber: preconditionFailure("its digits are not known")
        case .bool(let flag): writer.value(flag)
        case .null: writer.null()
        }
    }

    /// A tree that fits into `depth` levels of containers.
    static func random(depth: Int, using generator: inout SeededGenerator) -> JSONTree {
        switch Int.random(in: depth > 0 ? 0...6 : 2...6, using: &generator) {
        case 0:
            let count = Int.random(in: 0...40, using: &generator)
            return .object(
                (0..<count / 4).map { index in
                    let name = randomText(using: &generator) + Array("\(index)".utf8)
                    return Member(name: name, value: random(depth: depth - 1, using: &generator))
                })
        case 1:
            let count = Int.random(in: 0...6, using: &generator)
            return .array((0..<count).map { _ in random(depth: depth - 1, using: &generator) })
        case 2: return .string(randomText(using: &generator))
        case 3:
            return .signed(
                Int64(bitPattern: generator.next()) >> Int64.random(in: 0...63, using: &generator))
        case 4: return .unsigned(generator.next() | 1 << 63)
        case 5: return .bool(Bool.random(using: &generator))
        default: return .null
        }
    }

    /// Some text in UTF-8, with characters of every length and all that must be escaped.
    private static func randomText(using generator: inout SeededGenerator) -> [UInt8] {
        let ranges: [ClosedRange<UInt32>] = [
            0...0x1f, 0x20...0x7e, 0x20...0x7e, 0x22...0x22, 0x5c...0x5c, 0x7f...0x7ff,
            0x800...0xd7ff, 0xe000...0xffff, 0x1_0000...0x10_ffff,
        ]
        var text = ""
        for _ in 0..<Int.random(in: 0...24, using: &generator) {
            let range = ranges[Int.random(in: 0..<ranges.count, using: &generator)]
            text.unicodeScalars.append(
                Unicode.Scalar(UInt32.random(in: range, using: &generator))!)
        }
        return Array(text.utf8)
    }
}
