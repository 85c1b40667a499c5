// The domain's scalars as the contract spells them.

import AllocationService
import JSON
import Ledger
import PageAllocator

extension JSONReader {
    /// A byte address: an integer, or a string in decimal or with 0x.
    mutating func readAddress() throws(JSONError) -> UInt64 {
        try readBytes("an address")
    }

    /// A number of bytes, spelled as an address is.
    mutating func readByteCount() throws(JSONError) -> UInt64 {
        try readBytes("a number of bytes")
    }

    private mutating func readBytes(_ noun: StaticString) throws(JSONError) -> UInt64 {
        switch try kind() {
        case .number:
            return try readUInt64()
        case .string:
            guard let bytes = UInt64(spelled: try readText()) else {
                throw failure("must be \(noun) below 2^64: \"4096\" or \"0x1000\"")
            }
            return bytes
        default:
            throw failure("must be \(noun): an integer, or a string like \"0x1000\"")
        }
    }

    /// GFP flags: a list of names, one string of names joined by `|`, or a number.
    mutating func readFlags(_ dialect: KernelDialect) throws(JSONError) -> GFPFlags {
        switch try kind() {
        case .array:
            var flags: GFPFlags = []
            try readArray { (_, reader) throws(JSONError) in
                flags.formUnion(try reader.readFlagNames(dialect))
            }
            return flags
        case .string:
            return try readFlagNames(dialect)
        case .number:
            guard let value = UInt32(exactly: try readUInt64()) else {
                throw failure("must be a 32-bit GFP mask")
            }
            return GFPFlags(rawValue: value)
        default:
            throw failure("must be GFP flags: a list of names, a string of names, or a number")
        }
    }

    /// Names joined by `|`, as trace events print them; a part may be a number.
    private mutating func readFlagNames(_ dialect: KernelDialect) throws(JSONError) -> GFPFlags {
        let names = try readText()
        // What most requests name, in each dialect.
        if names == "GFP_KERNEL" { return .kernel }
        let text = names.text
        if let named = GFPFlags(name: text, dialect: dialect) { return named }
        var flags: GFPFlags = []
        if text.isEmpty { return flags }
        for part in text.split(separator: "|", omittingEmptySubsequences: false) {
            let name = String(part)
            if let named = GFPFlags(name: name, dialect: dialect) {
                flags.formUnion(named)
            } else if let value = UInt64(spelled: name).flatMap(UInt32.init(exactly:)) {
                flags.formUnion(GFPFlags(rawValue: value))
            } else {
                throw failure("must be names of GFP flags of \(dialect.rawValue), not \"\(name)\"")
            }
        }
        return flags
    }

    /// The place of an entry in the ledger.
    mutating func readSequence() throws(JSONError) -> Sequence {
        let value = try readUInt64()
        guard (1...UInt64(Int64.max)).contains(value) else {
            throw failure("must be a sequence, from 1")
        }
        return Sequence(value)
    }

    mutating func readOrder() throws(JSONError) -> Order {
        let value = try readInt()
        guard let order = Order(value) else {
            throw failure("must be an order from 0 to \(Order.max.rawValue)")
        }
        return order
    }

    /// The node whose number is a member's name. One spelling for each number, so that no node is
    /// named twice.
    func node(named name: String) throws(JSONError) -> NodeID {
        guard let number = Int(name), name == String(number), let node = NodeID(number) else {
            throw failure("must have for its name a node number from 0 to \(NodeID.limit - 1)")
        }
        return node
    }

    /// -1 is nil: no node is named.
    mutating func readNode() throws(JSONError) -> NodeID? {
        let value = try readInt()
        if value == -1 { return nil }
        guard let node = NodeID(value) else {
            throw failure("must be a node number from 0 to \(NodeID.limit - 1), or -1")
        }
        return node
    }

    mutating func readCPU() throws(JSONError) -> Int {
        let cpu = try readInt()
        guard (0..<Machine.cpuLimit).contains(cpu) else {
            throw failure("must be a CPU number from 0 to \(Machine.cpuLimit - 1)")
        }
        return cpu
    }

    /// A machine's or a control's name.
    mutating func readName() throws(JSONError) -> String {
        let name = try readString()
        guard isResourceName(name) else { throw failure(resourceNameRule) }
        return name
    }

    mutating func readOwner() throws(JSONError) -> String {
        let owner = try readString()
        guard isOwner(owner) else { throw failure(ownerRule) }
        return owner
    }

    /// Seconds that a lease is to last.
    mutating func readTTL() throws(JSONError) -> UInt32 {
        guard let seconds = UInt32(exactly: try readInt64()),
            (1...ServiceLimits.ttlSeconds).contains(seconds)
        else { throw failure("must be 1 to \(ServiceLimits.ttlSeconds) seconds") }
        return seconds
    }

    /// How long an allocation may wait, in milliseconds.
    mutating func readWait() throws(JSONError) -> UInt32 {
        guard let milliseconds = UInt32(exactly: try readInt64()),
            (1...ServiceLimits.waitMilliseconds).contains(milliseconds)
        else { throw failure("must be 1 to \(ServiceLimits.waitMilliseconds) milliseconds") }
        return milliseconds
    }

    /// The id of an allocation.
    mutating func readAllocationID() throws(JSONError) -> AllocationID {
        let id = try readInt64()
        guard id > 0 else { throw failure("must be the id of an allocation") }
        return AllocationID(UInt64(id))
    }

    mutating func readFrameNumber() throws(JSONError) -> PageFrameNumber {
        let number = try readUInt64()
        guard number < PageFrameNumber.limit.rawValue else {
            throw failure("must be a page frame number below 2^52")
        }
        return PageFrameNumber(number)
    }

    mutating func readLabels() throws(JSONError) -> [Label] {
        var labels: [Label] = []
        try readObject { (key, reader) throws(JSONError) in
            let name = key.text
            guard isLabelName(name) else {
                throw reader.failure(
                    "must have a name of 1 to \(ServiceLimits.labelNameLength) letters, digits "
                        + "and . _ / -")
            }
            guard labels.count < ServiceLimits.labels else {
                throw reader.failure("must be one of at most \(ServiceLimits.labels) labels")
            }
            let value = try reader.readString()
            guard value.utf8.count <= ServiceLimits.labelValueBytes, value.isPlain else {
                throw reader.failure(
                    "must be at most \(ServiceLimits.labelValueBytes) bytes without control "
                        + "characters")
            }
            labels.append(Label(name: name, value: value))
        }
        return labels.sorted { $0.name < $1.name }
    }
}

let ownerRule = "must be 1 to \(ServiceLimits.ownerBytes) bytes without control characters"

/// Whether grants may be an owner's of that name.
func isOwner(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= ServiceLimits.ownerBytes && name.isPlain
}

let resourceNameRule =
    "must be 1 to \(ServiceLimits.nameLength) letters, digits and . _ -, a letter or digit first"

/// Whether a machine or a control may be called that.
func isResourceName(_ name: String) -> Bool {
    guard let first = name.utf8.first, isLetterOrDigit(first),
        name.utf8.count <= ServiceLimits.nameLength
    else { return false }
    return name.utf8.allSatisfy { byte in
        isLetterOrDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-")
    }
}

private func isLabelName(_ name: String) -> Bool {
    guard !name.isEmpty, name.utf8.count <= ServiceLimits.labelNameLength else { return false }
    return name.utf8.allSatisfy { byte in
        isLetterOrDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "-")
    }
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}

extension String {
    /// Free of control characters: U+0000…U+001F, U+007F…U+009F.
    var isPlain: Bool {
        // Most texts are ASCII, whose bytes are sooner looked at than scalars.
        if utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return true }
        return unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
    }
}

extension UInt64 {
    /// A number in decimal, or in hexadecimal after 0x: digits only, no sign.
    init?(spelled text: String) {
        self.init(spelled: Array(text.utf8))
    }

    init?<Text: RandomAccessCollection<UInt8>>(spelled text: Text) where Text.Index == Int {
        var position = text.startIndex
        var radix: UInt64 = 10
        if text.count > 2, text[position] == UInt8(ascii: "0"),
            text[position + 1] | 0x20 == UInt8(ascii: "x")
        {
            position += 2
            radix = 16
        }
        guard position < text.endIndex else { return nil }
        var value: UInt64 = 0
        while position < text.endIndex {
            guard let digit = Self.digit(text[position]), digit < radix else { return nil }
            let (product, overflowed) = value.multipliedReportingOverflow(by: radix)
            let (sum, carried) = product.addingReportingOverflow(digit)
            guard !overflowed, !carried else { return nil }
            value = sum
            position += 1
        }
        self = value
    }

    /// The value of a digit or letter, 0 to 35.
    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt64(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// A number in decimal: digits only, no sign.
    init?(decimal text: String) {
        guard let first = text.utf8.first, isLetterOrDigit(first), let value = UInt64(text) else {
            return nil
        }
        self = value
    }
}
