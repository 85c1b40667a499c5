// What the index of free blocks costs in memory, and how long a zone takes to be made.

import Glibc
import PageAllocator

extension AllocatorBench {
    static func measureMemory(_ zoneName: String, pages: Int) {
        print("| index of \(zoneName) | figure | wanted |")
        print("|---|---|---|")
        let before = ProcessMemory()
        let start = Churn.now()
        var zone = BitmapZone(pages: pages)
        print("| time to make it | \(rounded(Double(Churn.now() - start) / 1e6)) ms | ≤ 60 ms |")
        line("all free", ProcessMemory().resident - before.resident, pages, "")
        // Divides each largest block, so that all maps are written.
        for _ in stride(from: 0, to: pages, by: 1024) {
            let page = zone.allocate(Order.max.rawValue)
            zone.free(page, 0)
            zone.free(page + 512, 0)
        }
        line(
            "a free page in each pageblock", ProcessMemory().resident - before.resident, pages,
            "≤ 0.3")
        measureMemoryOfAllTypes(pages: pages)
    }

    /// Linux 6.1, whose lists keep maps of their own: blocks of all types in each pageblock, those
    /// of atomic requests in one of a hundred, since no more are reserved at a time.
    private static func measureMemoryOfAllTypes(pages: Int) {
        let before = ProcessMemory()
        var zone = BitmapZone(pages: pages, dialect: .linux61)
        let largest = Int(Order.max.pageCount)
        for _ in 0..<pages / largest {
            let block = zone.allocate(Order.max.rawValue)
            for pageblock in [block, block + Pageblock.pageCount] {
                let isReserved = pageblock < pages / 100
                // One page of each type, none a buddy of another.
                for (position, type) in Migratetype.allCases.enumerated()
                where type != .highAtomic || isReserved {
                    zone.free(pageblock + 2 * position, 0)
                    zone.move(pageblock + 2 * position, to: type)
                }
            }
        }
        line(
            "6.1, blocks of all types in each pageblock",
            ProcessMemory().resident - before.resident,
            pages, "≤ 1")
    }

    private static func line(_ what: String, _ bytes: Int, _ pages: Int, _ wanted: String) {
        let perPage = rounded(Double(bytes) / Double(pages), 3)
        print("| memory, \(what) | \(perPage) B a page | \(wanted) |")
    }
}

/// What this process has of memory.
struct ProcessMemory {
    /// Bytes that no file is behind (`RssAnon`).
    var resident = 0

    init() {
        guard let file = unsafe fopen("/proc/self/statm", "r") else { return }
        defer { unsafe fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&text, Int32(text.count), file) != nil else { return }
        let line = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        let fields = line.split(separator: " ").compactMap { Int($0) }
        resident = (fields[1] - fields[2]) * sysconf(Int32(_SC_PAGESIZE))
    }
}
