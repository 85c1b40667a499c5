// The free blocks of one order and one migratetype in one zone: a `free_list` of `struct free_area`
// without a list.
//
// Which blocks are free is said by the bits of their pageblocks (`PageblockMap`). Here is which
// pageblocks have any, so that the next free block at or after any place is found in about ten
// steps, however full the zone is. A list would give the head in one step but nothing near a given
// address; here both cost the same, which is what lets a request with boundaries be exact without
// making a request without them pay.

struct FreeArea: ~Copyable {
    /// Free blocks: `nr_free`, of one type.
    var count = 0

    /// The pageblocks that hold a free block of the order, by number. Of the largest order, which
    /// spans two pageblocks, the free blocks themselves.
    var places: HierarchicalBitmap

    init(placeCount: Int) {
        places = HierarchicalBitmap(limit: placeCount)
    }
}
