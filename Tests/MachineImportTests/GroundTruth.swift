import Foundation
import PageAllocator

/// Texts that running kernels printed: `$GFPD_GROUNDTRUTH`, else `../shared/groundtruth` beside the
/// package. Where they are not, every test that needs them fails.
enum GroundTruth {
    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String {
            "no ground truth at \(path): set GFPD_GROUNDTRUTH to the directory that holds it"
        }
    }

    /// The kernels, and what each was seen with.
    enum KernelSet: String, CaseIterable, Sendable {
        case d1 = "d1-2n-6.1"
        case d2 = "d2-4n-cxl-6.1"
        case d3 = "d3-1n-256m-6.1"
        case d4 = "d4-3n-6.12"
        case host = "host-gcc-6.18"

        static let guests: [KernelSet] = [.d1, .d2, .d3, .d4]

        var dialect: KernelDialect {
            switch self {
            case .d1, .d2, .d3: .linux61
            case .d4, .host: .linux612
            }
        }

        /// The moments at which the state was written down.
        var snapshots: [String] {
            let workloads: [String] =
                switch self {
                case .d3: ["oom", "oracle", "pressure", "thrash"]
                case .d1, .d2, .d4: ["mixed", "oracle", "pagecache", "policy"]
                case .host: []
                }
            return self == .host
                ? ["before", "after"]
                : ["boot"] + workloads.flatMap { ["\($0)/before", "\($0)/after"] }
        }

        var iomemPath: String { self == .host ? "iomem" : "machine/iomem" }

        var zonesPath: String { self == .host ? "zones" : "oracle/zones" }

        func text(_ path: String) throws -> String {
            let file = GroundTruth.directory.appending(path: rawValue).appending(path: path)
            guard let contents = FileManager.default.contents(atPath: file.path) else {
                throw Missing(path: file.path)
            }
            return String(decoding: contents, as: UTF8.self)
        }
    }

    static var directory: URL {
        if let path = ProcessInfo.processInfo.environment["GFPD_GROUNDTRUTH"] {
            return URL(filePath: path)
        }
        let packageRoot = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return packageRoot.deletingLastPathComponent().appending(path: "shared/groundtruth")
    }

    /// How many files of that name there are in all sets.
    static func count(ofFilesNamed name: String) throws -> Int {
        guard FileManager.default.fileExists(atPath: directory.path),
            let paths = FileManager.default.enumerator(atPath: directory.path)
        else { throw Missing(path: directory.path) }
        return paths.count { ($0 as? String)?.hasSuffix("/\(name)") ?? false }
    }
}

/// A zone as a reader in a hurry takes it from /proc/zoneinfo: words after known words.
struct NaiveZone: Equatable {
    let node: Int
    let name: String
    var counts: [String: UInt64] = [:]
    var protection: [UInt64] = []

    static func zones(in text: String) -> [NaiveZone] {
        var zones: [NaiveZone] = []
        let known = ["min", "low", "high", "promo", "spanned", "present", "managed", "start_pfn:"]
        for line in text.components(separatedBy: "\n") {
            let words = line.components(separatedBy: " ").filter { !$0.isEmpty }
            if line.hasPrefix("Node ") {
                zones.append(NaiveZone(node: Int(words[1].dropLast()) ?? -1, name: words[3]))
            } else if words.count == 2, known.contains(words[0]) {
                zones[zones.count - 1].counts[words[0]] = UInt64(words[1])
            } else if words.first == "protection:" {
                zones[zones.count - 1].protection = words.dropFirst().compactMap {
                    UInt64($0.trimmingCharacters(in: CharacterSet(charactersIn: "(),")))
                }
            }
        }
        return zones
    }

    init(node: Int, name: String) {
        self.node = node
        self.name = name
    }

    /// The same from a machine.
    init(_ zone: Zone) {
        node = zone.node.rawValue
        name = zone.type.name
        counts = [
            "min": zone.watermarks.min, "low": zone.watermarks.low, "high": zone.watermarks.high,
            "spanned": zone.spannedPages, "present": zone.presentPages,
            "managed": zone.managedPages,
        ]
        counts["promo"] = zone.watermarks.promo
        if zone.presentPages > 0 { counts["start_pfn:"] = zone.startPFN.rawValue }
        protection = zone.lowmemReserve
    }
}

/// A line of `zones` in the ground truth: what a module read from the kernel's own structures.
struct RecordedZone {
    let node: Int
    let type: ZoneType
    let startPFN: UInt64
    let counts: [String: UInt64]
    let lowmemReserve: [UInt64]

    /// `zone  0  DMA  start_pfn=1 spanned=4095 … lowmem_reserve=0/1923/2899 …`
    static func zones(in text: String) -> [RecordedZone] {
        text.components(separatedBy: "\n").compactMap { line in
            let columns = line.components(separatedBy: "\t")
            guard columns.first == "zone", let node = Int(columns[1]),
                let type = ZoneType(name: columns[2])
            else { return nil }
            let pairs = columns[3].components(separatedBy: " ").map {
                $0.components(separatedBy: "=")
            }
            let values = Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], $0[1]) })
            return RecordedZone(
                node: node, type: type, startPFN: UInt64(values["start_pfn"] ?? "", radix: 16) ?? 0,
                counts: values.compactMapValues { UInt64($0) },
                lowmemReserve: (values["lowmem_reserve"] ?? "").components(separatedBy: "/")
                    .compactMap { UInt64($0) })
        }
    }
}
