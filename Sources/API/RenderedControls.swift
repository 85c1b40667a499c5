// Controls and flags as answers have them. An answer says again what was asked for, which is most
// often what was asked for before: to copy its JSON takes 100 instructions, to write it 2,300.

import JSON
import PageAllocator

/// The JSON of controls and flags that were answered with last. One thread at a time.
final class RenderedControls {
    /// What the JSON of a plain control follows from.
    private struct Key: Equatable {
        let flags: GFPFlags
        let dialect: KernelDialect
        let order: Order
        let node: NodeID?
        let lowBoundary: UInt64
        let highBoundary: UInt64

        /// nil for a control that asks for more than a block within boundaries: there are few.
        init?(_ control: borrowing AllocationControl, _ dialect: KernelDialect) {
            guard control.isPlainBlock, control.memoryPolicy == nil, control.allowedNodes == nil
            else { return nil }
            flags = control.flags
            self.dialect = dialect
            order = control.order
            node = control.node
            lowBoundary = control.lowBoundary
            highBoundary = control.highBoundary
        }
    }

    /// Each at the place that its value gives; another one may drive it out.
    private var controls = [(key: Key, json: [UInt8])?](repeating: nil, count: 1 << placeBits)
    private var flags = [(key: FlagsKey, json: [UInt8])?](repeating: nil, count: 1 << placeBits)

    private struct FlagsKey: Equatable {
        let flags: GFPFlags
        let dialect: KernelDialect
    }

    /// log2 of how many of each are remembered.
    private static let placeBits = 6

    /// The JSON of a control; nil for one that is not kept here.
    func json(of control: AllocationControl, _ dialect: KernelDialect) -> [UInt8]? {
        guard let key = Key(control, dialect) else { return nil }
        let place = Self.place(
            UInt64(key.flags.rawValue) ^ key.lowBoundary ^ key.highBoundary << 1
                ^ UInt64(key.order.rawValue) << 32 ^ UInt64(key.node?.rawValue ?? 0xffff) << 40)
        if let known = controls[place], known.key == key { return known.json }
        var writer = JSONWriter()
        writer.value(control, dialect)
        let json = writer.take()
        controls[place] = (key, json)
        return json
    }

    /// The JSON of flags.
    func json(of value: GFPFlags, _ dialect: KernelDialect) -> [UInt8] {
        let key = FlagsKey(flags: value, dialect: dialect)
        let place = Self.place(UInt64(value.rawValue))
        if let known = flags[place], known.key == key { return known.json }
        var writer = JSONWriter()
        writer.value(value, dialect)
        let json = writer.take()
        flags[place] = (key, json)
        return json
    }

    /// Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
    private static func place(_ bits: UInt64) -> Int {
        Int((bits &* 0x9e37_79b9_7f4a_7c15) >> (64 - UInt64(placeBits)))
    }
}
