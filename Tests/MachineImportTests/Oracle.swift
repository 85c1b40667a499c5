import Foundation
import PageAllocator
import Testing

@testable import MachineImport

/// One machine of the ground truth, read once.
struct Oracle {
    let texts: OracleTexts
    let answering: OracleSet
    let log: [UInt8]
    let lines: [OracleLine]

    /// Logs are large: each is read once for all tests.
    static func of(_ set: GroundTruth.KernelSet) throws -> Oracle {
        switch set {
        case .d1: try d1.get()
        case .d2: try d2.get()
        case .d3: try d3.get()
        case .d4: try d4.get()
        case .host: throw GroundTruth.Missing(path: "\(set.rawValue)/oracle")
        }
    }

    private static let d1 = Result { try Oracle(.d1) }
    private static let d2 = Result { try Oracle(.d2) }
    private static let d3 = Result { try Oracle(.d3) }
    private static let d4 = Result { try Oracle(.d4) }

    private init(_ set: GroundTruth.KernelSet) throws {
        texts = OracleTexts(
            zones: try set.text("oracle/zones"),
            recomputed: try set.text("oracle/zones-recomputed"),
            nodes: try set.text("oracle/before/nodes"), version: try set.text("machine/version"),
            sysctl: try set.text("oracle/vm-sysctl"),
            weights: set == .d4 ? try set.text("machine/weights") : "")
        answering = try OracleSet(texts)
        log = try Self.unpacked(
            GroundTruth.directory.appending(path: set.rawValue).appending(path: "oracle/log.gz"))
        lines = answering.lines(of: log)
    }

    var requests: [OracleRequest] {
        lines.compactMap { line in
            if case .request(let request) = line, request.call != .contiguous {
                request
            } else {
                nil
            }
        }
    }

    var frees: [OracleFree] {
        lines.compactMap { if case .free(let free) = $0 { free } else { nil } }
    }

    var answers: [Int: OracleZone.Name?] { answering.answers(to: lines) }

    func grades(_ answers: [Int: OracleZone.Name?]) -> OracleGrades {
        OracleGrades(answers, to: lines, log: log, of: answering, texts: texts)
    }

    var anyNode: NodeID { answering.machine.nodes[0].id }

    private static func unpacked(_ file: URL) throws -> [UInt8] {
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw GroundTruth.Missing(path: file.path)
        }
        let gzip = Process()
        let pipe = Pipe()
        gzip.executableURL = URL(filePath: "/bin/gzip")
        gzip.arguments = ["-dc", file.path]
        gzip.standardOutput = pipe
        try gzip.run()
        let content = try pipe.fileHandleForReading.readToEnd() ?? Data()
        gzip.waitUntilExit()
        try #require(gzip.terminationStatus == 0)
        return [UInt8](content)
    }
}
