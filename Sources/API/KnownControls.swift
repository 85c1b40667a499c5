// Controls that bodies have had, by how they were spelled. A device driver asks with the same
// control in every request, and most of a body is that control: to find it here takes 200
// instructions, to read it 4,600.

import JSON
import PageAllocator

/// What the controls in bodies said that came last. One thread at a time.
final class KnownControls {
    private struct Place {
        /// Empty where there is none: no object is spelled so.
        var spelling: [UInt8] = []
        var dialect = KernelDialect.linux612
        var fields = ControlFields()
    }

    /// Each at the place that its hash gives; another one may drive it out.
    private var places = [Place](repeating: Place(), count: 1 << placeBits)

    /// log2 of how many controls are remembered.
    private static let placeBits = 6

    /// Bytes of a control that is remembered.
    private static let spellingLimit = 512

    /// The control that comes next in a body.
    func fields(
        from reader: inout JSONReader, _ dialect: KernelDialect
    ) throws(JSONError) -> ControlFields {
        guard let spelling = try reader.spelling(upTo: Self.spellingLimit) else {
            return try ControlFields(&reader, dialect)
        }
        let place = Int(spelling.hash >> (64 - UInt64(Self.placeBits)))
        if places[place].dialect == dialect,
            reader.consume(spelling, ifSameAs: places[place].spelling)
        {
            return places[place].fields
        }
        let fields = try ControlFields(&reader, dialect)
        if reader.hasConsumed(spelling) {
            places[place] = Place(
                spelling: reader.bytes(of: spelling), dialect: dialect, fields: fields)
        }
        return fields
    }
}
