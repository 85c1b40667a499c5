import PageAllocator

/// A set of CPUs as hwloc writes it: 32-bit words in hexadecimal, high ones first, as in
/// `0x000000ff,,0x1`. A word that is left out is 0.
///
/// Source: `hwloc_bitmap_snprintf`, hwloc/bitmap.c.
struct HwlocCPUSet: Hashable, Sendable {
    static let rule =
        "must be 32-bit hexadecimal words between commas, high ones first, of CPUs below"
        + " \(Machine.cpuLimit)"

    /// Low ones first, without zeros at the end.
    private let words: [UInt32]

    static let empty = HwlocCPUSet(words: [])

    private init(words: [UInt32]) {
        self.words = words
    }

    /// nil for a text that breaks `rule`, an infinite set among them.
    init?(_ text: String) {
        guard !text.isEmpty else { return nil }
        var words: [UInt32] = []
        for word in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            .reversed()
        {
            guard let value = Self.word(Substring(word)) else { return nil }
            words.append(value)
        }
        while words.last == 0 { words.removeLast() }
        guard words.count <= Machine.cpuLimit / UInt32.bitWidth else { return nil }
        self.words = words
    }

    private static func word(_ text: Substring) -> UInt32? {
        if text.isEmpty { return 0 }
        let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text
        return UInt64(hexadecimal: digits).flatMap(UInt32.init(exactly:))
    }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    func contains(_ cpu: Int) -> Bool {
        let word = cpu / UInt32.bitWidth
        return word < words.count && words[word] >> UInt32(cpu % UInt32.bitWidth) & 1 == 1
    }
}
