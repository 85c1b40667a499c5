/// The names that an object has had so far, so that a second one is noticed.
///
/// RFC 8259 section 4 leaves duplicate names open, and readers differ in which value wins, so the
/// service refuses them. Nearly every object has a handful of names, written without escapes: these
/// are kept in place, as ranges of the document, and compared one by one. The rest goes to a hashed
/// set, so that an object with as many members as are allowed stays linear.
struct MemberNames {
    private var ranges = InlineArray<16, Range<Int>>(repeating: 0..<0)
    private var rangeCount = 0
    private var others: Set<[UInt8]> = []

    /// Members seen, each with a name of its own.
    var count: Int { rangeCount + others.count }

    /// Takes one more name of an object in `document`; false if it was there already.
    mutating func insert(_ key: borrowing JSONKey, in document: [UInt8]) -> Bool {
        for index in 0..<rangeCount where key.hasBytes(of: document, at: ranges[index]) {
            return false
        }
        if key.isVerbatim && rangeCount < ranges.count {
            ranges[rangeCount] = key.range
            rangeCount += 1
            return others.isEmpty || !others.contains(Array(key.bytes[key.range]))
        }
        return others.insert(Array(key.bytes[key.range])).inserted
    }
}
