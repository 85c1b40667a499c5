// What a topology and kernel texts may say: 400 for what no document may hold, 422 for what is no
// machine, each with the place at fault.

import Testing

@testable import API
@testable import HTTPServer

struct TopologyBodyTests {
    static let memory = "{\"start\":\"0x0\",\"end\":\"0xffffff\"}"
    static let lastPage =
        "{\"start\":\"0xfffffffffffff000\",\"end\":\"0xffffffffffffffff\"}"
    static let node = "{\"id\":0,\"cpus\":[0],\"memory\":[\(memory)]}"

    /// A topology with one usual node and these members.
    static func usual(_ members: String) -> String {
        "{\"nodes\":[\(node)],\(members)}"
    }

    static func nodes(_ nodes: String) -> String { "{\"nodes\":[\(nodes)]}" }

    /// Nodes of one page each.
    static func nodes(count: Int) -> String {
        nodes(
            (0..<count).map {
                "{\"id\":\($0),\"memory\":[{\"start\":\($0 * 4096),\"end\":\($0 * 4096 + 4095)}]}"
            }.joined(separator: ","))
    }

    /// One node with this many pages, each a range of its own.
    static func ranges(count: Int) -> String {
        let ranges = (0..<count).map { "{\"start\":\($0 * 8192),\"end\":\($0 * 8192 + 4095)}" }
        return nodes("{\"id\":0,\"memory\":[\(ranges.joined(separator: ","))]}")
    }

    static func numbers(_ count: Int) -> String {
        (0..<count).map(String.init).joined(separator: ",")
    }

    static func list(_ text: String, _ count: Int) -> String {
        [String](repeating: text, count: count).joined(separator: ",")
    }

    static func invalid(_ body: String, at pointer: String) -> ValueCase {
        ValueCase(body, 422, "invalid-topology", at: pointer)
    }

    static let taken: [String] = [
        nodes(node), usual("\"dialect\":\"linux-6.1\""), usual("\"dialect\":\"linux-6.12\""),
        usual("\"page_size\":4096"), usual("\"zones\":null"), usual("\"zones\":{}"),
        usual("\"zones\":{\"DMA\":null,\"DMA32\":null}"), usual("\"zones\":{\"DMA\":4095}"),
        usual("\"zones\":{\"DMA\":8191,\"DMA32\":8191}"),
        usual("\"distances\":[[10]]"), usual("\"reserved\":[]"),
        usual("\"reserved\":[{\"start\":0,\"end\":0},{\"start\":\"0xffff\",\"end\":65535}]"),
        usual("\"reserved\":[{\"start\":1,\"end\":\"0xfffffe\"}]").replacing(
            "0xffffff", with: "0x1000fff"),
        usual("\"watermarks\":{}"), usual("\"watermarks\":{\"min_free_kbytes\":0}"),
        usual("\"watermarks\":{\"min_free_kbytes\":2147483647}"),
        usual("\"watermarks\":{\"watermark_scale_factor\":1}"),
        usual("\"watermarks\":{\"watermark_scale_factor\":3000}"),
        usual("\"watermarks\":{\"lowmem_reserve_ratio\":[0,0,0,0]}"),
        usual("\"watermarks\":{\"lowmem_reserve_ratio\":[1,256,18446744073709551615,1]}"),
        nodes("{\"id\":1023,\"memory\":[\(memory)]}"),
        nodes("{\"id\":0,\"cpus\":[8191,0],\"memory\":[\(memory)]}"),
        nodes("{\"id\":0,\"cpus\":[\(numbers(8192))],\"memory\":[\(memory)]}"),
        nodes("{\"id\":0,\"memory\":[\(memory)],\"movable_bytes\":16777216}"),
        nodes("{\"id\":0,\"memory\":[\(memory)],\"movable_bytes\":1}"),
        nodes("{\"id\":0,\"memory\":[\(lastPage)]}"),
        nodes("{\"id\":3},{\"id\":7,\"memory\":[\(memory)]}"),
        nodes(count: 64), ranges(count: 4096),
    ]

    @Test func machines() throws {
        let harness = try Harness()
        for (number, body) in Self.taken.enumerated() {
            let answer = try harness.send("POST", "/v1/machines?name=n\(number)", body)
            #expect(answer.status == 201, "\(body.prefix(300)): \(answer.body)")
        }
    }

    static let refused: [ValueCase] = [
        .refused("{}", at: ""), .refused("{\"page_size\":4096}", at: ""),
        .refused(usual("\"dialect\":\"linux-5.0\""), at: "/dialect"),
        .refused(usual("\"dialect\":\"\""), at: "/dialect"),
        .refused(usual("\"page_size\":4095"), at: "/page_size"),
        .refused(usual("\"page_size\":16384"), at: "/page_size"),
        .refused(nodes("{\"memory\":[]}"), at: "/nodes/0"),
        .refused(nodes("{\"id\":-1}"), at: "/nodes/0/id"),
        .refused(nodes("{\"id\":1024}"), at: "/nodes/0/id"),
        .refused(nodes(node + ",{\"id\":1,\"cpus\":[8192]}"), at: "/nodes/1/cpus/0"),
        .refused(nodes("{\"id\":0,\"cpus\":[0,-1]}"), at: "/nodes/0/cpus/1"),
        .refused(nodes("{\"id\":0,\"cpus\":[\(list("0", 8193))]}"), at: "/nodes/0/cpus/8192"),
        .refused(nodes("{\"id\":0,\"memory\":[{\"start\":0}]}"), at: "/nodes/0/memory/0"),
        .refused(nodes("{\"id\":0,\"memory\":[\(memory),{\"end\":0}]}"), at: "/nodes/0/memory/1"),
        .refused(usual("\"reserved\":[{\"end\":0}]"), at: "/reserved/0"),
        .refused(nodes(count: 65), at: "/nodes/64"),
        .refused(ranges(count: 4097), at: "/nodes/0/memory/4096"),
        .refused(usual("\"reserved\":[\(list(memory, 4097))]"), at: "/reserved/4096"),
        .refused(usual("\"distances\":[\(list("[]", 65))]"), at: "/distances/64"),
        .refused(usual("\"distances\":[[\(list("10", 65))]]"), at: "/distances/0/64"),
        .refused(
            usual("\"watermarks\":{\"lowmem_reserve_ratio\":[1,2,3,4,5,6]}"),
            at: "/watermarks/lowmem_reserve_ratio/5"),
        .refused(
            usual("\"watermarks\":{\"min_free_kbytes\":-1}"), at: "/watermarks/min_free_kbytes"),
        .refused(usual("\"zones\":{\"Normal\":4095}"), at: "/zones/Normal"),
    ]

    static let noMachines: [ValueCase] = [
        invalid("{\"nodes\":[]}", at: "/nodes"), invalid(nodes("{\"id\":0}"), at: ""),
        invalid(nodes("{\"id\":0,\"memory\":[{\"start\":1,\"end\":8190}]}"), at: ""),
        invalid(usual("\"reserved\":[\(memory)]"), at: ""),
        invalid(
            nodes("{\"id\":0,\"memory\":[{\"start\":0,\"end\":\"0xffffffffffffffff\"}]}"),
            at: "/nodes/0"),
        invalid(nodes(node + ",{\"id\":0}"), at: "/nodes/1"),
        invalid(nodes("{\"id\":1},{\"id\":0,\"memory\":[\(memory)]}"), at: "/nodes/1"),
        invalid(nodes(node + ",{\"id\":1,\"cpus\":[0]}"), at: "/nodes/1"),
        invalid(nodes("{\"id\":0,\"cpus\":[4,4],\"memory\":[\(memory)]}"), at: "/nodes/0"),
        invalid(nodes(node + ",{\"id\":1,\"memory\":[\(memory)]}"), at: "/nodes/1/memory/0"),
        invalid(
            nodes("{\"id\":0,\"memory\":[\(memory),{\"start\":1,\"end\":0}]}"),
            at: "/nodes/0/memory/1"),
        invalid(
            nodes("{\"id\":0,\"memory\":[\(memory)],\"movable_bytes\":16777217}"), at: "/nodes/0"),
        invalid(
            nodes(node + ",{\"id\":5,\"movable_bytes\":\"0xffffffffffffffff\"}"), at: "/nodes/1"),
        invalid(usual("\"distances\":[]"), at: "/distances"),
        invalid(usual("\"distances\":[[10,20],[20,10]]"), at: "/distances"),
        invalid(usual("\"distances\":[[11]]"), at: "/distances"),
        invalid(usual("\"distances\":[[-1]]"), at: "/distances"),
        invalid(usual("\"distances\":[[256]]"), at: "/distances"),
        invalid(usual("\"zones\":{\"DMA\":0}"), at: "/zones/DMA"),
        invalid(usual("\"zones\":{\"DMA\":4096}"), at: "/zones/DMA"),
        invalid(usual("\"zones\":{\"DMA32\":\"0xfffffffffffffffe\"}"), at: "/zones/DMA32"),
        invalid(usual("\"zones\":{\"DMA\":8191,\"DMA32\":4095}"), at: "/zones/DMA32"),
        invalid(
            usual("\"reserved\":[{\"start\":0,\"end\":0},{\"start\":1,\"end\":0}]"),
            at: "/reserved/1"),
        invalid(usual("\"watermarks\":{\"min_free_kbytes\":2147483648}"), at: "/watermarks"),
        invalid(usual("\"watermarks\":{\"watermark_scale_factor\":0}"), at: "/watermarks"),
        invalid(usual("\"watermarks\":{\"watermark_scale_factor\":3001}"), at: "/watermarks"),
        invalid(usual("\"watermarks\":{\"lowmem_reserve_ratio\":[]}"), at: "/watermarks"),
        invalid(usual("\"watermarks\":{\"lowmem_reserve_ratio\":[1,2,3,4,5]}"), at: "/watermarks"),
    ]

    @Test func whatIsNoTopologyAndWhatIsNoMachine() throws {
        let harness = try Harness()
        for value in Self.refused + Self.noMachines {
            try value.expect(harness, "POST", "/v1/machines?name=n")
        }
        #expect(harness.lastSequence == 0)
    }

    /// What `/proc/zoneinfo` of a machine of one zone says.
    static let hwloc = """
        <topology version="3.0">
        <info name="Architecture" value="x86_64"/>
        <object type="Machine">
        <object type="NUMANode" os_index="0" cpuset="0x1" local_memory="2147483648"/>
        <object type="NUMANode" os_index="1" cpuset="0x2" local_memory="1073741824"/>
        <object type="PU" os_index="0"/><object type="PU" os_index="1"/>
        </object>
        <distances2 type="NUMANode" nbobjs="2" kind="5">
        <indexes>0 1</indexes><u64values>10 21 21 10</u64values>
        </distances2>
        </topology>
        """

    static let zoneinfo = """
        Node 0, zone   Normal
          pages free     100
                boost    0
                min      1
                low      2
                high     3
                promo    4
                spanned  1024
                present  1024
                managed  1000
                cma      0
                protection: (0)
              nr_free_pages 100
          start_pfn:           4096

        """

    static let escapedZoneinfo = zoneinfo.replacing("\n", with: "\\n")

    static let textCases: [ValueCase] = [
        invalid("{\"zoneinfo\":\"\"}", at: "/zoneinfo"),
        invalid("{\"zoneinfo\":\"nonsense\"}", at: "/zoneinfo"),
        invalid("{\"zoneinfo\":\"\(escapedZoneinfo)\",\"iomem\":\"nonsense\"}", at: "/iomem"),
        invalid("{\"zoneinfo\":\"\(escapedZoneinfo)\",\"distances\":[[10,20]]}", at: "/distances"),
        invalid("{\"zoneinfo\":\"\(escapedZoneinfo)\",\"cpus\":{\"1\":[0]}}", at: "/cpus"),
        invalid("{\"zoneinfo\":\"\(escapedZoneinfo)\",\"cpus\":{\"0\":[1,1]}}", at: "/cpus"),
        .refused("{\"zoneinfo\":\"\",\"dialect\":\"linux\"}", at: "/dialect"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"1024\":[]}}", at: "/cpus/1024"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"-1\":[]}}", at: "/cpus/-1"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"00\":[]}}", at: "/cpus/00"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"+1\":[]}}", at: "/cpus/+1"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"-0\":[]}}", at: "/cpus/-0"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"node0\":[]}}", at: "/cpus/node0"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"\":[]}}", at: "/cpus/"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"0\":[],\"00\":[]}}", at: "/cpus/00"),
        .refused("{\"zoneinfo\":\"\",\"cpus\":{\"0\":[8192]}}", at: "/cpus/0/0"),
        .refused("{\"zoneinfo\":\"\",\"page_size\":4096}", at: "/page_size"),
    ]

    @Test func kernelTexts() throws {
        let harness = try Harness()
        for value in Self.textCases {
            try value.expect(harness, "POST", "/v1/machines?name=n")
        }
        let body = "{\"zoneinfo\":\"\(Self.escapedZoneinfo)\",\"cpus\":{\"0\":[5,3]}}"
        let created = try harness.send("POST", "/v1/machines?name=n", body)
        #expect(created.status == 201, "\(created.body)")
        #expect(created.json["totals"]?["managed_pages"] == 1000)
        #expect(created.json["topology"]?["nodes"]?[0]?["cpus"] == [3, 5])
        #expect(created.json["dialect"] == "linux-6.12")
        #expect(created.json["assumed"]?.elements.isEmpty == false)
    }

    /// The dialect of the query is that of a body that names none.
    @Test func dialects() throws {
        let harness = try Harness()
        for (position, (query, member, dialect)) in [
            ("", "", "linux-6.12"), ("&dialect=linux-6.1", "", "linux-6.1"),
            ("&dialect=linux-6.1", ",\"dialect\":\"linux-6.12\"", "linux-6.12"),
        ].enumerated() {
            let created = try harness.send(
                "POST", "/v1/machines?name=m\(position)" + query,
                Self.nodes(Self.node).dropLast() + member + "}")
            #expect(created.json["dialect"] == .string(dialect))
        }
        expectProblem(
            try harness.send("POST", "/v1/machines?name=n&dialect=x", Self.nodes(Self.node)), 400,
            "invalid-request", at: "/query/dialect")
    }

    /// Posts a query and a body of one media type.
    private static func poster(
        _ harness: Harness, _ type: String
    ) -> (String, String) throws -> Answer {
        { query, body in
            try harness.send(
                "POST", "/v1/machines?" + query, body, headers: [("Content-Type", type)])
        }
    }

    @Test func plainText() throws {
        let harness = try Harness()
        let post = Self.poster(harness, "text/plain; charset=utf-8")
        let created = try post("name=n", Self.zoneinfo)
        #expect(created.status == 201, "\(created.body)")
        #expect(created.json["totals"]?["free_pages"] == 1000)
        #expect(try post("name=o&dialect=linux-6.1", Self.zoneinfo).json["dialect"] == "linux-6.1")
        expectProblem(
            try post("name=p&dialect=x", Self.zoneinfo), 400, "invalid-request",
            at: "/query/dialect")
        expectProblem(try post("name=p", "x"), 422, "invalid-topology", at: "/zoneinfo")
        expectProblem(try post("name=p", ""), 422, "invalid-topology", at: "/zoneinfo")
        let bytes =
            Array(
                "POST /v1/machines?name=p HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n".utf8)
            + Array("Content-Length: 1\r\n\r\n".utf8) + [0xff]
        expectProblem(
            try harness.turn([Message(isHead: false, bytes: bytes)])[0], 400, "invalid-request",
            at: "")
    }

    @Test func hwloc() throws {
        let harness = try Harness()
        let post = Self.poster(harness, "application/xml")
        let created = try post("name=n", Self.hwloc)
        #expect(created.status == 201, "\(created.body)")
        #expect(created.json["totals"]?["free_pages"] == 786_432)
        let topology = try #require(created.json["topology"])
        #expect(topology["distances"]?[1] == JSONValue(text: "[21, 10]"))
        #expect(topology["nodes"]?[1]?["cpus"] == JSONValue(text: "[1]"))
        #expect(
            created.json["assumed"]?[0]
                == .string("zones end where a kernel for x86_64 ends them"), "\(created.body)")
        #expect(created.json["dialect"] == "linux-6.12")
        #expect(try post("name=o&dialect=linux-6.1", Self.hwloc).json["dialect"] == "linux-6.1")
        let withCharset = [("Content-Type", "Application/XML; charset=UTF-8")]
        #expect(
            try harness.send("POST", "/v1/machines?name=p", Self.hwloc, headers: withCharset)
                .status == 201)

        let last = harness.lastSequence
        for (body, detail) in [
            ("", "line 1: XML must be well-formed: no element found"),
            ("{}", "line 1: XML must be well-formed: not well-formed (invalid token)"),
            ("<lstopo/>", "line 1: the root element must be topology"),
            (
                Self.hwloc.replacing("0x2", with: "1-2"),
                "line 5: cpuset must be 32-bit hexadecimal words between commas, high ones first,"
                    + " of CPUs below 8192"
            ),
        ] {
            let answer = try post("name=q", body)
            expectProblem(answer, 422, "invalid-topology", at: "")
            #expect(answer.json["errors"]?[0]?["detail"]?.text == detail)
            let sentence = detail.replacing(
                ":", with: " of the hwloc topology:", maxReplacements: 1)
            #expect(answer.json["detail"]?.text == sentence)
        }
        expectProblem(
            try post("name=q&dialect=x", Self.hwloc), 400, "invalid-request",
            at: "/query/dialect")
        #expect(harness.lastSequence == last)
    }

    @Test func anHwlocTopologyMayBeLarge() throws {
        let limits = AllocationAPI.serverLimits
        let xml = "Content-Type: application/xml\r\n"
        for (target, field, limit) in [
            ("/v1/machines?name=n", xml, BodyLimits.topologyBytes),
            ("/v1/machines?name=n", "", limits.maximumBodyBytes),
            ("/v1/machines/m/allocations", xml, limits.maximumBodyBytes),
        ] {
            for (count, error) in [(limit, nil), (limit + 1, HTTPRequestError.bodyTooLarge)] {
                var parser = HTTPRequestParser(limits: limits)
                parser.append(
                    Array(
                        ("POST \(target) HTTP/1.1\r\nHost: a\r\n\(field)"
                            + "Content-Length: \(count)\r\n\r\n").utf8))
                var refusal: HTTPRequestError?
                if case .failed(let found) = parser.next() { refusal = found }
                #expect(refusal == error, "\(target) \(field)")
            }
        }
    }

    @Test func names() throws {
        let harness = try Harness()
        let body = Self.nodes(Self.node)
        for query in [
            "", "?name=", "?name=.a", "?name=a%2Fb", "?name=\(Self.list("a", 64))", "?name",
        ] {
            expectProblem(
                try harness.send("POST", "/v1/machines" + query, body), 400, "invalid-request",
                at: "/query/name", query)
        }
        expectProblem(
            try harness.send("POST", "/v1/machines?name=a&name=b", body), 400, "invalid-request",
            at: "/query/name")
        expectProblem(
            try harness.send("POST", "/v1/machines?name=a&x", body), 400, "invalid-request",
            at: "/query/x")
        #expect(try harness.send("POST", "/v1/machines?name=A.1_b-", body).status == 201)
        expectProblem(
            try harness.send("POST", "/v1/machines?name=A.1_b-", body), 409, "machine-exists")
    }
}
