import JSON
import Testing

@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("{}", JSONKind.object), (" []", .array), ("\"a\"", .string), ("-1", .number),
        ("7", .number), ("true", .bool), ("\r\n\tfalse", .bool), ("null", .null),
    ])
    func tellsTheKindAndConsumesNothing(text: String, kind: JSONKind) throws {
        var reader = JSONReader(Array(text.utf8))
        #expect(try reader.kind() == kind)
        #expect(try reader.kind() == kind)
        try reader.skipValue()
        try reader.finish()
    }

    @Test func readsABodyInTheOrderOfItsMembers() throws {
        var names: [String] = []
        var flags: [String] = []
        var order: Int?
        var isAtomic: Bool?
        var isNull = false
        try value(of: #" { "flags" : [ "A" , "B" ] , "order":2,"atomic":true, "cpu": null } "#) {
            (reader) throws(JSONError) in
            try reader.readObject { (key, reader) throws(JSONError) in
                names.append(key.text)
                switch key {
                case "flags":
                    try reader.readArray { (_, reader) throws(JSONError) in
                        flags.append(try reader.readString())
                    }
                case "order": order = try reader.readInt()
                case "atomic": isAtomic = try reader.readBool()
                case "cpu": isNull = try reader.readNull()
                default: throw JSONReader.unknownMember(key)
                }
            }
        }
        #expect(names == ["flags", "order", "atomic", "cpu"])
        #expect(flags == ["A", "B"])
        #expect(order == 2)
        #expect(isAtomic == true)
        #expect(isNull)
    }

    @Test func leavesWhatIsNotNullToBeRead() throws {
        let number = try value(of: "5") { (reader) throws(JSONError) in
            try reader.readNull() ? nil : try reader.readInt()
        }
        #expect(number == 5)
    }

    @Test func leavesAValueOfAnotherKindToBeRead() throws {
        var reader = JSONReader(Array("\"5\"".utf8))
        #expect(throws: JSONError(detail: "must be an integer, found a string")) {
            try reader.readInt()
        }
        #expect(try reader.readString() == "5")
    }

    @Test(arguments: [
        (#"{"a/b":[{"c~d":"x"}]}"#, "/a~1b/0/c~0d"),
        (#"{"a/b":[{},{"c~d":1},{"c~d":"x"}]}"#, "/a~1b/2/c~0d"),
        (#"{"":["x"]}"#, "//0"),
        (#"{"~01":{"\u002f":"x"}}"#, "/~001/~1"),
        (#"[[1,[2,"x"]]]"#, "/0/1/1"),
        (#""x""#, ""),
    ])
    func pointsAtTheOffendingValue(text: String, pointer: String) {
        func readIntegers(_ reader: inout JSONReader) throws(JSONError) {
            switch try reader.kind() {
            case .object:
                try reader.readObject { (_, reader) throws(JSONError) in try readIntegers(&reader) }
            case .array:
                try reader.readArray { (_, reader) throws(JSONError) in try readIntegers(&reader) }
            default: _ = try reader.readInt()
            }
        }
        let error = refusal(of: text, readIntegers)
        #expect(error == JSONError(pointer: pointer, detail: "must be an integer, found a string"))
    }

    @Test func pointsAtAnUnknownMember() {
        let error = refusal(of: #"{"control":{"ordr":1}}"#) { (reader) throws(JSONError) in
            try reader.readObject { (_, reader) throws(JSONError) in
                try reader.readObject { (key, reader) throws(JSONError) in
                    guard key == "order" else { throw JSONReader.unknownMember(key) }
                    try reader.skipValue()
                }
            }
        }
        #expect(error == JSONError(pointer: "/control/ordr", detail: "is not a known member"))
    }

    @Test(arguments: ["nul", "nuLl", "tru", "trye", "fals", "falze"])
    func namesTheLiteralThatIsMisspelt(text: String) throws {
        let literal = try #require(["null", "true", "false"].first { $0.first == text.first })
        #expect(
            refusal(of: text) == JSONError(detail: "is malformed at byte 0: expected '\(literal)'"))
    }

    @Test func pointsAtWhatTheDomainRefuses() {
        let error = refusal(of: #"[8,6]"#) { (reader) throws(JSONError) in
            try reader.readArray { (_, reader) throws(JSONError) in
                guard try reader.readInt() % 4 == 0 else {
                    throw reader.failure("must be a multiple of 4")
                }
            }
        }
        #expect(error == JSONError(pointer: "/1", detail: "must be a multiple of 4"))
    }

    @Test func pointsAtTheContainerThatIsMalformed() {
        #expect(
            refusal(of: #"{"a":[1 2]}"#)
                == JSONError(
                    pointer: "/a", detail: "is malformed at byte 8: expected ',' or ']', found '2'")
        )
        #expect(
            refusal(of: #"{"a":[1,"#)
                == JSONError(
                    pointer: "/a/1",
                    detail:
                        "is malformed at byte 8: expected a value, found the end of the document"
                ))
        #expect(
            refusal(of: "[\u{1}]")
                == JSONError(
                    pointer: "/0",
                    detail: "is malformed at byte 1: expected a value, found the byte 0x01"))
    }

    @Test(arguments: ["{}", "[]", "\"\"", "1", "true", "null"])
    func saysWhatItExpectedAndWhatItFound(text: String) throws {
        let reads: [(String, String, (inout JSONReader) throws(JSONError) -> Void)] = [
            ("{}", "an object", { r throws(JSONError) in try r.readObject { _, _ in } }),
            ("[]", "an array", { r throws(JSONError) in try r.readArray { _, _ in } }),
            ("\"\"", "a string", { r throws(JSONError) in _ = try r.readString() }),
            ("1", "an integer", { r throws(JSONError) in _ = try r.readInt() }),
            ("1", "an integer", { r throws(JSONError) in _ = try r.readInt64() }),
            ("1", "an integer", { r throws(JSONError) in _ = try r.readUInt64() }),
            ("true", "a boolean", { r throws(JSONError) in _ = try r.readBool() }),
        ]
        let phrases = [
            "{}": "an object", "[]": "an array", "\"\"": "a string", "1": "a number",
            "true": "a boolean", "null": "null",
        ]
        let found = try #require(phrases[text])
        for (accepted, expected, read) in reads {
            let error = refusal(of: text, read)
            let detail = "must be \(expected), found \(found)"
            #expect(error == (text == accepted ? nil : JSONError(detail: detail)))
        }
    }

    @Test func comparesNamesAfterUnescaping() throws {
        var matches: [Bool] = []
        try value(of: #"{"\u0066lags":1,"flag":2,"flagss":3,"Flags":4,"fla\/gs":5}"#) {
            (reader) throws(JSONError) in
            try reader.readObject { (key, reader) throws(JSONError) in
                matches.append(key == "flags")
                try reader.skipValue()
            }
        }
        #expect(matches == [true, false, false, false, false])
    }

    @Test func doesNotNormalizeNames() {
        #expect(refusal(of: "{\"\u{e9}\":1,\"e\u{301}\":2}") == nil)
    }
}

/// What is refused though it is well formed.
@Suite struct JSONLimitsTests {
    @Test(arguments: [
        (#"{"a":1,"a":2}"#, "/a"),
        (#"{"a":1,"b":2,"\u0061":3}"#, "/a"),
        (#"{"\u0061":1,"b":2,"a":3}"#, "/a"),
        (#"{"\u0061":1,"\u0061":3}"#, "/a"),
        (#"{"":1,"":2}"#, "/"),
        (#"[{"x/y":{"a":{},"a":{}}}]"#, "/0/x~1y/a"),
    ])
    func refusesANameGivenTwice(text: String, pointer: String) {
        #expect(
            refusal(of: text)
                == JSONError(pointer: pointer, detail: "must not be given more than once"))
    }

    @Test(arguments: [1, 15, 16, 17, 18, 40])
    func findsATwinAtEachDistance(count: Int) {
        for twin in 0..<count {
            for spelling in ["\"m\(twin)\"", "\"\\u006d\(twin)\""] {
                let members = (0..<count).map { "\"m\($0)\":0" } + ["\(spelling):1"]
                let error = refusal(of: "{" + members.joined(separator: ",") + "}")
                #expect(error?.pointer == "/m\(twin)")
            }
        }
    }

    @Test func allowsTheSameNameInDifferentObjects() {
        #expect(refusal(of: #"{"a":{"a":{"a":1}},"b":{"a":1}}"#) == nil)
    }

    @Test func boundsTheDepth() {
        func nested(_ depth: Int, _ open: String, _ close: String) -> JSONError? {
            refusal(
                of: String(repeating: open, count: depth) + "1"
                    + String(repeating: close, count: depth))
        }
        let detail = "must not be nested more than 32 levels deep"
        let limit = JSONLimits.maximumDepth
        #expect(nested(limit, "[", "]") == nil)
        #expect(
            nested(limit + 1, "[", "]")
                == JSONError(pointer: String(repeating: "/0", count: limit), detail: detail))
        #expect(nested(limit, "{\"a\":", "}") == nil)
        #expect(
            nested(limit + 1, "{\"a\":", "}")
                == JSONError(pointer: String(repeating: "/a", count: limit), detail: detail))
        #expect(nested(1_000_000, "[", "]")?.detail == detail)
    }

    @Test func boundsTheMembersOfOneObject() {
        func object(_ count: Int) -> String {
            "{" + (0..<count).map { "\"\($0)\":0" }.joined(separator: ",") + "}"
        }
        let limit = JSONLimits.maximumMembers
        #expect(refusal(of: object(limit)) == nil)
        #expect(
            refusal(of: "[" + object(limit + 1) + "]")
                == JSONError(pointer: "/0", detail: "must have at most 1024 members"))
    }

    @Test func boundsTheLengthOfAName() {
        func object(_ count: Int) -> String {
            "{\"" + String(repeating: "n", count: count) + "\":0}"
        }
        let limit = JSONLimits.maximumNameBytes
        #expect(refusal(of: object(limit)) == nil)
        #expect(
            refusal(of: object(limit + 1))
                == JSONError(detail: "must have no name longer than 1024 bytes"))
    }
}

/// Misuse by the program is no error of the document: it traps. (An error that is thrown out of an
/// exit test would end its process as well, hence each `try?`.)
@Suite struct JSONReaderMisuseTests {
    @Test func trapsWhereAMemberIsNotRead() async {
        await #expect(processExitsWith: .failure) {
            var reader = JSONReader(Array(#"{"a":1}"#.utf8))
            try? reader.readObject { _, _ in }
        }
    }

    @Test func trapsWhereAnElementIsReadTwice() async {
        await #expect(processExitsWith: .failure) {
            var reader = JSONReader(Array("[1,2]".utf8))
            try? reader.readArray { (_, reader) throws(JSONError) in
                try reader.skipValue()
                try reader.skipValue()
            }
        }
    }

    @Test func trapsWhereAnErrorIsSwallowedBeforeAnInnerValue() async {
        await #expect(processExitsWith: .failure) {
            var reader = JSONReader(Array("[[1,x],2]".utf8))
            try? reader.readArray { (_, reader) throws(JSONError) in try? reader.skipValue() }
        }
    }

    @Test func trapsWhereAnErrorIsSwallowedAfterAnInnerValue() async {
        await #expect(processExitsWith: .failure) {
            var reader = JSONReader(Array("[[1 x],2]".utf8))
            try? reader.readArray { (_, reader) throws(JSONError) in try? reader.skipValue() }
        }
    }

    @Test func trapsWhereTheDocumentIsNotRead() async {
        await #expect(processExitsWith: .failure) {
            var reader = JSONReader(Array("1".utf8))
            try? reader.finish()
        }
    }
}
