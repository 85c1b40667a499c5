// What a caller may do. Each route names the scope that it needs (`Endpoint.neededScope`).

/// A set of permissions.
public struct Scope: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// To read machines and the ledger, and to ask what would be granted.
    public static let read = Scope(rawValue: 1 << 0)

    /// To allocate, and to renew leases.
    public static let allocate = Scope(rawValue: 1 << 1)

    /// To free.
    public static let free = Scope(rawValue: 1 << 2)

    /// To do all of that, also with what others were granted; and to create and delete machines
    /// and controls, which all callers share.
    public static let admin = Scope(rawValue: 1 << 3)

    static let names: [(scope: Scope, name: String)] = [
        (.read, "read"), (.allocate, "allocate"), (.free, "free"), (.admin, "admin"),
    ]

    /// `read,allocate`: one name or several, each once.
    public init?(names: some StringProtocol) {
        var scopes: Scope = []
        for name in names.split(separator: ",", omittingEmptySubsequences: false) {
            guard let scope = Self.names.first(where: { $0.name == name })?.scope,
                scopes.insert(scope).inserted
            else { return nil }
        }
        self = scopes
    }

    /// As `init(names:)` takes them.
    public var text: String { names.joined(separator: ",") }

    var names: [String] { Self.names.filter { contains($0.scope) }.map(\.name) }

    /// Whether who has these scopes may do what needs one of those.
    func allows(anyOf needed: Scope) -> Bool {
        contains(.admin) || !isDisjoint(with: needed)
    }
}
