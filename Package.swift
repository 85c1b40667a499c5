// swift-tools-version: 6.3
// The module graph. Arrows run one way: Serve -> Remember -> Decide; Tests/TidyTests holds them.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
]

let package = Package(
    name: "gfpd",
    products: [.executable(name: "gfpd", targets: ["gfpd"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // MARK: Decide
        .target(name: "PageAllocator", swiftSettings: settings),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .target(name: "XML", dependencies: ["CExpat"], swiftSettings: settings),
        .target(
            name: "MachineImport", dependencies: ["PageAllocator", "XML"], swiftSettings: settings),

        // MARK: Tell
        .target(name: "Telemetry", swiftSettings: settings),

        // MARK: Remember
        .target(name: "Ledger", dependencies: ["PageAllocator"], swiftSettings: settings),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "SQLite", dependencies: ["CSQLite"], swiftSettings: settings),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "Digest", dependencies: ["CCrypto"], swiftSettings: settings),
        .target(
            name: "SQLiteLedger",
            dependencies: ["Digest", "Ledger", "PageAllocator", "SQLite", "Telemetry"],
            resources: [
                .embedInCode("migrations/0001_ledger.sql"),
                .embedInCode("migrations/0002_policies_and_runs.sql"),
                .embedInCode("migrations/0003_chain_leases_keys.sql"),
                .embedInCode("migrations/0004_traceparent.sql"),
            ], swiftSettings: settings),

        // MARK: Serve
        .target(
            name: "AllocationService", dependencies: ["Ledger", "PageAllocator"],
            swiftSettings: settings),
        .target(name: "JSON", swiftSettings: settings),
        .systemLibrary(name: "CTLS", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "TLS", dependencies: ["CTLS"], swiftSettings: settings),
        .target(name: "CEpoll"),
        .target(name: "HTTPServer", dependencies: ["CEpoll", "TLS"], swiftSettings: settings),
        .target(name: "CContract", exclude: ["openapi.json", "openapi.yaml"]),
        .target(
            name: "API",
            dependencies: [
                "AllocationService", "CContract", "Digest", "HTTPServer", "JSON", "Ledger",
                "MachineImport", "PageAllocator", "Telemetry",
            ], swiftSettings: settings),
        .executableTarget(
            name: "gfpd",
            dependencies: [
                "API", "AllocationService", "HTTPServer", "Ledger", "MachineImport",
                "PageAllocator", "SQLiteLedger", "TLS",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            resources: [
                .embedInCode("shipped/iomem.txt"), .embedInCode("shipped/nodes.txt"),
                .embedInCode("shipped/zoneinfo.txt"),
            ], swiftSettings: settings),

        // MARK: Measure
        .target(name: "CListBuddy"),
        .executableTarget(
            name: "AllocatorBench", dependencies: ["CListBuddy", "PageAllocator"],
            swiftSettings: settings),

        // MARK: Check
        .target(
            name: "TestSupport", dependencies: ["Digest", "Ledger", "PageAllocator"],
            path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(
            name: "PageAllocatorTests", dependencies: ["PageAllocator", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "MachineImportTests",
            dependencies: ["MachineImport", "PageAllocator", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "LedgerTests", dependencies: ["Ledger", "PageAllocator", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "SQLiteTests", dependencies: ["SQLite", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "SQLiteLedgerTests",
            dependencies: [
                "Ledger", "PageAllocator", "SQLite", "SQLiteLedger", "Telemetry", "TestSupport",
            ],
            swiftSettings: settings),
        .target(name: "CFaultyVFS", dependencies: ["CSQLite"], path: "Tests/CFaultyVFS"),
        .testTarget(
            name: "LedgerFaultTests",
            dependencies: [
                "CFaultyVFS", "Ledger", "PageAllocator", "SQLite", "SQLiteLedger", "TestSupport",
            ], swiftSettings: settings),
        .testTarget(
            name: "AllocationServiceTests",
            dependencies: ["AllocationService", "Ledger", "PageAllocator", "TestSupport"],
            swiftSettings: settings),
        .testTarget(name: "DigestTests", dependencies: ["Digest"], swiftSettings: settings),
        .testTarget(
            name: "TelemetryTests", dependencies: ["Telemetry"], swiftSettings: settings),
        .testTarget(name: "XMLTests", dependencies: ["XML"], swiftSettings: settings),
        .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: settings),
        .testTarget(name: "TLSTests", dependencies: ["TLS"], swiftSettings: settings),
        .testTarget(
            name: "HTTPServerTests", dependencies: ["HTTPServer", "TLS"], swiftSettings: settings),
        .testTarget(
            name: "APITests",
            dependencies: [
                "API", "AllocationService", "HTTPServer", "JSON", "Ledger", "PageAllocator",
                "TestSupport",
            ], swiftSettings: settings),
        .testTarget(name: "TidyTests", swiftSettings: settings),
        .testTarget(name: "EndToEndTests", swiftSettings: settings),
    ]
)

// What `make fuzz` runs: it is built with `--sanitize fuzzer` alone, and nobody else waits for it.
if Context.environment["GFPD_FUZZ"] != nil {
    package.targets += [
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "API", "AllocationService", "HTTPServer", "JSON", "Ledger", "PageAllocator",
                "TestSupport",
            ], path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: settings)
    ]
}
