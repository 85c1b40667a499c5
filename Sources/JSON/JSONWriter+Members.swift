/// A member at a time: its name, then its value.
extension JSONWriter {
    @inlinable
    public mutating func member(_ name: StaticString, _ text: String) {
        key(name)
        value(text)
    }

    @inlinable
    public mutating func member(_ name: StaticString, _ text: StaticString) {
        key(name)
        value(text)
    }

    @inlinable
    public mutating func member(_ name: StaticString, _ flag: Bool) {
        key(name)
        value(flag)
    }

    @inlinable
    public mutating func member(_ name: StaticString, _ integer: some FixedWidthInteger) {
        key(name)
        value(integer)
    }

    @inlinable
    public mutating func member(_ name: StaticString, hex number: UInt64) {
        key(name)
        hexValue(number)
    }

    @inlinable
    public mutating func nullMember(_ name: StaticString) {
        key(name)
        null()
    }

    @inlinable
    public mutating func member(_ name: StaticString, raw encoded: [UInt8]) {
        key(name)
        raw(encoded)
    }
}
