// Tokens belong to one list and one place in it; what was made up is refused.

import Ledger
import TestSupport
import Testing

@testable import API

struct PageTokenTests {
    static func list(_ path: String, _ parameters: [(String, String)] = []) -> ListIdentity {
        ListIdentity(path: Array(path.utf8), parameters.map { (name: $0.0, value: $0.1) })
    }

    static let ledger = list("/v1/ledger")

    @Test(arguments: [0, 1, 2, 15, 16, 255, 1 << 32, UInt64(Int64.max)])
    func roundTrip(number: UInt64) throws {
        let token = PageToken(Sequence(number), of: Self.ledger)
        #expect(try PageToken(text: token.text, of: Self.ledger).sequence == Sequence(number))
    }

    /// A token of a past state's list names the state too.
    @Test(arguments: [0, 1, 255, UInt64(Int64.max)], [0, 7, UInt64(Int64.max)])
    func roundTripInAState(number: UInt64, state: UInt64) throws {
        let token = PageToken(Sequence(number), of: Self.ledger, in: Sequence(state))
        let read = try PageToken(text: token.text, of: Self.ledger)
        #expect(read.sequence == Sequence(number))
        #expect(read.state == Sequence(state))
    }

    @Test func eachCharacterCounts() {
        for (number, state) in [
            (1, nil), (9, 4), (0x12a, nil), (0xdead_beef, 0xbeef), (UInt64(Int64.max), nil),
        ] as [(UInt64, UInt64?)] {
            let token = PageToken(Sequence(number), of: Self.ledger, in: state.map(Sequence.init))
            let text = Array(token.text)
            for position in text.indices {
                for character in "0123456789abcdefABCDEF-+ xg_" where character != text[position] {
                    var other = text
                    other[position] = character
                    expectRefused(String(other))
                }
                var shorter = text
                shorter.remove(at: position)
                if shorter != text { expectRefused(String(shorter)) }
                expectRefused(String(text[..<position]))
            }
            for affix in ["0", "-", " ", "+", "f"] {
                expectRefused(affix + String(text))
                expectRefused(String(text) + affix)
            }
        }
    }

    private func expectRefused(_ text: String) {
        let problem = #expect(throws: Problem.self, "\(text)") {
            try PageToken(text: text, of: Self.ledger)
        }
        #expect(problem?.kind == .invalidRequest)
        #expect(problem?.errors.first?.pointer == "/query/page_token")
    }

    @Test func anotherListRefusesIt() throws {
        let text = PageToken(
            Sequence(7), of: Self.list("/v1/ledger", [("kind", "free"), ("owner", "a")])
        ).text
        let others = [
            Self.ledger, Self.list("/v1/ledger", [("kind", "free")]),
            Self.list("/v1/ledger", [("kind", "free"), ("owner", "b")]),
            Self.list("/v1/ledger", [("kind", "free"), ("owne", "ra")]),
            Self.list("/v1/ledger", [("kind", "freeowner"), ("", "a")]),
            Self.list("/v1/ledger", [("owner", "a"), ("sort", "desc")]),
            Self.list("/v1/machines/m/allocations", [("kind", "free"), ("owner", "a")]),
        ]
        for other in others {
            #expect(throws: Problem.self) { try PageToken(text: text, of: other) }
        }
    }

    /// The page size may change from page to page, and the token is not part of its own list.
    @Test func sizeAndTokenAreNotPartOfTheList() throws {
        let text = PageToken(Sequence(7), of: Self.list("/v1/ledger", [("owner", "a")])).text
        let next = Self.list(
            "/v1/ledger", [("owner", "a"), ("page_size", "3"), ("page_token", text)])
        #expect(try PageToken(text: text, of: next).sequence == Sequence(7))
    }

    @Test func noTextTraps() {
        var random = SeededGenerator(seed: 32)
        for _ in 0..<20_000 {
            let text = String(
                decoding: (0..<random.below(24)).map { _ in
                    random.pick(Array("0123456789abcdef--+-\u{e9}".utf8))
                }, as: UTF8.self)
            _ = try? PageToken(text: text, of: Self.ledger)
        }
    }
}
