// What the loop and the thread hand each other about streams.

import HTTPServer
import Ledger
import Synchronization

extension HistoryThread {
    /// What has come for the streams since the thread last looked.
    struct StreamNews {
        var opened: [(ExchangeID, StreamRequest)] = []

        /// The last entry that is durable.
        var committed = Sequence.zero

        /// Of all machines that any entry up to `committed` is about.
        var names: [MachineName] = []
    }

    /// What is on its way to a reader.
    struct StreamWindow {
        var bytesUnderWay = 0

        /// Whether the thread waits for the reader to take it.
        var isAwaited = false
    }

    var hasRoomForStream: Bool {
        mailbox.contents.withLock { $0.windows.count < StreamLimits.maximumStreams }
    }

    /// Opens a stream, whose answer has been begun.
    ///
    /// - Parameters:
    ///   - committed: the last entry that is durable.
    ///   - names: of all machines so far.
    func open(
        _ request: StreamRequest, for exchange: ExchangeID, committed: Sequence,
        names: [MachineName]
    ) {
        mailbox.change { contents in
            contents.windows[exchange] = StreamWindow()
            contents.streamNews.opened.append((exchange, request))
            contents.streamNews.committed = committed
            contents.streamNews.names = names
            return true
        }
    }

    /// The reader of a stream has taken all that was on its way.
    func noteDrained(_ exchange: ExchangeID) {
        mailbox.change { contents in
            guard let window = contents.windows[exchange] else { return false }
            contents.windows[exchange] = StreamWindow()
            return window.isAwaited
        }
    }
}

// On the thread.
extension HistoryThread.Mailbox {
    enum Room {
        case free, full

        /// The reader has gone.
        case gone
    }

    func room(for exchange: ExchangeID) -> Room {
        contents.withLock { contents in
            guard let window = contents.windows[exchange] else { return .gone }
            guard window.bytesUnderWay >= StreamLimits.bytesUnderWay else { return .free }
            contents.windows[exchange]?.isAwaited = true
            return .full
        }
    }

    func note(_ bytes: Int, for exchange: ExchangeID) {
        contents.withLock { $0.windows[exchange]?.bytesUnderWay += bytes }
    }

    func close(_ exchange: ExchangeID) {
        contents.withLock { contents in contents.windows[exchange] = nil }
    }
}
