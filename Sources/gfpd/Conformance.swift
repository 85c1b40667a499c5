// gfpd conformance: the allocator's decisions put to states that running kernels recorded, and
// compared with what those kernels decided.
//
// Each folder under DIR with an `oracle` is one machine. Its requests are answered first, all of
// them, by code that does not read the kernel's answers, and written to ANSWERS/NAME.tsv: the
// request's number, then node and zone, or `-` for a refusal. Then they are graded.

import ArgumentParser
import MachineImport
import PageAllocator

struct Conformance: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare placements with those of running kernels.",
        discussion: "Exit status 0 says that all was answered and graded, not how well.")

    @Option(help: "Folder with one folder for each machine.")
    var dir: String

    @Option(help: "Folder for the answers, NAME.tsv for each machine.")
    var answers: String

    func run() throws {
        let folders = ConformanceFolder.all(in: dir)
        guard !folders.isEmpty else { throw Failure("no */oracle/log.gz in \(dir)") }
        var table = [Self.heading, "|---|---|---|---|---|---|---|---|---|"]
        var phases: [String] = []
        var failures: [String] = []
        for folder in folders {
            do throws(Failure) {
                let grades = try grade(folder)
                table.append(Self.row(folder.name, grades))
                phases += grades.phases.map { phase in
                    "\(folder.name)\t\(phase.name)\t\(Self.percent(phase.share))"
                }
            } catch {
                failures.append(error.description)
            }
        }
        print((table + [""] + phases).joined(separator: "\n"))
        guard failures.isEmpty else { throw Failure(failures.joined(separator: "; ")) }
    }

    private func grade(_ folder: ConformanceFolder) throws(Failure) -> OracleGrades {
        let texts = try folder.texts()
        let log = try folder.log()
        let set: OracleSet
        do throws(ImportFailure) {
            set = try OracleSet(texts)
        } catch {
            throw Failure("\(folder.name) describes no machine: \(error)")
        }
        let lines = set.lines(of: log)
        let ours = set.answers(to: lines)
        try ConformanceFolder.write(Self.text(of: ours), to: "\(folder.name).tsv", in: answers)
        return OracleGrades(ours, to: lines, log: log, of: set, texts: texts)
    }

    private static func text(of answers: [Int: OracleZone.Name?]) -> String {
        answers.sorted { $0.key < $1.key }.map { sequence, zone in
            zone.map { "\(sequence)\t\($0.node.rawValue)\t\($0.type.name)\n" }
                ?? "\(sequence)\t-\n"
        }.joined()
    }

    // MARK: Table

    private static let heading =
        "| machine | F1 placement, mean of phases | F1, all | F3 refusals | F4 node order"
        + " | F5 constants | F9 contiguous | F10 frees | F10, one outcome |"

    private static func row(_ name: String, _ grades: OracleGrades) -> String {
        let shares = [
            grades.placement, grades.refusals, grades.nodeOrder, grades.constants,
            grades.contiguous, grades.frees, grades.decidedFrees,
        ]
        return "| \(name) | \(percent(grades.macro)) % | "
            + shares.map { "\(percent($0))" }.joined(separator: " | ") + " |"
    }

    private static func percent(_ share: OracleShare) -> String {
        "\(percent(share.value)) % (\(share.right)/\(share.total))"
    }

    /// Two decimals, rounded down: what is not all is not 100.
    private static func percent(_ value: Double) -> String {
        // The sum of binary fractions may fall short of the hundredth that it stands for.
        let hundredths = Int(value * 10_000 + 1e-6)
        let decimals = hundredths % 100
        return "\(hundredths / 100).\(decimals < 10 ? "0" : "")\(decimals)"
    }
}
