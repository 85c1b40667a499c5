// What the process says of itself while it runs: one line an event, on standard error, either for
// people (`time level event name=value …`, as logfmt has it) or for machines (a JSON object).
//
// Nobody is kept waiting for a log. Lines are gathered, those of a turn together, and written once
// the turn's answers are sent; where whoever reads standard error does not keep up, lines are
// dropped, counted, and the count is said when there is room again.

import Glibc
public import Ledger
import Synchronization

public final class EventLog: Sendable {
    public enum Format: String, CaseIterable, Sendable {
        case text
        case json
        case off
    }

    /// Which requests leave a line.
    public enum Access: String, CaseIterable, Sendable {
        case off

        /// Those that the server could not serve: status 500 and above.
        case errors
        case all
    }

    public enum Level: String, Sendable {
        case info
        case warning
        case error
    }

    public enum Value: Sendable {
        case text(String)
        case number(UInt64)
    }

    /// Lines that wait to be written.
    private struct State {
        var lines: [[UInt8]] = []
        var droppedCount: UInt64 = 0

        /// Those of them that no line has told of.
        var unsaidDrops: UInt64 = 0

        mutating func drop(_ count: Int) {
            droppedCount += UInt64(count)
            unsaidDrops += UInt64(count)
        }
    }

    public let access: Access

    private let format: Format
    private let descriptor: Int32
    private let clock: @Sendable () -> Timestamp
    private let state = Mutex(State())

    /// Lines that wait at the most; a turn has at most 1,024 requests.
    private static let maximumWaiting = 4096

    /// Bytes that a pipe takes at once without making the writer wait, where poll(2) says that it
    /// is ready for any (pipe(7), `PIPE_BUF`).
    private static let bytesPerWrite = 4096

    /// - Parameters:
    ///   - descriptor: where the lines go: a file, a pipe, a terminal; nil: standard error.
    ///   - clock: the time now, for each line.
    public init(
        _ format: Format, access: Access = .errors, descriptor: Int32? = nil,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.format = format
        self.access = format == .off ? .off : access
        self.descriptor = descriptor ?? STDERR_FILENO
        self.clock = clock
    }

    /// One that says nothing.
    public static var silent: EventLog {
        EventLog(.off) { Timestamp(microseconds: 0) }
    }

    /// Lines that were dropped since the start.
    public var droppedLines: UInt64 { state.withLock { $0.droppedCount } }

    /// Says that something happened, at once.
    ///
    /// - Parameter event: one word, by which it can be found: `recovered`, `stopping`.
    public func note(
        _ level: Level, _ event: StaticString, _ fields: [(name: String, value: Value)] = []
    ) {
        add(level, event, fields)
        write()
    }

    /// Adds a line that the next `write` takes along.
    func add(
        _ level: Level, _ event: StaticString, _ fields: [(name: String, value: Value)]
    ) {
        guard format != .off else { return }
        let line = line(level, event, fields)
        state.withLock { state in
            if state.lines.count < Self.maximumWaiting {
                state.lines.append(line)
            } else {
                state.drop(1)
            }
        }
    }

    /// Writes what waits, as far as it is taken without waiting.
    func write() {
        guard format != .off else { return }
        state.withLock { state in
            guard !state.lines.isEmpty else { return }
            if state.unsaidDrops > 0 {
                let drops = [(name: "lines", value: Value.number(state.unsaidDrops))]
                if write(line(.warning, "log_lines_dropped", drops)) { state.unsaidDrops = 0 }
            }
            var rest = state.lines[...]
            while !rest.isEmpty {
                let (portion, count) = Self.takePortion(of: &rest)
                if !write(portion) { state.drop(count) }
            }
            state.lines.removeAll(keepingCapacity: true)
        }
    }

    /// As many lines as are written at once, and how many they are.
    private static func takePortion(of lines: inout ArraySlice<[UInt8]>) -> ([UInt8], Int) {
        var portion = lines.removeFirst()
        var count = 1
        while let next = lines.first, portion.count + next.count <= bytesPerWrite {
            portion += next
            lines.removeFirst()
            count += 1
        }
        return (portion, count)
    }

    private func line(
        _ level: Level, _ event: StaticString, _ fields: [(name: String, value: Value)]
    ) -> [UInt8] {
        let time = clock().text
        return format == .json
            ? Self.json(time, level, event, fields) : Self.text(time, level, event, fields)
    }

    /// - Returns: false where it would have had to wait, or nobody is there to read.
    private func write(_ bytes: [UInt8]) -> Bool {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&ready, 1, 0) == 1, ready.revents & Int16(POLLOUT) != 0 else {
            return false
        }
        return unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }
}
