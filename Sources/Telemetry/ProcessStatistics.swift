// What the kernel says of this process: proc_pid_stat(5), proc_pid_fd(5), getrusage(2).

import Glibc

/// This process as it is now. What cannot be read is nil.
public struct ProcessStatistics: Sendable {
    /// Processor time of all threads, in user and in kernel mode.
    public let processorNanoseconds: UInt64

    /// When the process began, since 1970.
    public let startNanoseconds: UInt64?
    public let virtualBytes: UInt64?
    public let residentBytes: UInt64?
    public let threads: UInt64?
    public let openDescriptors: UInt64?

    /// The soft limit of open descriptors.
    public let maximumDescriptors: UInt64?

    public init() {
        processorNanoseconds = Self.processorTime()
        let fields = Self.statFields()
        virtualBytes = Self.field(23, fields)
        residentBytes = Self.field(24, fields).map { $0 * UInt64(sysconf(Int32(_SC_PAGESIZE))) }
        threads = Self.field(20, fields)
        startNanoseconds = Self.field(22, fields).flatMap(Self.startTime)
        openDescriptors = Self.countDescriptors()
        maximumDescriptors = Self.descriptorLimit()
    }

    private static func processorTime() -> UInt64 {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
    }

    private static func nanoseconds(_ time: timeval) -> UInt64 {
        UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
    }

    /// The fields of /proc/self/stat from the third on. The second, the name in parentheses, may
    /// hold anything.
    private static func statFields() -> [Substring] {
        guard let text = text("/proc/self/stat"), let end = text.lastIndex(of: ")") else {
            return []
        }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }

    /// - Parameter number: as proc_pid_stat(5) counts them, from 1.
    private static func field(_ number: Int, _ fields: [Substring]) -> UInt64? {
        number - 3 < fields.count ? UInt64(fields[number - 3]) : nil
    }

    /// - Parameter ticks: from the system's start to the process's.
    private static func startTime(ticks: UInt64) -> UInt64? {
        let line = text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard let seconds = line.flatMap({ UInt64($0.dropFirst("btime ".count)) }) else {
            return nil
        }
        let ticksPerSecond = UInt64(sysconf(Int32(_SC_CLK_TCK)))
        return seconds * 1_000_000_000 + ticks * (1_000_000_000 / ticksPerSecond)
    }

    private static func countDescriptors() -> UInt64? {
        guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe closedir(folder) }
        var count: UInt64 = 0
        while unsafe readdir(folder) != nil { count += 1 }
        // ".", "..", and the folder's own.
        return count - 3
    }

    private static func descriptorLimit() -> UInt64? {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return nil
        }
        return UInt64(limit.rlim_cur)
    }

    /// Bytes of a file of /proc that are read.
    private static let maximumFileBytes = 64 << 10

    private static func text(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumFileBytes)
        var count = 0
        while count < bytes.count {
            let read = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
            }
            guard read > 0 else { break }
            count += read
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
