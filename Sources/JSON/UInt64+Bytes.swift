/// Eight bytes looked at as one number, the first of them lowest.
extension UInt64 {
    /// 1 in each byte.
    @inline(__always)
    static var ones: UInt64 { 0x0101_0101_0101_0101 }

    /// The highest bit of each byte that is `byte`, up to the first of them; what is set behind
    /// that one means nothing.
    ///
    /// A subtraction sets the highest bit of a byte that is 0, and borrows from the byte behind.
    @inline(__always)
    func highBits(ofBytes byte: UInt8) -> UInt64 {
        let differences = self ^ Self.ones &* UInt64(byte)
        return (differences &- Self.ones) & ~differences & (Self.ones &* 0x80)
    }
}
