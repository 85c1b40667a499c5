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

    private struct FlagsKey: Equatable {
        let flags: GFPFlags
        let dialect: KernelDialect
    }

    /// The JSON of values, each at the place that it gives; another one may drive it out.
    private struct Places<Key: Equatable> {
        private var places = [(key: Key, json: [UInt8])?](repeating: nil, count: 1 << bits)

        /// log2 of how many are remembered.
        private static var bits: Int { 6 }

        /// - Parameter hash: the same for the same key.
        mutating func json(
            of key: Key, hash: UInt64, _ write: (inout JSONWriter) -> Void
        ) -> [UInt8] {
            // Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
            let place = Int((hash &* 0x9e37_79b9_7f4a_7c15) >> (64 - UInt64(Self.bits)))
            if let known = places[place], known.key == key { return known.json }
            var writer = JSONWriter()
            write(&writer)
            let json = writer.take()
            places[place] = (key, json)
            return json
        }
    }

    private var controls = Places<Key>()
    private var flags = Places<FlagsKey>()

    /// The JSON of a control; nil for one that is not kept here.
    func json(of control: AllocationControl, _ dialect: KernelDialect) -> [UInt8]? {
        guard let key = Key(control, dialect) else { return nil }
        let hash =
            UInt64(key.flags.rawValue) ^ key.lowBoundary ^ key.highBoundary << 1
            ^ UInt64(key.order.rawValue) << 32 ^ UInt64(key.node?.rawValue ?? 0xffff) << 40
        return controls.json(of: key, hash: hash) { $0.value(control, dialect) }
    }

    /// The JSON of flags.
    func json(of value: GFPFlags, _ dialect: KernelDialect) -> [UInt8] {
        flags.json(of: FlagsKey(flags: value, dialect: dialect), hash: UInt64(value.rawValue)) {
            $0.value(value, dialect)
        }
    }
}
