// Reads XML 1.0 in UTF-8 from memory with Expat, and tells a handler of its elements in order.
//
// Strict where XML leaves a reader free. A document type may be named, but nothing is declared in
// the document and nothing is fetched from elsewhere: a document with an internal subset, and with
// it every declaration of an entity, is refused where the subset begins. What is left are the five
// entities that XML itself knows; a reference to another, which Expat would skip in a document of
// an external type, is a fault as well. So a document is never larger than its bytes.
//
// Source: W3C, Extensible Markup Language 1.0, 5th edition; expat.h.

internal import CExpat

/// Is told what a document holds.
public protocol XMLContentHandler: AnyObject {
    /// `<!DOCTYPE name SYSTEM "systemID">`, before the first element.
    func documentType(_ name: String, systemID: String?) throws(XMLFault)

    func start(_ element: borrowing XMLElement) throws(XMLFault)

    /// - Parameter text: the characters between the end tag and the tag before it.
    func end(_ name: String, text: String, line: Int) throws(XMLFault)
}

public enum XMLReader {
    /// Reads a whole document.
    ///
    /// - Throws: the first fault of the document, of the handler's, or against a limit.
    public static func read(
        _ document: [UInt8], _ handler: any XMLContentHandler, limits: XMLLimits = XMLLimits()
    ) throws(XMLFault) {
        guard document.count <= min(limits.bytes, Int(CInt.max)) else {
            throw XMLFault(line: 1, "the document must have at most \(limits.bytes) bytes")
        }
        guard !isUTF16(document) else {
            throw XMLFault(line: 1, XMLSession.encodingRule)
        }
        try XMLSession(document, handler, limits).run()
    }

    /// Expat takes UTF-16 whatever it was told. Its mark is no byte of UTF-8, and without it one of
    /// two bytes of the first characters is 0.
    private static func isUTF16(_ document: [UInt8]) -> Bool {
        document.prefix(2).contains { $0 == 0 || $0 >= 0xfe }
    }
}

/// One reading of one document. Expat calls it back; what is thrown there is kept, and Expat
/// stopped, since nothing may be thrown through C.
@safe private final class XMLSession {
    private let document: [UInt8]
    private let handler: any XMLContentHandler
    private let limits: XMLLimits

    private let parser: XML_Parser
    private var fault: XMLFault?
    private var depth = 0
    private var elements = 0

    /// Characters since the last tag.
    private var text: [UInt8] = []

    init(_ document: [UInt8], _ handler: any XMLContentHandler, _ limits: XMLLimits) {
        self.document = document
        self.handler = handler
        self.limits = limits
        guard let parser = unsafe XML_ParserCreate("UTF-8") else {
            preconditionFailure("no memory for a parser")
        }
        unsafe self.parser = unsafe parser
    }

    deinit {
        unsafe XML_ParserFree(parser)
    }

    func run() throws(XMLFault) {
        unsafe XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        setDeclarationHandlers()
        setContentHandlers()
        let status = unsafe document.withUnsafeBytes { bytes in
            unsafe XML_Parse(
                parser, bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                CInt(bytes.count), 1)
        }
        if let fault { throw fault }
        guard status != XML_STATUS_OK else { return }
        let reason = unsafe XML_ErrorString(XML_GetErrorCode(parser)).map {
            unsafe String(cString: $0)
        }
        throw XMLFault(line: line, "XML must be well-formed: \(reason ?? "it is not")")
    }

    private func setDeclarationHandlers() {
        unsafe XML_SetXmlDeclHandler(parser) { session, _, encoding, _ in
            let name = unsafe encoding.map { unsafe String(cString: $0) }
            unsafe XMLSession.of(session).perform { (session) throws(XMLFault) in
                try session.check(encoding: name)
            }
        }
        unsafe XML_SetStartDoctypeDeclHandler(parser) { session, name, systemID, _, hasSubset in
            let name = unsafe name.map { unsafe String(cString: $0) }
            let systemID = unsafe systemID.map { unsafe String(cString: $0) }
            unsafe XMLSession.of(session).perform { (session) throws(XMLFault) in
                guard hasSubset == 0 else {
                    throw XMLFault(
                        line: session.line, "a document must not declare entities or elements")
                }
                try session.handler.documentType(name ?? "", systemID: systemID)
            }
        }
        unsafe XML_SetSkippedEntityHandler(parser) { session, _, _ in
            unsafe XMLSession.of(session).perform { (session) throws(XMLFault) in
                throw session.unknownEntity
            }
        }
    }

    private func setContentHandlers() {
        unsafe XML_SetElementHandler(
            parser,
            { session, name, attributes in
                guard let name = unsafe name else { return }
                unsafe XMLSession.of(session).perform { (session) throws(XMLFault) in
                    unsafe try session.start(String(cString: name), attributes)
                }
            },
            { session, name in
                guard let name = unsafe name else { return }
                unsafe XMLSession.of(session).perform { (session) throws(XMLFault) in
                    unsafe try session.end(String(cString: name))
                }
            })
        unsafe XML_SetCharacterDataHandler(parser) { session, characters, count in
            unsafe XMLSession.of(session).text.append(
                contentsOf: UnsafeRawBufferPointer(start: characters, count: Int(count)))
        }
    }

    private static func of(_ userData: UnsafeMutableRawPointer?) -> XMLSession {
        guard let userData = unsafe userData else {
            preconditionFailure("a callback without its session")
        }
        return unsafe Unmanaged<XMLSession>.fromOpaque(userData).takeUnretainedValue()
    }

    /// Expat may call once more after it was stopped.
    private func perform(_ step: (XMLSession) throws(XMLFault) -> Void) {
        guard fault == nil else { return }
        do {
            try step(self)
        } catch {
            fault = error
            unsafe XML_StopParser(parser, 0)
        }
    }

    // MARK: What a document may hold

    static let encodingRule = "the encoding must be UTF-8"

    private func check(encoding: String?) throws(XMLFault) {
        let name = encoding?.lowercased() ?? "utf-8"
        guard name == "utf-8" || name == "us-ascii" else {
            throw XMLFault(line: line, Self.encodingRule)
        }
    }

    private func start(
        _ name: String, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?
    ) throws(XMLFault) {
        depth += 1
        elements += 1
        text.removeAll(keepingCapacity: true)
        let line = line
        guard depth <= limits.depth else {
            throw XMLFault(
                line: line, "elements must be nested at most \(limits.depth) deep")
        }
        guard elements <= limits.elements else {
            throw XMLFault(line: line, "there must be at most \(limits.elements) elements")
        }
        let tag = tag
        guard tag.count <= limits.tagBytes else {
            throw XMLFault(line: line, "a tag must have at most \(limits.tagBytes) bytes")
        }
        guard Self.knowsEntities(of: tag) else { throw unknownEntity }
        try handler.start(
            unsafe XMLElement(name: name, line: line, attributes: attributes))
    }

    private func end(_ name: String) throws(XMLFault) {
        depth -= 1
        let content = String(decoding: text, as: UTF8.self)
        text.removeAll(keepingCapacity: true)
        try handler.end(name, text: content, line: line)
    }

    private var line: Int {
        Int(unsafe XML_GetCurrentLineNumber(parser))
    }

    private var unknownEntity: XMLFault {
        XMLFault(line: line, "an entity must be one of amp, apos, gt, lt, quot")
    }

    /// The bytes that Expat is at.
    private var tag: ArraySlice<UInt8> {
        let start = Int(unsafe XML_GetCurrentByteIndex(parser))
        return document[start..<start + Int(unsafe XML_GetCurrentByteCount(parser))]
    }

    /// Whether each reference of a start tag is to a character, or to an entity that XML knows.
    /// Expat leaves out others without a word.
    private static func knowsEntities(of tag: ArraySlice<UInt8>) -> Bool {
        var rest = tag
        while let place = rest.firstIndex(of: UInt8(ascii: "&")) {
            rest = rest[(place + 1)...]
            let name = rest.prefix { $0 != UInt8(ascii: ";") }
            guard name.first == UInt8(ascii: "#") || entities.contains(where: name.elementsEqual)
            else { return false }
        }
        return true
    }

    private static let entities = ["amp", "apos", "gt", "lt", "quot"].map { Array($0.utf8) }
}
