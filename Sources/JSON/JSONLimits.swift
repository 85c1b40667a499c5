/// What one JSON document may ask of its reader. The length of the document, and with it the
/// number of elements of an array, is bounded by whoever took the bytes in.
public enum JSONLimits {
    /// Containers around a value, itself included where it is one: `[[1]]` is two deep. RFC 8259
    /// section 9 lets an implementation set it; it bounds the stack, since containers recurse.
    public static let maximumDepth = 32

    /// Members in one object.
    public static let maximumMembers = 1024

    /// Bytes of one member's name, as written between its quotation marks. It bounds the JSON
    /// Pointer that an error carries.
    public static let maximumNameBytes = 1024
}
