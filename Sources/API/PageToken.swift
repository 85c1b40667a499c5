// Where the next page of a list begins.
//
// A token is a sequence and a check over it and over the list that it belongs to: path and filters.
// It needs no memory in the server, so that it survives restarts; entries have fixed places, so
// that it survives writes; and one that was made up, or given to another list, is refused instead
// of answered with the wrong page.

import Ledger

struct PageToken {
    let sequence: Sequence

    /// Names the list: its path and its filters.
    private let check: UInt32

    init(_ sequence: Sequence, of list: ListIdentity) {
        self.sequence = sequence
        check = list.check(sequence)
    }

    var text: String {
        let sequence = String(sequence.rawValue, radix: 16)
        let check = String(check, radix: 16)
        return sequence + "-" + String(repeating: "0", count: 8 - check.count) + check
    }

    init(text: String, of list: ListIdentity) throws(Problem) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = UInt64(parts[0], radix: 16), number <= Int64.max,
            PageToken(Sequence(number), of: list).text == text
        else {
            throw Problem(
                at: "/query/page_token", "must be the next_page_token of a page of this list")
        }
        self.init(Sequence(number), of: list)
    }
}

/// Which list: the path, and what restricts and orders it.
struct ListIdentity {
    private let hash: UInt32

    /// Parameters that may differ between the pages of one list are left out.
    init(path: [UInt8], _ parameters: [(name: String, value: String)]) {
        var hash = Self.basis
        Self.mix(path, into: &hash)
        for (name, value) in parameters where name != "page_token" && name != "page_size" {
            Self.mix([0] + Array(name.utf8) + [1] + Array(value.utf8), into: &hash)
        }
        self.hash = hash
    }

    fileprivate func check(_ sequence: Sequence) -> UInt32 {
        var hash = hash
        Self.mix(
            (0..<8).map { UInt8(truncatingIfNeeded: sequence.rawValue >> ($0 * 8)) }, into: &hash)
        return hash
    }

    // FNV-1a, 32 bits: it guards against mistakes, not against malice; a token grants nothing.

    private static let basis: UInt32 = 0x811c_9dc5

    private static func mix(_ bytes: [UInt8], into hash: inout UInt32) {
        for byte in bytes {
            hash = (hash ^ UInt32(byte)) &* 0x0100_0193
        }
    }
}
