// What should be so, from the ledger's entries alone: which grant holds which page. It is rebuilt
// here from what the API tells, without a line of gfpd's own, and contradicts what does not fit.

/// An entry, or a state, that cannot be.
struct Contradiction: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

struct LedgerModel {
    struct Grant {
        let id: Int
        let pfn: Int
        let order: Int
        let isCompound: Bool
        let owner: String

        /// The frames that are still held.
        var frames: Set<Int>

        var isWhole: Bool { frames.count == 1 << order }
    }

    private(set) var lastSequence: Int
    private(set) var lastTime = ""

    /// Live grants by id.
    private(set) var grants: [Int: Grant] = [:]
    private var holders: [Int: Int] = [:]

    /// - Parameter lastSequence: of the entries that are taken as known: none of them grants.
    init(after lastSequence: Int) {
        self.lastSequence = lastSequence
    }

    var heldPages: Int { holders.count }

    /// The next entry, whole and without a gap.
    mutating func append(_ entry: JSONValue) throws(Contradiction) {
        guard let sequence = entry["sequence"].int, sequence == lastSequence + 1 else {
            throw Contradiction("after \(lastSequence) comes \(entry)")
        }
        guard let time = entry["time"].string, time >= lastTime,
            entry["machine"].string == LoadClient.machine
        else { throw Contradiction("entry \(sequence) is not whole, or goes back in time") }
        (lastSequence, lastTime) = (sequence, time)
        switch (entry["kind"].string, entry["outcome"].string) {
        case ("allocate", "granted"): try grant(entry, sequence)
        case ("free", "done"): try free(entry, sequence)
        case ("allocate", "refused"), ("free", "refused"):
            guard entry["reason"].string != nil else {
                throw Contradiction("entry \(sequence) has no reason")
            }
        default: throw Contradiction("entry \(sequence) is of no kind that was asked for")
        }
    }

    private mutating func grant(_ entry: JSONValue, _ sequence: Int) throws(Contradiction) {
        guard entry["allocation"].int == sequence, let pfn = entry["pfn"].int,
            let order = entry["order"].int, entry["pages"].int == 1 << order,
            let isCompound = entry["compound"].bool, let owner = entry["owner"].string,
            entry["node"].int != nil, entry["zone"].string != nil,
            entry["migratetype"].string != nil, entry["effective_flags"]["value"].string != nil,
            let low = entry["allocation_control"]["low_boundary"].address,
            let high = entry["allocation_control"]["high_boundary"].address
        else { throw Contradiction("the grant \(sequence) is not whole") }
        let frames = Set(pfn..<pfn + 1 << order)
        guard UInt64(pfn) << 12 >= low, UInt64(pfn + frames.count) << 12 - 1 <= high else {
            throw Contradiction("the grant \(sequence) leaves its boundaries")
        }
        for frame in frames {
            guard holders[frame] == nil else {
                throw Contradiction("frame \(frame) is in \(holders[frame] ?? 0) and \(sequence)")
            }
            holders[frame] = sequence
        }
        grants[sequence] = Grant(
            id: sequence, pfn: pfn, order: order, isCompound: isCompound, owner: owner,
            frames: frames)
    }

    private mutating func free(_ entry: JSONValue, _ sequence: Int) throws(Contradiction) {
        guard let id = entry["allocation"].int, let pfn = entry["pfn"].int,
            let order = entry["order"].int, let pages = entry["pages"].int,
            entry["node"].int != nil, entry["zone"].string != nil
        else { throw Contradiction("the free \(sequence) is not whole") }
        guard let grant = grants[id] else {
            throw Contradiction("entry \(sequence) frees \(id), which holds nothing")
        }
        let freed = grant.frames.intersection(pfn..<pfn + 1 << order)
        guard freed.count == pages, pages > 0 else {
            throw Contradiction("entry \(sequence) frees \(pages) pages, \(freed.count) were held")
        }
        for frame in freed { holders[frame] = nil }
        grants[id]?.frames.subtract(freed)
        if grants[id]?.frames.isEmpty ?? false { grants[id] = nil }
    }

    /// Holds an Allocation of the API against the grant of that id.
    func compare(_ allocation: JSONValue) throws(Contradiction) {
        guard let id = allocation["id"].int, let grant = grants[id] else {
            throw Contradiction("the ledger knows no live grant \(allocation)")
        }
        var frames = Set(grant.pfn..<grant.pfn + 1 << grant.order)
        for range in allocation["freed_ranges"].array {
            guard let pfn = range["pfn"].int, let pages = range["pages"].int else {
                throw Contradiction("a range without its members in \(allocation)")
            }
            frames.subtract(pfn..<pfn + pages)
        }
        guard allocation["state"].string == "live", allocation["pfn"].int == grant.pfn,
            allocation["order"].int == grant.order, allocation["owner"].string == grant.owner,
            allocation["compound"].bool == grant.isCompound, frames == grant.frames
        else { throw Contradiction("the ledger says otherwise than \(allocation)") }
    }
}
