// The file of --tokens: read at the start, and again on SIGHUP. A file that cannot be used leaves
// everything as it is, since a server that lets nobody in is no safer than one that knows who it
// let in before.

import API

struct TokenFile {
    let path: String

    /// Bytes of a file: far more than `AccessTokens.maximumCount` lines have.
    private static let maximumBytes = 4 << 20

    func read() throws(Failure) -> AccessTokens {
        do throws(AccessTokens.Failure) {
            return try AccessTokens(text: try text())
        } catch {
            throw Failure("\(path): \(error)")
        }
    }

    private func text() throws(AccessTokens.Failure) -> String {
        guard let bytes = WholeFile.read(path, limit: Self.maximumBytes),
            let text = String(validating: bytes, as: UTF8.self)
        else { throw AccessTokens.Failure("it cannot be read, or is no text") }
        return text
    }

    /// Reads it again and hands its tokens over.
    func reload(into replacement: TokenReplacement, _ log: EventLog) throws(Failure) {
        let tokens = try read()
        replacement.replace(with: tokens)
        log.note(
            .info, "tokens_read", [("count", .number(UInt64(tokens.count))), ("file", .text(path))])
    }
}
