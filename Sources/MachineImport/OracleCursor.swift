// Reads a field of an oracle log from its start. Each byte is looked at once: a log has tens of
// millions.

import PageAllocator

struct OracleCursor {
    private let log: [UInt8]
    private let end: Int
    private var index: Int

    init(_ log: [UInt8], _ field: Range<Int>) {
        self.log = log
        index = field.lowerBound
        end = field.upperBound
    }

    var isAtEnd: Bool { index == end }

    private var byte: UInt8? { index < end ? log[index] : nil }

    /// Goes on past the byte, if it is next.
    mutating func skip(_ expected: UInt8) -> Bool {
        guard byte == expected else { return false }
        index += 1
        return true
    }

    /// Goes on to the next byte that is no blank; false at the end.
    mutating func skipBlanks() -> Bool {
        while byte == UInt8(ascii: " ") { index += 1 }
        return !isAtEnd
    }

    /// Goes on to the next blank.
    mutating func skipWord() {
        while let byte, byte != UInt8(ascii: " ") { index += 1 }
    }

    /// nil where no digit is next, and above 64 bits.
    mutating func number(radix: UInt64) -> UInt64? {
        var value: UInt64?
        while let digit = digit(radix: radix) {
            index += 1
            let (product, overflow) = (value ?? 0).multipliedReportingOverflow(by: radix)
            let (sum, carried) = product.addingReportingOverflow(digit)
            guard !overflow, !carried else { return nil }
            value = sum
        }
        return value
    }

    private func digit(radix: UInt64) -> UInt64? {
        guard let byte else { return nil }
        if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            return UInt64(byte - UInt8(ascii: "0"))
        }
        guard radix == 16, byte >= UInt8(ascii: "a"), byte <= UInt8(ascii: "f") else { return nil }
        return UInt64(byte - UInt8(ascii: "a")) + 10
    }

    /// `0.DMA32:f=492198:b=0:h=0:p=0:o=4/3/…:m=700/7ff/0/0:q=0`; nil for anything without a name
    /// and a count for each order.
    mutating func zone() -> OracleZoneState? {
        guard let name = name() else { return nil }
        var zone = OracleZoneState(
            name: name,
            record: RecordedZone(
                counters: ZoneCounters(freePages: 0, freeOrders: FreeOrders())),
            perCPUPages: 0, freeBlocks: [])
        while skip(UInt8(ascii: ":")), let key = byte {
            index += 1
            guard skip(UInt8(ascii: "=")) else { break }
            let radix: UInt64 = key == UInt8(ascii: "m") || key == UInt8(ascii: "q") ? 16 : 10
            var values = [number(radix: radix) ?? 0]
            while skip(UInt8(ascii: "/")) {
                values.append(number(radix: radix) ?? 0)
            }
            zone.set(key, to: values)
        }
        return zone.freeBlocks.count == Order.count ? zone : nil
    }

    private mutating func name() -> OracleZone.Name? {
        guard let node = number(radix: 10).flatMap(Int.init(exactly:)).flatMap(NodeID.init),
            skip(UInt8(ascii: "."))
        else { return nil }
        let start = index
        while let byte, byte != UInt8(ascii: ":"), byte != UInt8(ascii: " ") { index += 1 }
        return ZoneType(name: String(decoding: log[start..<index], as: UTF8.self)).map {
            OracleZone.Name(node: node, type: $0)
        }
    }
}

extension OracleZoneState {
    /// Sets what a letter stands for; letters that are not known stand for nothing.
    fileprivate mutating func set(_ key: UInt8, to values: [UInt64]) {
        switch key {
        case UInt8(ascii: "f"): record.counters.freePages = Self.count(values[0])
        case UInt8(ascii: "b"): record.counters.boost = Self.count(values[0])
        case UInt8(ascii: "p"): perCPUPages = Self.count(values[0])
        case UInt8(ascii: "o"): freeBlocks = values.map(Self.count)
        case UInt8(ascii: "q"): record.perCPULists = UInt16(truncatingIfNeeded: values[0])
        case UInt8(ascii: "h"):
            record.counters.reservedHighatomic = Self.count(values[0])
            record.counters.freeHighatomic = values.count > 1 ? Self.count(values[1]) : 0
        case UInt8(ascii: "m"):
            for (type, orders) in zip(Migratetype.allCases, values) {
                record.counters.freeOrders[type] = UInt16(truncatingIfNeeded: orders)
            }
        default: break
        }
    }

    /// Pages are added up in signed 64 bits: what is too large for that is no count.
    private static func count(_ value: UInt64) -> UInt64 {
        value < PageFrameNumber.limit.rawValue ? value : 0
    }
}
