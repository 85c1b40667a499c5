// Who is let in, as a file says it: a line for each token or certificate.
//
//     # comments and empty lines are left out
//     nic0 allocate,free sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//     backup read certificate
//
// The first word is the principal, under which entries are kept and limits counted; several lines
// may have the same, as while one token takes another's place. The last is SHA-256 of the token, or
// says that a client certificate with the principal as its subject's common name counts as one.
//
// A token is looked up by the first word of its hash, and the hash compared whole, in a time that
// does not depend on where it differs. What the look-up itself takes says something of hashes, from
// which nobody gets to a token.

public import AllocationService
import Digest

public struct AccessTokens: Sendable {
    /// Somebody who is let in, and what for.
    public struct Bearer: Hashable, Sendable {
        public let principal: Principal
        public let scopes: Scope

        init(_ name: String, _ scopes: Scope) {
            principal = Principal(name: name, ownsAll: scopes.contains(.admin))
            self.scopes = scopes
        }
    }

    /// Why a text lets nobody in.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        /// From 1; nil where no single line is to blame.
        public let line: Int?
        public let reason: String

        public init(line: Int? = nil, _ reason: String) {
            self.line = line
            self.reason = reason
        }

        public var description: String {
            line.map { "line \($0): \(reason)" } ?? reason
        }
    }

    /// Lines that let somebody in.
    public static let maximumCount = 10_000

    /// Characters of a principal's name.
    public static let nameLength = 63

    static let hashPrefix = "sha256:"
    private static let certificateWord = "certificate"

    private struct Token: Sendable {
        let hash: Hash
        let bearer: Bearer
    }

    /// SHA-256, eight bytes to a word, the first of them lowest.
    private typealias Hash = (UInt64, UInt64, UInt64, UInt64)

    /// By the first word of the hash. Two that share it are kept apart by the rest.
    private var tokens: [UInt64: [Token]] = [:]

    /// By name.
    private var certificates: [String: Bearer] = [:]

    /// Lines that let somebody in.
    public private(set) var count = 0

    /// - Throws: `Failure` where a line is none, or there is none at all.
    public init(text: String) throws(Failure) {
        for (position, line) in text.split(
            separator: "\n", omittingEmptySubsequences: false
        ).enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            do throws(Rule) {
                try add(words)
            } catch {
                throw Failure(line: position + 1, error.sentence)
            }
        }
        guard count > 0 else { throw Failure("there is no line for anybody") }
    }

    /// The rule that a line breaks.
    private struct Rule: Error {
        let sentence: String
    }

    private mutating func add(_ words: [Substring]) throws(Rule) {
        guard words.count == 3 else {
            throw Rule(sentence: "must be a principal, its scopes and sha256:HEX or certificate")
        }
        guard Self.isName(words[0]) else { throw Rule(sentence: Self.nameRule) }
        guard let scopes = Scope(names: words[1]) else {
            throw Rule(sentence: "the scopes must be of read, allocate, free and admin")
        }
        guard count < Self.maximumCount else {
            throw Rule(sentence: "there may be at most \(Self.maximumCount) lines")
        }
        count += 1
        let bearer = Bearer(String(words[0]), scopes)
        if words[2] == Self.certificateWord {
            guard certificates.updateValue(bearer, forKey: bearer.principal.name) == nil else {
                throw Rule(sentence: "the principal's certificate is there twice")
            }
        } else {
            guard let hash = Self.hash(words[2]) else {
                throw Rule(sentence: "the hash must be sha256: and 64 hexadecimal digits")
            }
            guard find(hash) == nil else { throw Rule(sentence: "the token is there twice") }
            tokens[hash.0, default: []].append(Token(hash: hash, bearer: bearer))
        }
    }

    /// What names a principal.
    public static let nameRule =
        "a principal must be 1 to \(nameLength) of the characters A-Z a-z 0-9 . _ - : @"

    /// Whether a text names a principal.
    public static func isName(_ text: some StringProtocol) -> Bool {
        (1...nameLength).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "@"):
                    true
                default: false
                }
            }
    }

    private static func hash(_ word: Substring) -> Hash? {
        guard word.hasPrefix(hashPrefix) else { return nil }
        let digits = Array(word.dropFirst(hashPrefix.count).utf8)
        guard digits.count == 2 * SHA256.Value.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (position, digit) in digits.enumerated() {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            // The first digit of a byte is the high one.
            let shift = (position / 2 % 8) * 8 + (position % 2 == 0 ? 4 : 0)
            words[position / 16] |= UInt64(value) << UInt64(shift)
        }
        return (words[0], words[1], words[2], words[3])
    }

    /// Whose token that is; nil where it is nobody's.
    func bearer(of token: String, _ sha256: SHA256) -> Bearer? {
        var token = token
        token.withUTF8 { bytes in unsafe sha256.update(bytes.span) }
        return find(sha256.finish().words)
    }

    /// Who is let in by a certificate with that common name.
    func bearer(ofCertificate name: String) -> Bearer? { certificates[name] }

    private func find(_ hash: Hash) -> Bearer? {
        var found: Bearer?
        for token in tokens[hash.0] ?? [] where Self.areSame(token.hash, hash) {
            found = token.bearer
        }
        return found
    }

    /// Takes as long wherever the two differ.
    private static func areSame(_ one: Hash, _ other: Hash) -> Bool {
        (one.0 ^ other.0) | (one.1 ^ other.1) | (one.2 ^ other.2) | (one.3 ^ other.3) == 0
    }
}
