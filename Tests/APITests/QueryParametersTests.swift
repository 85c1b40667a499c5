// Each reader at each of its bounds, and the spellings of scalars outside of bodies.

import AllocationService
import Ledger
import PageAllocator
import Testing

@testable import API

struct QueryParametersTests {
    static func parameters(_ query: String) throws -> QueryParameters {
        try QueryParameters(try Message("GET", "/?" + query).request())
    }

    /// The pointer of the problem that a query leads to; nil where there is none.
    static func pointer<Value>(
        _ query: String, _ read: (inout QueryParameters) throws -> Value
    ) throws -> String? {
        var parameters = try parameters(query)
        do {
            _ = try read(&parameters)
            return nil
        } catch let problem as Problem {
            #expect(problem.kind == .invalidRequest)
            return problem.errors.first?.pointer
        }
    }

    @Test(arguments: [
        ("page_size=0", nil), ("page_size=1", 1), ("page_size=1000", 1000), ("page_size=1001", nil),
        ("page_size=", nil), ("page_size=-1", nil), ("page_size=+1", nil), ("page_size=1.0", nil),
        ("page_size=0x10", 16), ("page_size=18446744073709551616", nil), ("page_size", nil),
        ("page_size=%31", 1), ("page_size=1%20", nil), ("", 100), ("other=1", 100),
    ])
    func pageSize(query: String, size: Int?) throws {
        var parameters = try Self.parameters(query)
        #expect((try? parameters.pageSize()) == size)
        let pointer = try Self.pointer(query) { try $0.pageSize() }
        #expect(pointer == (size == nil ? "/query/page_size" : nil))
    }

    @Test(arguments: [
        ("f", true), ("f=", true), ("f=true", true), ("f=false", false), ("", false), ("f=1", nil),
        ("f=TRUE", nil), ("f=no", nil),
    ])
    func flags(query: String, value: Bool?) throws {
        var parameters = try Self.parameters(query)
        #expect((try? parameters.flag("f")) == value)
        #expect(try Self.pointer(query) { try $0.flag("f") } == (value == nil ? "/query/f" : nil))
    }

    @Test(arguments: [
        ("node=0", true), ("node=1023", true), ("node=1024", false), ("node=-1", false),
        ("order=0", true), ("order=10", true), ("order=11", false), ("order=x", false),
        ("pfn=0", true), ("pfn=4503599627370495", true), ("pfn=4503599627370496", false),
        ("pfn=0xfffffffffffff", true), ("pfn=0x10000000000000", false), ("pfn=-0", false),
        ("zone=DMA", true), ("zone=DMA32", true), ("zone=Normal", true), ("zone=Movable", true),
        ("zone=Device", true), ("zone=dma", false), ("zone=", false), ("zone=HighMem", false),
        ("since=2026-11-22T10:02:03Z", true), ("since=yesterday", false), ("since=", false),
        ("until=2026-11-22T10:02:03.5%2B01:00", true), ("until=1790000000", false),
        ("after=0", true), ("after=9223372036854775807", true),
        ("after=9223372036854775808", false), ("after=-1", false), ("before=0", true),
        ("before=9223372036854775808", false), ("before=+1", false),
        ("owner=", false), ("owner=%F0%9F%90%A7", true), ("control=anything", true),
        ("owner=" + String(repeating: "o", count: 255), true),
        ("owner=" + String(repeating: "o", count: 256), false),
        ("control=", false), ("control=any%20thing", false),
        ("request_id=a%20b", true), ("request_id=", false),
        ("request_id=" + String(repeating: "r", count: 128), true),
        ("request_id=" + String(repeating: "r", count: 129), false),
    ])
    func filters(query: String, isTaken: Bool) throws {
        let pointer = try Self.pointer(query) { (parameters: inout QueryParameters) in
            var history = HistoryQuery()
            try parameters.filters(into: &history)
            try parameters.finish()
        }
        let name = query.prefix { $0 != "=" }
        #expect(pointer == (isTaken ? nil : "/query/\(name)"))
    }

    @Test func filtersReachTheQuery() throws {
        var parameters = try Self.parameters(
            "owner=o&control=c&node=3&zone=DMA32&order=4&pfn=0x10&request_id=r"
                + "&since=1970-01-01T00:00:01Z&until=1970-01-01T00:00:02Z&after=5&before=6")
        var query = HistoryQuery()
        try parameters.filters(into: &query)
        try parameters.finish()
        var expected = HistoryQuery()
        (expected.owner, expected.controlName, expected.requestID) = ("o", "c", "r")
        (expected.node, expected.zone, expected.order) = (NodeID(3), .dma32, Order(4))
        expected.pfn = PageFrameNumber(16)
        expected.since = Timestamp(microseconds: 1_000_000)
        expected.until = Timestamp(microseconds: 2_000_000)
        (expected.after, expected.before) = (Sequence(5), Sequence(6))
        #expect(query == expected)
    }

    @Test(arguments: [("sort=asc", false), ("sort=desc", true), ("", false), ("sort=up", nil)])
    func sort(query: String, isDescending: Bool?) throws {
        var parameters = try Self.parameters(query)
        #expect((try? parameters.isDescending()) == isDescending)
    }

    @Test(arguments: [
        ("a=1&a=1", "/query/a"), ("a=1&b&a=2", "/query/a"), ("%61=1&a=2", "/query/a"),
        ("a/b=1&a/b=1", "/query/a~1b"), ("~=1&~=2", "/query/~0"),
    ])
    func duplicates(query: String, pointer: String) throws {
        let problem = #expect(throws: Problem.self) { try Self.parameters(query) }
        #expect(problem?.errors.first?.pointer == pointer)
    }

    @Test(arguments: [
        ("unknown", "/query/unknown"), ("=5", "/query/"), ("Owner=x", "/query/Owner"),
        ("x%2Fy~z=1", "/query/x~1y~0z"), ("q=1&owner=x", "/query/q"),
    ])
    func unknown(query: String, pointer: String) throws {
        let found = try Self.pointer(query) { (parameters: inout QueryParameters) in
            var history = HistoryQuery()
            try parameters.filters(into: &history)
            try parameters.finish()
        }
        #expect(found == pointer)
    }

    @Test(arguments: ["a=%", "a=%4", "a=%zz", "%gg", "a=%ff", "a=%c3%28", "a=%ed%a0%80"])
    func malformedEscapes(query: String) {
        let problem = #expect(throws: Problem.self) { try Self.parameters(query) }
        #expect(problem?.kind == .invalidRequest)
    }
}

struct SpellingTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("0x1000", 4096), ("0X1000", 4096), ("0xfF", 255), ("007", 7),
        ("18446744073709551615", UInt64.max), ("0xffffffffffffffff", UInt64.max),
        ("18446744073709551616", nil), ("0x10000000000000000", nil), ("", nil), ("0x", nil),
        ("x10", nil), ("+1", nil), ("-1", nil), ("-0", nil), ("0x+1", nil), ("0x-0", nil),
        ("0x-1", nil), ("1_0", nil), ("0x1_0", nil), (" 1", nil), ("1 ", nil), ("1.0", nil),
        ("1e3", nil), ("ff", nil), ("0xg", nil), ("0b1", nil), ("00x1", nil), ("0x0x1", nil),
        ("１", nil), ("٣", nil), ("1\u{0}", nil), ("+", nil), ("-", nil),
    ])
    func numbers(text: String, value: UInt64?) {
        #expect(UInt64(spelled: text) == value)
    }

    @Test(arguments: [
        ("0", 0), ("7", 7), ("007", 7), ("18446744073709551615", UInt64.max), ("0x7", nil),
        ("+7", nil), ("-0", nil), ("", nil), (" 7", nil), ("7_0", nil), ("a", nil),
    ])
    func decimals(text: String, value: UInt64?) {
        #expect(UInt64(decimal: text) == value)
    }

    @Test(arguments: [
        ("a", true), ("0", true), ("A.b_c-9", true), (String(repeating: "a", count: 63), true),
        (String(repeating: "a", count: 64), false), ("", false), (".a", false), ("-a", false),
        ("_a", false), ("a b", false), ("a/b", false), ("é", false), ("a\u{0}", false),
        ("a\u{301}", false), ("..", false), ("a..", true), ("a%", false), ("ａ", false),
    ])
    func resourceNames(name: String, isName: Bool) {
        #expect(isResourceName(name) == isName)
    }
}

struct PreconditionTests {
    static func precondition(_ headers: [(String, String)]) throws -> Precondition {
        try Precondition(try Message("PUT", "/", headers: headers).request())
    }

    @Test(arguments: [
        ("\"7\"", Precondition.matches([Sequence(7)])),
        ("\"7\", \"8\"", .matches([Sequence(7), Sequence(8)])),
        ("\"7\",\"8\"", .matches([Sequence(7), Sequence(8)])),
        ("\"18446744073709551615\"", .matches([Sequence(.max)])),
        ("*", .exists),
        // Entity tags all of them, of nothing that is here.
        ("W/\"7\"", .matches([])), ("\"abc\"", .matches([])), ("\"\"", .matches([])),
        ("\"007\"", .matches([])), ("\"+7\"", .matches([])),
        ("\"18446744073709551616\"", .matches([])),
        ("W/\"7\", \"8\"", .matches([Sequence(8)])),
    ])
    func ifMatch(field: String, expected: Precondition) throws {
        #expect(try Self.precondition([("If-Match", field)]) == expected)
    }

    @Test(arguments: [
        "", "7", "\"7", "7\"", "\"", "\"1 2\"", "\"7\" \"8\"", "\"7\",", ",\"7\"", "*, \"7\"", "**",
        "w/\"7\"", "W/7", "W/", "'7'", "\"7\"x",
    ])
    func malformedIfMatch(field: String) {
        let problem = #expect(throws: Problem.self) {
            try Self.precondition([("If-Match", field)])
        }
        #expect(problem?.kind == .invalidRequest)
        #expect(problem?.errors.first?.pointer == "/header/If-Match")
    }

    @Test func otherFields() throws {
        #expect(try Self.precondition([]) == .none)
        #expect(try Self.precondition([("If-None-Match", "*")]) == .absent)
        #expect(
            try Self.precondition([("If-Match", "\"7\""), ("if-match", "\"8\"")])
                == .matches([Sequence(7), Sequence(8)]))
        for headers in [
            [("If-None-Match", "\"7\"")], [("If-None-Match", "")], [("If-None-Match", "*, *")],
            [("If-Match", "*"), ("If-None-Match", "*")],
            [("If-Match", "\"7\""), ("If-None-Match", "\"7\"")],
        ] {
            let problem = #expect(throws: Problem.self) { try Self.precondition(headers) }
            #expect(problem?.errors.first?.pointer == "/header/If-None-Match")
        }
    }
}
