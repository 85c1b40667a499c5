// The events of a stream, as they are sent (WHATWG HTML, section 9.2, "Server-sent events").

import JSON
import Ledger

enum ServerSentEvent {
    /// An entry. Its `id` is what a client sends as `Last-Event-ID` to go on after it.
    static func entry(_ entry: LedgerEntry, machine: String) -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.value(entry, machine: machine)
        return event("entry", id: entry.sequence, writer.take())
    }

    /// How far the ledger was looked through.
    static func bookmark(_ sequence: Sequence) -> [UInt8] {
        var writer = JSONWriter(reserving: 64)
        writer.beginObject()
        writer.member("sequence", sequence.rawValue)
        writer.endObject()
        return event("bookmark", id: sequence, writer.take())
    }

    /// Why the stream ends.
    static func problem(_ problem: Problem, requestID: String) -> [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.value(problem, instance: nil, requestID: requestID)
        return event("problem", id: nil, writer.take())
    }

    /// A line that readers skip.
    static let comment = Array(": keep-alive\n\n".utf8)

    /// - Parameter json: without a line end.
    private static func event(_ name: String, id: Sequence?, _ json: [UInt8]) -> [UInt8] {
        let head = (id.map { "id: \($0.rawValue)\n" } ?? "") + "event: \(name)\ndata: "
        return Array(head.utf8) + json + Array("\n\n".utf8)
    }
}
