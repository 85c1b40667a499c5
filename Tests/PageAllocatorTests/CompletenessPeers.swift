// The published search steps of four allocators, each alone: what it would find among the same free
// pages, without relocation, reclaim or a second try by other means.

/// Free pages that several searches look at: a zone that begins at frame 0.
struct FreePages {
    let isFree: [Bool]

    /// Maximal runs, ascending.
    let runs: [Range<Int>]

    /// For each order the first pages of free blocks, ascending: all free memory as its largest
    /// naturally aligned blocks.
    let blocks: [[Int]]

    init(_ isFree: [Bool], largestOrder: Int) {
        self.isFree = isFree
        var runs: [Range<Int>] = []
        var start: Int?
        for page in 0...isFree.count {
            if page < isFree.count, isFree[page] {
                start = start ?? page
            } else if let first = start {
                runs.append(first..<page)
                start = nil
            }
        }
        self.runs = runs
        var blocks = [[Int]](repeating: [], count: largestOrder + 1)
        for run in runs {
            var page = run.lowerBound
            while page < run.upperBound {
                var order = 0
                while order < largestOrder, page % (2 << order) == 0,
                    page + 2 << order <= run.upperBound
                {
                    order += 1
                }
                blocks[order].append(page)
                page += 1 << order
            }
        }
        self.blocks = blocks
    }
}

/// So many pages in a row within a window, at an alignment, across no boundary; in pages.
struct PlaceRequest {
    let pages: Int
    let window: Range<Int>
    let alignment: Int

    /// 0: nothing asked.
    let boundary: Int

    func conforms(_ first: Int) -> Bool {
        window.lowerBound <= first && first + pages <= window.upperBound && first % alignment == 0
            && (boundary == 0 || first / boundary == (first + pages - 1) / boundary)
    }

    /// The lowest conforming page of a run at or after `start`, found page by page.
    func lowest(in run: Range<Int>, from start: Int = 0) -> Int? {
        var page = max(run.lowerBound, window.lowerBound, start)
        page += (alignment - page % alignment) % alignment
        while page + pages <= min(run.upperBound, window.upperBound) {
            if conforms(page) { return page }
            page += alignment
        }
        return nil
    }
}

/// A search step: where it would place the request; nil where it finds nothing.
protocol SearchStep {
    static var name: String { get }
    mutating func place(_ request: PlaceRequest, in free: FreePages) -> Int?
}

/// Whatever could be found.
struct ExhaustiveSearch: SearchStep {
    static let name = "satisfiable"

    func place(_ request: PlaceRequest, in free: FreePages) -> Int? {
        free.runs.lazy.compactMap { request.lowest(in: $0) }.first
    }
}

/// FreeBSD `vm_phys_find_queues_contig`, sys/vm/vm_phys.c: from the order that holds all pages
/// upwards, the first page of each free block, and no other. Runs of blocks are looked for only
/// beyond the largest order.
struct VMPhysSearch: SearchStep {
    static let name = "FreeBSD vm_phys"

    /// `VM_NFREEORDER` is 13 on amd64.
    static let largestOrder = 12

    func place(_ request: PlaceRequest, in free: FreePages) -> Int? {
        for order in ceilLog2(request.pages)..<free.blocks.count {
            for block in free.blocks[order] where request.conforms(block) { return block }
        }
        return nil
    }
}

/// `__alloc_range_bias` with `DRM_BUDDY_CONTIGUOUS_ALLOCATION`, drivers/gpu/drm/drm_buddy.c: the
/// size rounded up to a power of two, and to the alignment; a naturally aligned block of that size
/// within the window, cut to size afterwards.
struct GPUBuddySearch: SearchStep {
    static let name = "gpu_buddy"

    func place(_ request: PlaceRequest, in free: FreePages) -> Int? {
        let order = max(ceilLog2(request.pages), ceilLog2(request.alignment))
        let size = 1 << order
        for larger in order..<max(free.blocks.count, order) {
            for block in free.blocks[larger] {
                let first = max(block, request.window.lowerBound)
                let aligned = (first + size - 1) / size * size
                let end = min(block + 1 << larger, request.window.upperBound)
                if aligned + size <= end, request.conforms(aligned) { return aligned }
            }
        }
        return nil
    }
}

/// illumos `vmem_xalloc` with `VM_INSTANTFIT`'s lists, uts/common/os/vmem.c: free segments by the
/// power of two below their size, from the first list on in which every segment is large enough.
struct VmemSearch: SearchStep {
    static let name = "vmem instant-fit"

    func place(_ request: PlaceRequest, in free: FreePages) -> Int? {
        let surelyEnough = 1 << ceilLog2(request.pages)
        for run in free.runs where run.count >= surelyEnough {
            if let place = request.lowest(in: run) { return place }
        }
        return nil
    }
}

/// NetBSD `uvm_pglist_c_ps`, sys/uvm/uvm_pglist.c: from the end of the last success upwards; then
/// from the start, and no page beyond where the first pass began.
struct PglistSearch: SearchStep {
    static let name = "NetBSD uvm_pglist"

    private var hint = 0

    mutating func place(_ request: PlaceRequest, in free: FreePages) -> Int? {
        guard let place = first(request, in: free) else { return nil }
        hint = place + request.pages
        return place
    }

    private func first(_ request: PlaceRequest, in free: FreePages) -> Int? {
        for run in free.runs where run.upperBound > hint {
            if let place = request.lowest(in: run, from: hint) { return place }
        }
        guard hint > 0 else { return nil }
        for run in free.runs where run.lowerBound < hint {
            if let place = request.lowest(in: run.lowerBound..<min(run.upperBound, hint)) {
                return place
            }
        }
        return nil
    }
}

private func ceilLog2(_ number: Int) -> Int {
    Int.bitWidth - (number - 1).leadingZeroBitCount
}
