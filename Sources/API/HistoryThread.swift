// The second thread: history and long reads, on a read-only connection of its own, so that no read
// ever stands between a request and its commit.
//
// The loop asks; the thread answers in order; the loop takes the answers at the beginning of its
// next turn and renders them there, where it can look at the state of the allocator too. At most a
// named number of questions wait.

import Dispatch
import HTTPServer
import Ledger
import Synchronization

/// What is asked of the past.
enum HistoryQuestion: Sendable {
    case entry(Sequence)
    case page(HistoryQuery)

    /// Those of the entries at these sequences, ascending, that the query matches: at most its page
    /// size.
    case matching([Sequence], HistoryQuery)
}

/// What the ledger says.
enum HistoryAnswer: Sendable {
    case entry(LedgerEntry?)
    case page(HistoryPage)
    case failed(LedgerFailure)
}

final class HistoryThread: Sendable {
    /// Questions that may wait; further ones are refused (503).
    static let maximumWaiting = 1024

    private struct Mailbox {
        var waiting = 0
        var answers: [(ExchangeID, HistoryAnswer)] = []
    }

    private let mailbox = Mutex(Mailbox())

    /// Serial: one question at a time, in the order asked.
    private let queue = DispatchQueue(label: "gfpd.history")
    private let reader: Reader

    /// Called on the thread when an answer is there.
    private let answered: @Sendable () -> Void

    /// - Parameter open: opens the reading end when the first question comes.
    init(
        open: @escaping @Sendable () throws(LedgerFailure) -> any LedgerHistory,
        answered: @escaping @Sendable () -> Void
    ) {
        reader = Reader(open: open)
        self.answered = answered
    }

    /// Asks; false where too many questions wait.
    func ask(_ question: HistoryQuestion, for exchange: ExchangeID) -> Bool {
        let isTaken = mailbox.withLock { mailbox in
            guard mailbox.waiting < Self.maximumWaiting else { return false }
            mailbox.waiting += 1
            return true
        }
        guard isTaken else { return false }
        queue.async { [self] in
            let answer = reader.answer(question)
            mailbox.withLock { mailbox in
                mailbox.waiting -= 1
                mailbox.answers.append((exchange, answer))
            }
            answered()
        }
        return true
    }

    func takeAnswers() -> [(ExchangeID, HistoryAnswer)] {
        mailbox.withLock { mailbox in
            guard !mailbox.answers.isEmpty else { return [] }
            defer { mailbox.answers = [] }
            return mailbox.answers
        }
    }
}

/// The reading end, used on the queue alone: that is what makes it safe to send.
private final class Reader: @unchecked Sendable {
    private let open: @Sendable () throws(LedgerFailure) -> any LedgerHistory
    private var opened: (any LedgerHistory)?

    init(open: @escaping @Sendable () throws(LedgerFailure) -> any LedgerHistory) {
        self.open = open
    }

    func answer(_ question: HistoryQuestion) -> HistoryAnswer {
        do throws(LedgerFailure) {
            let history = try openedHistory()
            switch question {
            case .entry(let sequence):
                return .entry(try history.entry(at: sequence))
            case .page(let query):
                return .page(try history.page(query))
            case .matching(let sequences, let query):
                return .page(try Self.matching(sequences, query, in: history))
            }
        } catch {
            return .failed(error)
        }
    }

    private func openedHistory() throws(LedgerFailure) -> any LedgerHistory {
        if let opened { return opened }
        let history = try open()
        opened = history
        return history
    }

    private static func matching(
        _ sequences: [Sequence], _ query: HistoryQuery, in history: any LedgerHistory
    ) throws(LedgerFailure) -> HistoryPage {
        var page = HistoryPage(entries: [], resume: nil)
        for sequence in sequences {
            guard page.entries.count < query.pageSize else {
                page.resume = page.entries.last?.sequence
                break
            }
            if let entry = try history.entry(at: sequence), query.matches(entry) {
                page.entries.append(entry)
            }
        }
        return page
    }
}
