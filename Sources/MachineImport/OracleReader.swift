// Reads the lines of an oracle log from its bytes. A line that is not understood is passed over, as
// is a part of a state that is not known; numbers that do not fit count as missing.

import PageAllocator

/// One line, cut into its fields.
struct OracleReader {
    private let log: [UInt8]

    /// Where each field is.
    private let fields: [Range<Int>]

    private init(_ log: [UInt8], fields: [Range<Int>]) {
        self.log = log
        self.fields = fields
    }

    /// The lines of a whole log.
    static func lines(of log: [UInt8]) -> [OracleReader] {
        var lines: [OracleReader] = []
        var fields: [Range<Int>] = []
        var start = 0
        for index in 0...log.count {
            let byte = index < log.count ? log[index] : UInt8(ascii: "\n")
            guard byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n") else { continue }
            fields.append(start..<index)
            start = index + 1
            if byte == UInt8(ascii: "\n") {
                lines.append(OracleReader(log, fields: fields))
                fields = []
            }
        }
        return lines
    }

    /// nil for a line that is none.
    func line(weights: [MemoryPolicy.Weight]) -> OracleLine? {
        switch text(0) {
        case "A": request(weights).map(OracleLine.request)
        case "F": free.map(OracleLine.free)
        default: fields.count > 1 ? .step(state: state(fields.count - 1)) : nil
        }
    }

    /// What the kernel answered, fields 12 to 16 counted from 1; nil for a line that is no request.
    var answer: OracleAnswer? {
        guard fields.count >= 17, text(0) == "A", let sequence = decimal(1) else { return nil }
        guard let pfn = frame(11), let node = decimal(12).flatMap(NodeID.init),
            let type = ZoneType(name: text(13)), let free = pages(14), let perCPU = pages(15)
        else { return OracleAnswer(sequence: sequence, grant: nil) }
        let grant = OracleAnswer.Grant(
            pfn: pfn, zone: OracleZone.Name(node: node, type: type),
            freePagesAfter: free, perCPUPagesAfter: perCPU)
        return OracleAnswer(sequence: sequence, grant: grant)
    }

    private func request(_ weights: [MemoryPolicy.Weight]) -> OracleRequest? {
        guard fields.count >= 17, let sequence = decimal(1), let cpu = decimal(3),
            let call = OracleRequest.Call(rawValue: firstByte(4)),
            let flags = hexadecimal(6).flatMap(UInt32.init(exactly:)), let size = pages(7)
        else { return nil }
        let policy = OraclePolicy(text(10), weights: weights)
        return OracleRequest(
            sequence: sequence, phase: text(2), cpu: cpu, call: call,
            flags: GFPFlags(rawValue: flags), size: size,
            node: decimal(8).flatMap(NodeID.init), nodeMask: hexadecimal(9) ?? 0,
            policy: policy.policy, interleave: policy.interleave, state: state(16))
    }

    private var free: OracleFree? {
        guard fields.count >= 8, let sequence = decimal(1), let cpu = decimal(3),
            let pfn = frame(5), let size = pages(6)
        else { return nil }
        return OracleFree(
            sequence: sequence, cpu: cpu, kind: text(4), pfn: pfn, size: size, state: state(7))
    }

    /// 0 for an empty field.
    private func firstByte(_ field: Int) -> UInt8 {
        log[fields[field]].first ?? 0
    }

    private func text(_ field: Int) -> String {
        String(decoding: log[fields[field]], as: UTF8.self)
    }

    private func decimal(_ field: Int) -> Int? {
        whole(field, radix: 10).flatMap(Int.init(exactly:))
    }

    /// Page counts are added up in 64 bits: what is too large for that is none.
    private func pages(_ field: Int) -> UInt64? {
        whole(field, radix: 10).flatMap { $0 < PageFrameNumber.limit.rawValue ? $0 : nil }
    }

    private func frame(_ field: Int) -> PageFrameNumber? {
        hexadecimal(field).flatMap {
            $0 < PageFrameNumber.limit.rawValue ? PageFrameNumber($0) : nil
        }
    }

    private func hexadecimal(_ field: Int) -> UInt64? {
        whole(field, radix: 16)
    }

    /// The number that is all of a field; nil for anything else.
    private func whole(_ field: Int, radix: UInt64) -> UInt64? {
        var cursor = OracleCursor(log, fields[field])
        var value = cursor.number(radix: radix)
        // `0x`: what was read is the zero before it.
        if radix == 16, value == 0, cursor.skip(UInt8(ascii: "x")) {
            value = cursor.number(radix: radix)
        }
        return cursor.isAtEnd ? value : nil
    }

    private func state(_ field: Int) -> [OracleZoneState] {
        var cursor = OracleCursor(log, fields[field])
        var zones: [OracleZoneState] = []
        while cursor.skipBlanks() {
            if let zone = cursor.zone() { zones.append(zone) }
            cursor.skipWord()
        }
        return zones
    }
}
