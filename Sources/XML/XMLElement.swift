// A start tag lies in the parser's memory while it is looked at and no longer: the type cannot be
// copied and is only ever lent. Most tags of a document are passed over, so that an attribute is
// made a string when it is asked for.

/// The start tag of an element.
@safe public struct XMLElement: ~Copyable {
    public let name: String

    /// The line on which the tag begins, from 1.
    public let line: Int

    /// Names and values by turns, then nil.
    private let attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?

    init(
        name: String, line: Int, attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?
    ) {
        self.name = name
        self.line = line
        unsafe self.attributes = attributes
    }

    /// The value of an attribute, its references resolved; nil where the tag has none of the name.
    public func attribute(_ name: String) -> String? {
        guard var place = unsafe attributes else { return nil }
        while let candidate = unsafe place[0], let value = unsafe place[1] {
            if unsafe String(cString: candidate) == name { return unsafe String(cString: value) }
            unsafe place += 2
        }
        return nil
    }
}
