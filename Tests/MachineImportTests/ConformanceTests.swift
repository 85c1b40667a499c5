import Foundation
import PageAllocator
import Testing

@testable import MachineImport

/// What running kernels answered, and what we answer to the same requests in the same states.
@Suite struct ConformanceTests {
    @Test("the answers are the kernels'", arguments: GroundTruth.KernelSet.guests)
    func grades(set: GroundTruth.KernelSet) throws {
        let oracle = try Oracle.of(set)
        let grades = oracle.grades(oracle.answers)
        #expect(grades.macro >= 0.999)
        #expect(grades.placement.value >= 0.999 && grades.placement.total > 4000)
        #expect(grades.phases.count == 18)
        #expect(grades.refusals.value == 1 && grades.refusals.total > 500)
        #expect(grades.nodeOrder.value == 1 && grades.nodeOrder.total > 0)
        #expect(grades.constants.value == 1 && grades.constants.total > 1)
        #expect(grades.contiguous.value == 1 && grades.contiguous.total >= 60)
        #expect(grades.frees.value >= 0.99 && grades.frees.total > 3000)
        #expect(grades.decidedFrees.value >= 0.99)
        #expect(Double(grades.decidedFrees.total) > 0.45 * Double(grades.frees.total))
    }

    @Test("answers that are not the kernel's are counted as wrong")
    func wrongAnswers() throws {
        let oracle = try Oracle.of(.d3)
        var answers = oracle.answers
        for sequence in answers.keys.sorted().prefix(100) {
            let elsewhere = OracleZone.Name(node: NodeID(7) ?? oracle.anyNode, type: .device)
            answers[sequence] = .some(elsewhere)
        }
        let grades = oracle.grades(answers)
        #expect(grades.placement.right == grades.placement.total - 100)
        #expect(grades.macro < 0.999)
        let none = oracle.grades([:])
        #expect(none.refusals.value == 1)
        #expect(none.placement.right == none.refusals.total)
    }

    @Test("the kernel's answers are not looked at: without them ours are the same")
    func answersUnseen() throws {
        let oracle = try Oracle.of(.d3)
        let text = String(decoding: oracle.log, as: UTF8.self)
        let blind = text.components(separatedBy: "\n").map { line in
            var fields = line.components(separatedBy: "\t")
            if fields[0] == "A" {
                fields.replaceSubrange(11...15, with: ["?", "?", "?", "?", "?"])
            }
            return fields.joined(separator: "\t")
        }.joined(separator: "\n")
        let lines = oracle.answering.lines(of: Array(blind.utf8))
        #expect(oracle.answering.answers(to: lines) == oracle.answers)
    }

    @Test("a state that the buddy rules do not leave is not passed as expected")
    func unexpectedFrees() throws {
        let oracle = try Oracle.of(.d3)
        for key in ["o", "f"] {
            let wrong = Self.log(oracle.log, raising: key)
            let grades = OracleGrades(
                [:], to: oracle.answering.lines(of: wrong), log: wrong, of: oracle.answering,
                texts: oracle.texts)
            #expect(grades.frees.total > 3000)
            #expect(grades.frees.value < 0.05)
        }
    }

    /// The same log with the counts of one key raised after each free.
    private static func log(_ log: [UInt8], raising key: String) -> [UInt8] {
        let lines = String(decoding: log, as: UTF8.self).components(separatedBy: "\n")
        return Array(
            lines.map { line in
                guard line.hasPrefix("F\t") else { return line }
                return line.replacingOccurrences(of: ":\(key)=", with: ":\(key)=1000")
            }.joined(separator: "\n").utf8)
    }

    @Test("no text of a log, a zone list or a node does worse than be passed over")
    func damagedTexts() throws {
        let oracle = try Oracle.of(.d3)
        var random = SeededNumbers(seed: 11)
        let lines = oracle.log.split(separator: UInt8(ascii: "\n"))
        for round in 0..<40 {
            var log = Array(lines[(round * 100)..<(round * 100 + 100)].joined(separator: [10]))
            for _ in 0..<200 {
                log[random.next(below: log.count)] = UInt8(random.next(below: 256))
            }
            var texts = oracle.texts
            var zones = Array(texts.zones.utf8)
            for _ in 0..<(round % 4) {
                zones[random.next(below: zones.count)] = UInt8(random.next(below: 128))
            }
            texts.zones = String(decoding: zones, as: UTF8.self)
            do throws(ImportFailure) {
                let set = try OracleSet(texts)
                let lines = set.lines(of: log)
                let grades = OracleGrades(
                    set.answers(to: lines), to: lines, log: log, of: set, texts: texts)
                #expect(grades.placement.total <= 110)
            } catch {
                #expect(round % 4 > 0, "a whole set of texts was refused: \(error)")
            }
        }
    }

    @Test("the kernel's version chooses the rules", arguments: GroundTruth.KernelSet.guests)
    func dialect(set: GroundTruth.KernelSet) throws {
        #expect(try Oracle.of(set).answering.machine.dialect == set.dialect)
    }
}

/// The same numbers in each run.
private struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next(below limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }
}
