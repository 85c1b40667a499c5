import API

/// The file of tokens: it is read or refused with a line and a reason, and each line that is no
/// comment lets somebody in.
enum TokensTarget {
    static func run(_ input: [UInt8]) {
        let text = String(decoding: input, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        do throws(AccessTokens.Failure) {
            let tokens = try AccessTokens(text: text)
            precondition((1...lines.count).contains(tokens.count))
            precondition(tokens.count <= AccessTokens.maximumCount)
            // Nobody is let in twice by one line.
            precondition((try? AccessTokens(text: text + "\n" + text)) == nil)
        } catch {
            precondition(error.line.map { (1...lines.count).contains($0) } ?? true)
            precondition(!error.reason.isEmpty)
        }
    }
}
