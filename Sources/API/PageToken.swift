// Where the next page of a list begins.
//
// A token is a sequence and a check over it and over the list that it belongs to: path and filters.
// Of a list of a past state it also says which state, so that all pages are of one.
// It needs no memory in the server, so that it survives restarts; entries have fixed places, so
// that it survives writes; and one that was made up, or given to another list, is refused instead
// of answered with the wrong page.

import Ledger

struct PageToken {
    let sequence: Sequence

    /// Where the state stands that the list is of; nil for the present one and for the ledger.
    let state: Sequence?

    /// Names the list: its path and its filters.
    private let check: UInt32

    init(_ sequence: Sequence, of list: ListIdentity, in state: Sequence? = nil) {
        self.sequence = sequence
        self.state = state
        check = list.check(sequence, state)
    }

    var text: String {
        let places = [sequence] + (state.map { [$0] } ?? [])
        let check = String(check, radix: 16)
        return places.map { String($0.rawValue, radix: 16) + "-" }.joined()
            + String(repeating: "0", count: 8 - check.count) + check
    }

    init(text: String, of list: ListIdentity) throws(Problem) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let places = parts.dropLast().compactMap { UInt64($0, radix: 16) }
        guard (1...2).contains(places.count), places.allSatisfy({ $0 <= Int64.max }) else {
            throw Self.refusal
        }
        self.init(
            Sequence(places[0]), of: list, in: places.dropFirst().first.map(Sequence.init))
        guard self.text == text else { throw Self.refusal }
    }

    private static var refusal: Problem {
        Problem(at: "/query/page_token", "must be the next_page_token of a page of this list")
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

    fileprivate func check(_ sequence: Sequence, _ state: Sequence?) -> UInt32 {
        var hash = hash
        Self.mix(Self.bytes(sequence), into: &hash)
        if let state { Self.mix(Self.bytes(state), into: &hash) }
        return hash
    }

    private static func bytes(_ sequence: Sequence) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: sequence.rawValue >> ($0 * 8)) }
    }

    // FNV-1a, 32 bits: it guards against mistakes, not against malice; a token grants nothing.

    private static let basis: UInt32 = 0x811c_9dc5

    private static func mix(_ bytes: [UInt8], into hash: inout UInt32) {
        for byte in bytes {
            hash = (hash ^ UInt32(byte)) &* 0x0100_0193
        }
    }
}
