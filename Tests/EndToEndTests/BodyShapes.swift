// The bodies that the service takes, as data: where each field is, one value that is right, and
// values that are wrong in type, in range, or together with the rest.

import Foundation

/// A field of a body.
struct BodyField {
    /// Member names, and `0` for an array's first element.
    let path: [String]

    /// A value that is right: JSON text, like the wrong ones.
    let right: String
    let wrong: [String]

    /// - Parameters:
    ///   - extra: values that are wrong for this field, beside those that are for its kind.
    ///   - null: whether null is right here.
    init(_ path: String, _ kind: ValueKind, also extra: [String] = [], null: Bool = false) {
        self.path = path.split(separator: "/").map(String.init)
        right = kind.right
        wrong = kind.wrong.filter { !null || $0 != "null" } + extra
    }

    var pointer: String { path.map { "/" + $0 }.joined() }
}

/// What a field takes.
enum ValueKind {
    case name, address, flags, text
    case integer(ClosedRange<Int>)
    case object(String)
    case array(String)
    case word(String)

    var right: String {
        switch self {
        case .name: "\"c\""
        case .address: "\"0xffffff\""
        case .flags: "[\"GFP_KERNEL\"]"
        case .text: "\"text\""
        case .integer(let range): String(range.lowerBound)
        case .object(let example), .array(let example): example
        case .word(let word): "\"\(word)\""
        }
    }

    var wrong: [String] {
        switch self {
        case .name:
            [
                "0", "true", "[]", "{}", "null", "\"\"", "\"-a\"", "\"a b\"", "\"\u{e4}\"",
                "\"" + String(repeating: "a", count: 64) + "\"",
            ]
        case .address:
            [
                "-1", "1.5", "true", "[]", "{}", "null", "\"\"", "\"x\"", "\"0x\"", "\"-1\"",
                "\"+1\"", "\" 1\"", "\"1 \"", "\"0x1g\"", "18446744073709551616",
                "\"0x10000000000000000\"", "\"18446744073709551616\"", "1e30", "\"1_0\"",
            ]
        case .flags:
            [
                "-1", "1.5", "true", "{}", "null", "4294967296", "[1.5]", "[null]", "[[]]",
                "\"GFP_NOTHING\"", "[\"gfp_kernel\"]", "\"GFP_KERNEL|\"", "\"GFP_KERNEL GFP_DMA\"",
                "\"0x100000000\"", "[\"GFP_KERNEL\", \"\\u0000\"]",
            ]
        case .text: ["0", "true", "[]", "{}", "null"]
        case .integer(let range):
            [
                "true", "[]", "{}", "null", "\"x\"", "1.5", "1e30", "-1e-1",
                "18446744073709551616", String(range.lowerBound - 1), String(range.upperBound + 1),
            ]
        case .object: ["0", "true", "[]", "null", "\"text\"", "[{}]"]
        case .array: ["0", "true", "{}", "null", "\"text\""]
        case .word: ["0", "true", "[]", "{}", "null", "\"\"", "\"other\""]
        }
    }
}

/// A request with a body.
struct BodyShape {
    let method: String
    let target: String

    /// A body that is right, with every field: JSON text.
    let sample: String

    /// A body that is right, with no more than there must be.
    var base = "{}"
    let fields: [BodyField]

    /// Where the objects are that an unknown member can be put into.
    var objects: [String] = [""]

    var topLevelFields: [BodyField] { fields.filter { $0.path.count == 1 } }

    /// The base with values put in: JSON text.
    func body(with values: [(path: [String], text: String)]) -> String {
        var tree: Any = (try? JSONSerialization.jsonObject(with: Data(base.utf8))) ?? [:]
        for (number, value) in values.enumerated() {
            tree = Self.placing("@\(number)@", at: value.path[...], in: tree)
        }
        var text = jsonText(tree)
        for (number, value) in values.enumerated() {
            text = text.replacing("\"@\(number)@\"", with: value.text)
        }
        return text
    }

    private static func placing(_ mark: String, at path: ArraySlice<String>, in tree: Any?) -> Any {
        guard let step = path.first else { return mark }
        if step == "0" {
            let elements = tree as? [Any] ?? []
            return [placing(mark, at: path.dropFirst(), in: elements.first)] + elements.dropFirst()
        }
        var members = tree as? [String: Any] ?? [:]
        members[step] = placing(mark, at: path.dropFirst(), in: members[step])
        return members
    }
}

extension BodyShape {
    static let all = [allocation, control, pageFree, topology, kernelTexts]

    private static let longText = "\"" + String(repeating: "o", count: 256) + "\""

    private static let tooManyLabels =
        "{" + (0...16).map { "\"l\($0)\": \"\"" }.joined(separator: ", ") + "}"

    private static func controlFields(_ prefix: String) -> [BodyField] {
        [
            BodyField(prefix + "flags", .flags), BodyField(prefix + "order", .integer(0...10)),
            BodyField(prefix + "node", .integer(-1...1023)),
            BodyField(prefix + "low_boundary", .address),
            BodyField(prefix + "high_boundary", .address),
            BodyField(
                prefix + "mempol", .object("{\"mode\": \"local\"}"),
                also: [
                    "{}", "{\"mode\": \"prefer\"}", "{\"mode\": \"bind\", \"nodes\": [1024]}",
                    "{\"mode\": \"interleave\", \"weights\": {\"0\": 256}}",
                ]),
            BodyField(
                prefix + "mems_allowed", .array("[0]"),
                also: ["[]", "[-1]", "[1024]", "[0, 0]", "[null]"]),
            BodyField(prefix + "alignment", .address, also: ["3", "\"0xfff\""]).withRight("4096"),
            BodyField(prefix + "phase", .address, also: ["1"]).withRight("0"),
            BodyField(prefix + "boundary", .address, also: ["65535"]).withRight("65536"),
            BodyField(prefix + "max_segments", .integer(1...64)),
            BodyField(prefix + "fit", .word("first")),
        ]
    }

    private static func pages(_ prefix: String) -> BodyField {
        BodyField(prefix + "pages", .integer(1...1_073_741_824))
    }

    static let allocation = BodyShape(
        method: "POST", target: "/v1/machines/m/allocations",
        sample: """
            {"control": "c", "allocation_control": {"flags": ["GFP_KERNEL", "__GFP_COMP"], \
            "order": 2, "node": -1, "low_boundary": 0, "high_boundary": "0xffffffff"}, \
            "additional_flags": "__GFP_ZERO|__GFP_NOWARN", "cpu": 3, "owner": "task:4711", \
            "labels": {"driver": "e1000\\u0065"}}
            """,
        fields: [
            BodyField("control", .name), BodyField("allocation_control", .object("{}")),
            BodyField("additional_flags", .flags), BodyField("cpu", .integer(0...8191)),
            BodyField("owner", .text, also: ["\"\"", "\"a\\u0000\"", "\"\\n\"", longText]),
            BodyField(
                "labels", .object("{\"a\": \"b\"}"),
                also: [tooManyLabels, "{\"\": \"\"}", "{\"a b\": \"\"}", "{\(longText): \"\"}"]),
            BodyField("labels/a", .text, also: ["\"\\u001f\"", longText]),
            pages("allocation_control/"),
        ] + controlFields("allocation_control/"),
        objects: ["", "allocation_control"])

    static let control = BodyShape(
        method: "PUT", target: "/v1/machines/m/controls/c",
        sample: """
            {"flags": 3264, "order": 0, "node": 1, "low_boundary": "0x1000", \
            "high_boundary": 18446744073709551615, "mempol": {"mode": "weighted_interleave", \
            "nodes": [0, 1], "weights": {"0": 3}}, "mems_allowed": [0, 1], "alignment": 8192, \
            "phase": "0x1000", "boundary": 1048576, "max_segments": 1, "fit": "topdown"}
            """,
        fields: controlFields("") + [pages("")])

    static let pageFree = BodyShape(
        method: "POST", target: "/v1/machines/m/pages/4096/free",
        sample: "{\"allocation_control\": {\"order\": 2, \"flags\": []}}",
        fields: [
            BodyField("order", .integer(0...10)), BodyField("control", .name),
            BodyField("allocation_control", .object("{}")),
        ] + controlFields("allocation_control/"),
        objects: ["", "allocation_control"])

    private static let wrongRanges = [
        "[{}]", "[{\"start\": 0}]", "[{\"end\": 4095}]", "[0]",
        "[{\"start\": \"0x2000\", \"end\": \"0x1fff\"}]",
    ]

    static let topology = BodyShape(
        method: "POST", target: "/v1/machines?name=new",
        sample: """
            {"dialect": "linux-6.12", "page_size": 4096, "nodes": [{"id": 0, "cpus": [0, 1], \
            "memory": [{"start": "0x1000", "end": 16777215}], "movable_bytes": 0}], \
            "distances": [[10]], "zones": {"DMA": null, "DMA32": "0xffffffff"}, \
            "reserved": [{"start": "0x9f000", "end": "0xfffff"}], "watermarks": \
            {"min_free_kbytes": 128, "watermark_scale_factor": 10, \
            "lowmem_reserve_ratio": [256, 256, 32, 0]}}
            """,
        base: "{\"nodes\": [{\"id\": 0, \"memory\": [{\"start\": 0, \"end\": 16777215}]}]}",
        fields: [
            BodyField("dialect", .word("linux-6.12")),
            BodyField("page_size", .integer(4096...4096)),
            BodyField("nodes", .array("[{\"id\": 0}]"), also: ["[]", "[0]", "[null]", "[{}]"]),
            BodyField("nodes/0/id", .integer(0...1023)),
            BodyField(
                "nodes/0/cpus", .array("[]"), also: ["[-1]", "[8192]", "[0, 0]", "[\"0\"]"]),
            BodyField("nodes/0/memory", .array("[]"), also: wrongRanges),
            BodyField("nodes/0/memory/0/start", .address),
            BodyField("nodes/0/memory/0/end", .address),
            BodyField("nodes/0/movable_bytes", .address, also: ["\"0xffffffffffffffff\""]),
            BodyField(
                "distances", .array("[[10]]"), also: ["[[]]", "[[11]]", "[[10, 20]]", "[0]"]),
            BodyField("zones", .object("{}"), null: true),
            BodyField("zones/DMA", .address, also: ["\"0x1000\""], null: true),
            BodyField("zones/DMA32", .address, also: ["\"0x1000\""], null: true),
            BodyField("reserved", .array("[]"), also: wrongRanges),
            BodyField("watermarks", .object("{}")),
            BodyField("watermarks/min_free_kbytes", .integer(0...2_147_483_647)),
            BodyField("watermarks/watermark_scale_factor", .integer(1...3000)),
            BodyField(
                "watermarks/lowmem_reserve_ratio", .array("[256, 256, 32, 0]"),
                also: ["[]", "[1]", "[1, 2, 3, -1]", "[1, 2, 3, 4, 5]"]),
        ],
        objects: ["", "nodes/0", "nodes/0/memory/0", "zones", "reserved/0", "watermarks"])

    private static let zoneinfo = [
        "Node 0, zone   Normal", "  per-node stats", "  pages free     1000", "        boost    0",
        "        min      32", "        low      40", "        high     48",
        "        promo    56", "        spanned  1024", "        present  1024",
        "        managed  1000", "        cma      0", "        protection: (0)",
        "  start_pfn:           4096", "",
    ].joined(separator: "\\n")

    static let kernelTexts = BodyShape(
        method: "POST", target: "/v1/machines?name=new",
        sample: """
            {"zoneinfo": "\(zoneinfo)", "iomem": "01000000-013fffff : System RAM\\n", \
            "distances": [[10]], "cpus": {"0": [0, 1]}, "dialect": "linux-6.1"}
            """,
        base: "{\"zoneinfo\": \"\(zoneinfo)\"}",
        fields: [
            BodyField(
                "zoneinfo", .text,
                also: [
                    "\"\"", "\"text\"", "\"Node 0, zone   Normal\\n\"", "\"Node\"", "\"\\u0000\"",
                ]
            ).withRight("\"\(zoneinfo)\""),
            BodyField("iomem", .text).withRight("\"01000000-013fffff : System RAM\\n\""),
            BodyField(
                "distances", .array("[[10]]"), also: ["[[]]", "[[11]]", "[[10, 20]]", "[0]"]),
            BodyField(
                "cpus", .object("{\"0\": [0, 1]}"),
                also: ["{\"x\": []}", "{\"7\": []}", "{\"0\": 1}", "{\"0\": [8192]}"]),
            BodyField("dialect", .word("linux-6.1")),
        ])
}

extension BodyField {
    /// The same with another right value.
    fileprivate func withRight(_ text: String) -> BodyField {
        BodyField(path: path, right: text, wrong: wrong)
    }

    private init(path: [String], right: String, wrong: [String]) {
        self.path = path
        self.right = right
        self.wrong = wrong
    }
}
