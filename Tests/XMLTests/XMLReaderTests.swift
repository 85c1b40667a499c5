// What is taken and told, and what is refused: with which rule, on which line.

import Testing
import XML

/// Writes down what it is told.
private final class Recorder: XMLContentHandler {
    var events: [String] = []

    /// An element that this handler refuses.
    var refused: String?

    func documentType(_ name: String, systemID: String?) throws(XMLFault) {
        events.append("type \(name) \(systemID ?? "-")")
    }

    func start(_ element: borrowing XMLElement) throws(XMLFault) {
        guard element.name != refused else {
            throw XMLFault(line: element.line, "refused")
        }
        let value = element.attribute("a").map { "=\($0)" } ?? ""
        events.append("\(element.line) <\(element.name)\(value)")
    }

    func end(_ name: String, text: String, line: Int) throws(XMLFault) {
        events.append("\(line) \(name)>\(text)")
    }
}

private func events(
    of document: String, limits: XMLLimits = XMLLimits(), refusing refused: String? = nil
) throws(XMLFault) -> [String] {
    let recorder = Recorder()
    recorder.refused = refused
    try XMLReader.read(Array(document.utf8), recorder, limits: limits)
    return recorder.events
}

struct XMLReaderTests {
    @Test func elementsAreToldInOrder() throws {
        let document = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!DOCTYPE r SYSTEM "r.dtd">
            <r b="0" a="1 &lt;&#10;&quot;2">
              <e a=""/>
              <!-- passed over --><?and this?>
              <f>x<g/>y&amp;<![CDATA[<z>]]></f>
            </r>
            """
        #expect(
            try events(of: document) == [
                "type r r.dtd", "3 <r=1 <\n\"2", "4 <e=", "4 e>", "6 <f", "6 <g", "6 g>",
                "6 f>y&<z>", "7 r>\n",
            ])
    }

    @Test(arguments: [
        "<r/>", "\u{feff}<r/>", "<?xml version='1.0'?><r></r>",
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?><r/>",
        "<?xml version='1.0' encoding='US-ASCII'?><r/>",
        "<!DOCTYPE r><r/>", "<!DOCTYPE r PUBLIC 'p' 's'><r/>",
    ])
    func taken(document: String) throws {
        #expect(try events(of: document).suffix(2) == ["1 <r", "1 r>"])
    }

    static let subset = "a document must not declare entities or elements"
    static let entity = "an entity must be one of amp, apos, gt, lt, quot"
    static let wellFormed = "XML must be well-formed: "

    @Test(arguments: [
        ("", 1, wellFormed + "no element found"),
        ("\n\n", 3, wellFormed + "no element found"),
        ("text", 1, wellFormed + "syntax error"),
        ("<r>\n<s>\n</r>", 3, wellFormed + "mismatched tag"),
        ("<r>\n<s>", 2, wellFormed + "no element found"),
        ("<r/>\n<r/>", 2, wellFormed + "junk after document element"),
        ("<r\na='1'\na='2'/>", 3, wellFormed + "duplicate attribute"),
        ("<r a=1/>", 1, wellFormed + "not well-formed (invalid token)"),
        ("<r>\u{0}</r>", 1, wellFormed + "not well-formed (invalid token)"),
        ("<r a='&#0;'/>", 1, wellFormed + "reference to invalid character number"),
        ("<r>&x;</r>", 1, wellFormed + "undefined entity"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><r/>", 1, "the encoding must be UTF-8"),
        ("<?xml version='1.0' encoding='UTF-16'?><r/>", 1, "the encoding must be UTF-8"),
        ("\n<!DOCTYPE r [<!ENTITY x 'y'>]><r>&x;</r>", 2, subset),
        ("<!DOCTYPE r [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><r/>", 1, subset),
        ("<!DOCTYPE r SYSTEM 's' [<!ATTLIST r a CDATA '1'>]><r/>", 1, subset),
        ("<!DOCTYPE r SYSTEM 's'>\n<r>&x;</r>", 2, entity),
        ("<!DOCTYPE r SYSTEM 's'>\n<r a='1&amp;&x;2'/>", 2, entity),
    ])
    func refused(document: String, line: Int, rule: String) {
        #expect(throws: XMLFault(line: line, rule)) { try events(of: document) }
    }

    /// Each entity is ten of the one before: a gigabyte, were it resolved.
    @Test func noEntityGrows() {
        var document = "<!DOCTYPE r [\n<!ENTITY a0 'ha'>\n"
        for level in 1...9 {
            let before = String(repeating: "&a\(level - 1);", count: 10)
            document += "<!ENTITY a\(level) '\(before)'>\n"
        }
        #expect(throws: XMLFault(line: 1, Self.subset)) {
            try events(of: document + "]><r>&a9;</r>")
        }
    }

    @Test(
        arguments: [
            [0x3c, 0x72, 0x3e, 0xff, 0x3c, 0x2f, 0x72, 0x3e],
            [0xfe, 0xff, 0, 0x3c, 0, 0x72, 0, 0x2f, 0, 0x3e],
            [0xff, 0xfe, 0x3c, 0, 0x72, 0, 0x2f, 0, 0x3e, 0], [0x3c, 0, 0x72, 0, 0x2f, 0, 0x3e, 0],
            [0x3c, 0x72, 0x3e, 0xc0, 0xaf, 0x3c, 0x2f, 0x72, 0x3e],
            [0x3c, 0x72, 0x3e, 0xed, 0xa0, 0x80, 0x3c, 0x2f, 0x72, 0x3e],
        ] as [[UInt8]])
    func whatIsNotUTF8IsRefused(document: [UInt8]) {
        let fault = #expect(throws: XMLFault.self) { try XMLReader.read(document, Recorder()) }
        let rules = [
            "the encoding must be UTF-8", Self.wellFormed + "not well-formed (invalid token)",
        ]
        #expect(rules.contains(fault?.rule ?? ""))
    }

    @Test func limitsHold() throws {
        var limits = XMLLimits()
        limits.bytes = 60
        limits.depth = 3
        limits.elements = 4
        limits.tagBytes = 10
        #expect(try events(of: "<r><s><t/></s>\n<u a='1'/></r>", limits: limits).count == 8)
        for (document, line, rule) in [
            ("<r><s>\n<t><u/></t></s></r>", 2, "elements must be nested at most 3 deep"),
            ("<r><s/><s/><s/>\n<s/></r>", 2, "there must be at most 4 elements"),
            ("<r>\n<u a='1234'/></r>", 2, "a tag must have at most 10 bytes"),
            (
                "<r>" + String(repeating: " ", count: 60) + "</r>", 1,
                "the document must have at most 60 bytes"
            ),
        ] {
            #expect(throws: XMLFault(line: line, rule)) {
                try events(of: document, limits: limits)
            }
        }
    }

    @Test func theHandlersFaultEndsTheReading() {
        #expect(throws: XMLFault(line: 2, "refused")) {
            try events(of: "<r>\n<s/>\n<t></r>", refusing: "s")
        }
    }

    /// A document of a million elements within one another needs no stack.
    @Test func deepNestingIsAFaultLikeAnother() {
        let document = String(repeating: "<r>", count: 1_000_000)
        #expect(throws: XMLFault(line: 1, "elements must be nested at most 256 deep")) {
            try events(of: document)
        }
    }
}
