// The command line. Each command reads its configuration once, here, and builds what it needs.

import ArgumentParser

@main
struct GFPD: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gfpd",
        abstract: "A page allocator as a service, with a ledger of every request and grant.",
        subcommands: [
            Serve.self, Token.self, Healthcheck.self, Verify.self, Backup.self, History.self,
            Bench.self,
            Conformance.self,
        ],
        defaultSubcommand: Serve.self)
}
