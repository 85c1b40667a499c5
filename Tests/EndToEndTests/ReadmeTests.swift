// README's examples, run as they are printed there: each line of a console block that begins with
// `$ `, with the lines that follow it as what must come out.

import Foundation
import Testing

struct ConsoleStep: Equatable {
    let command: String
    let output: String

    /// The steps of all ```console blocks. A command goes on where its line ends in a backslash.
    static func steps(of markdown: String) -> [ConsoleStep] {
        var steps: [ConsoleStep] = []
        var isInBlock = false
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isInBlock = line == "```console"
            } else if isInBlock {
                add(line, to: &steps)
            }
        }
        return steps
    }

    private static func add(_ line: Substring, to steps: inout [ConsoleStep]) {
        if line.hasPrefix("$ ") {
            steps.append(ConsoleStep(command: String(line.dropFirst(2)), output: ""))
        } else if let last = steps.popLast() {
            let isCommand = last.command.hasSuffix("\\") && last.output.isEmpty
            steps.append(
                isCommand
                    ? ConsoleStep(command: last.command + "\n" + line, output: "")
                    : ConsoleStep(command: last.command, output: last.output + line + "\n"))
        }
    }
}

@Suite struct ReadmeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test func eachExampleGivesWhatIsPrinted() throws {
        let readme = try String(
            contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
        let steps = ConsoleStep.steps(of: readme)
        #expect(steps.count { $0.command.contains("curl ") } >= 12)
        let scratch = try ScratchDirectory()
        let server = try Server(data: scratch.path("data"), scratch: scratch)
        for step in steps {
            let output = try Self.run(at(server, step.command), scratch)
            #expect(output == at(server, step.output), "$ \(step.command)")
        }
    }

    private func at(_ server: Server, _ text: String) -> String {
        text.replacing("127.0.0.1:8080", with: "127.0.0.1:\(server.port)")
    }

    /// What a shell in the repository's root prints, errors included.
    private static func run(_ command: String, _ scratch: ScratchDirectory) throws -> String {
        let process = try ChildProcess(
            "/bin/sh", ["-c", "cd '\(root.path)' && exec 2>&1; \(command)"], scratch: scratch.url)
        _ = try process.waitForEnd()
        return process.output
    }

    @Test func blocksAreRead() {
        let markdown = """
            ```sh
            $ curl not this
            ```
            ```console
            $ curl -s \\
                http://a/
            {"b":1}

            $ curl c
            ```
            $ curl nor this
            """
        #expect(
            ConsoleStep.steps(of: markdown) == [
                ConsoleStep(command: "curl -s \\\n    http://a/", output: "{\"b\":1}\n\n"),
                ConsoleStep(command: "curl c", output: ""),
            ])
    }
}
