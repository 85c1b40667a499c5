// gfpd token: lets somebody in.

import API
import ArgumentParser

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new access token, and the line that lets it in.",
        discussion: """
            Prints two lines: the token, which the caller sends as "Authorization: Bearer TOKEN", \
            and a line for the file of gfpd serve --tokens, which holds the token's hash alone. \
            The token is kept nowhere. A server that runs reads its file again on SIGHUP.
            """)

    @Argument(help: "Who is let in: 1 to 63 of the characters A-Z a-z 0-9 . _ - : @")
    var principal: String

    @Option(help: "What for: one or more of read, allocate, free and admin, with commas between.")
    var scopes: String

    func validate() throws {
        guard AccessTokens.isName(principal) else {
            throw ValidationError(AccessTokens.nameRule)
        }
        guard Scope(names: scopes) != nil else {
            throw ValidationError("the scopes must be of read, allocate, free and admin")
        }
    }

    func run() throws {
        guard let scopes = Scope(names: scopes) else { return }
        let token = AccessToken()
        print(token.text)
        print(token.line(principal: principal, scopes))
    }
}
