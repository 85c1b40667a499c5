// A stored control in a snapshot.
//
//   name                text
//   sequence, time      of the entry that put it (time: microseconds)
//   round               the node that served last, the pages it still gets
//   flags, order        numbers
//   node                0, or 1 and its number
//   boundaries          low, and how far below 2^64 - 1 the high one is
//   policy              0, or 1 and: mode, flags, nodes, home node, weights (node, pages)
//   allowed nodes       0, or 1 and a list
//   alignment, phase, boundary
//   pages               0, or 1 and the number
//   max segments, fit (text)

import PageAllocator

extension StoredControl {
    func write(to writer: inout SnapshotWriter) {
        writer.write(name)
        writer.write(sequence.rawValue)
        writer.write(signed: putAt.microseconds)
        writer.write(interleave.previous.rawValue)
        writer.write(UInt64(interleave.weightLeft))
        control.write(to: &writer)
    }

    init(snapshot reader: inout SnapshotReader) throws(SnapshotFailure) {
        let name = try reader.readText()
        let sequence = Sequence(try reader.readNumber())
        let putAt = Timestamp(microseconds: try reader.readSigned())
        let interleave = InterleaveState(
            previous: try reader.readNode(), weightLeft: try reader.read(0...UInt8.max))
        self.init(
            name: name, control: try AllocationControl(snapshot: &reader), sequence: sequence,
            putAt: putAt, interleave: interleave, isBuiltIn: false)
    }
}

extension AllocationControl {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(UInt64(flags.rawValue))
        writer.write(order.rawValue)
        writer.write(node) { writer, node in writer.write(node.rawValue) }
        writer.write(lowBoundary)
        writer.write(UInt64.max - highBoundary)
        writer.write(memoryPolicy) { writer, policy in policy.write(to: &writer) }
        writer.write(allowedNodes) { writer, nodes in writer.write(nodes) }
        writer.write(alignment)
        writer.write(phase)
        writer.write(boundary)
        writer.write(pages) { writer, pages in writer.write(pages) }
        writer.write(signed: Int64(maxSegments))
        writer.write(fit.rawValue)
    }

    fileprivate init(snapshot reader: inout SnapshotReader) throws(SnapshotFailure) {
        self.init(
            flags: GFPFlags(rawValue: try reader.read(0...UInt32.max)),
            order: try reader.read { number in Order(Int(clamping: number)) },
            node: try reader.readOptional { (reader) throws(SnapshotFailure) in
                try reader.readNode()
            },
            lowBoundary: try reader.readNumber(), highBoundary: .max - (try reader.readNumber()))
        memoryPolicy = try reader.readOptional { (reader) throws(SnapshotFailure) in
            try MemoryPolicy(snapshot: &reader)
        }
        allowedNodes = try reader.readOptional { (reader) throws(SnapshotFailure) in
            try reader.readNodes()
        }
        alignment = try reader.readNumber()
        phase = try reader.readNumber()
        boundary = try reader.readNumber()
        pages = try reader.readOptional { (reader) throws(SnapshotFailure) in
            try reader.readNumber()
        }
        maxSegments = Int(try reader.readSigned())
        guard let fit = Fit(rawValue: try reader.readText()) else {
            throw .invalidValue(offset: reader.offset)
        }
        self.fit = fit
    }
}

extension MemoryPolicy {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(mode.rawValue)
        writer.write(UInt64(flags.rawValue))
        writer.write(nodes)
        writer.write(homeNode) { writer, node in writer.write(node.rawValue) }
        writer.write(weights) { writer, weight in
            writer.write(weight.node.rawValue)
            writer.write(UInt64(weight.pages))
        }
    }

    fileprivate init(snapshot reader: inout SnapshotReader) throws(SnapshotFailure) {
        self.init(
            mode: try reader.read { number in Mode(rawValue: Int(clamping: number)) },
            flags: Flags(rawValue: try reader.read(0...UInt32.max)),
            nodes: try reader.readNodes(),
            homeNode: try reader.readOptional { (reader) throws(SnapshotFailure) in
                try reader.readNode()
            },
            weights: try reader.readList { (reader) throws(SnapshotFailure) in
                Weight(node: try reader.readNode(), pages: try reader.read(0...UInt8.max))
            })
    }
}

extension SnapshotWriter {
    fileprivate mutating func write(_ nodes: [NodeID]) {
        write(nodes) { writer, node in writer.write(node.rawValue) }
    }
}

extension SnapshotReader {
    mutating func readNode() throws(SnapshotFailure) -> NodeID {
        try read { number in NodeID(Int(clamping: number)) }
    }

    fileprivate mutating func readNodes() throws(SnapshotFailure) -> [NodeID] {
        try readList { (reader) throws(SnapshotFailure) in try reader.readNode() }
    }

    mutating func readDialect() throws(SnapshotFailure) -> KernelDialect {
        guard let dialect = KernelDialect(rawValue: try readText()) else {
            throw .invalidValue(offset: offset)
        }
        return dialect
    }
}
