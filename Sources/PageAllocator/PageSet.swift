// A set of pages, made while a snapshot is read: which are taken, and which pageblocks hold any.

@safe struct PageSet: ~Copyable {
    private let pageCount: Int
    private let words: UnsafeMutablePointer<UInt64>
    private var touched: HierarchicalBitmap

    /// An empty set of pages that are numbered from 0; `pageCount` is a multiple of a pageblock's.
    init(pageCount: Int) {
        precondition(pageCount > 0 && pageCount % Pageblock.pageCount == 0)
        self.pageCount = pageCount
        unsafe words = .allocate(capacity: pageCount / 64)
        unsafe words.initialize(repeating: 0, count: pageCount / 64)
        touched = HierarchicalBitmap(limit: pageCount >> Pageblock.order)
    }

    deinit {
        unsafe words.deallocate()
    }

    /// Adds pages; false where one of them is in the set already, and then the set is of no use.
    mutating func insert(_ pages: Range<Int>) -> Bool {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        var page = pages.lowerBound
        while page < pages.upperBound {
            let number = page >> Pageblock.order
            if !touched.contains(number) { touched.insert(number) }
            let end = min((page | 63) + 1, pages.upperBound)
            let mask = (UInt64.max >> UInt64(64 - (end - page))) << UInt64(page & 63)
            let before = unsafe words[page >> 6]
            guard before & mask == 0 else { return false }
            unsafe words[page >> 6] = before | mask
            page = end
        }
        return true
    }

    /// The pageblocks from `first` up to `end` that hold a page of the set, ascending.
    func pageblocks(_ first: Int, _ end: Int) -> [Int] {
        var found: [Int] = []
        var next = touched.first(in: first..<end)
        while let number = next {
            found.append(number)
            next = touched.first(in: number + 1..<end)
        }
        return found
    }

    func pages(ofPageblock number: Int) -> PageblockBits {
        precondition(number >= 0 && number < pageCount >> Pageblock.order)
        var bits = PageblockBits(repeating: 0)
        for word in 0..<PageblockBits.wordCount {
            bits[word] = unsafe words[number * PageblockBits.wordCount + word]
        }
        return bits
    }
}
