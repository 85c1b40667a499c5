public import PageAllocator

/// What the kernel answered to one request: the part of an `A` line that only the grading reads.
public struct OracleAnswer: Hashable, Sendable {
    public struct Grant: Hashable, Sendable {
        public let pfn: PageFrameNumber
        public let zone: OracleZone.Name

        /// `NR_FREE_PAGES` of the zone right after.
        public let freePagesAfter: UInt64

        /// Pages that the CPU has on its lists for the zone right after.
        public let perCPUPagesAfter: UInt64
    }

    public let sequence: Int

    /// nil: refused.
    public let grant: Grant?

    /// The answers of a log, by sequence number.
    static func all(in log: [UInt8]) -> [Int: OracleAnswer] {
        let answers = OracleReader.lines(of: log).compactMap(\.answer)
        return Dictionary(answers.map { ($0.sequence, $0) }, uniquingKeysWith: { $1 })
    }
}
