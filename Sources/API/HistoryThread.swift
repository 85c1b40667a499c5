// The second thread: history and long reads, on a read-only connection of its own, so that no read
// ever stands between a request and its commit. Large bodies are read there too.
//
// The loop asks; the thread answers in order; the loop takes the answers at the beginning of its
// next turn and renders them there, where it can look at the state of the allocator too. At most a
// named number of questions wait.
//
// While nobody asks, the thread keeps what makes answers fast up with the ledger, in steps of a few
// milliseconds, so that no question waits long for one. It yields to the loop where the processor
// is short.

import Dispatch
import HTTPServer
import JSON
import Ledger
import Synchronization

/// What is asked of the past.
enum HistoryQuestion: Sendable {
    case entry(Sequence)
    case page(HistoryQuery)

    /// Those of the entries at these sequences, ascending, that the query matches: at most its page
    /// size.
    case matching([Sequence], HistoryQuery)

    /// The entry of the grant that holds a page, where one does, and a page of history.
    case pageHistory(holder: Sequence?, HistoryQuery)

    /// What a read says of the state of a moment, which is brought back for it.
    case state(Moment, StateRead)

    /// Whether the chain holds.
    case verification(Verification)

    /// What a large batch asks for: nothing of the past, but work that takes as long.
    case batch(BatchReading)

    /// How far a verification is.
    enum Verification: Sendable {
        /// Not begun; nil: from the first entry, to the last.
        case asked(from: Sequence?, to: Sequence?)
        case begun(ChainVerification)
    }

    fileprivate var isVerification: Bool {
        if case .verification = self { true } else { false }
    }
}

/// What the ledger says.
enum HistoryAnswer: Sendable {
    case entry(LedgerEntry?)
    case page(HistoryPage)
    case pageHistory(holder: LedgerEntry?, HistoryPage)
    case past(PastAnswer)
    case verification(ChainVerification)
    case batch(Result<BatchBody, JSONError>)
    case failed(LedgerFailure)
}

final class HistoryThread: Sendable {
    /// Questions that may wait; further ones are refused (503).
    static let maximumWaiting = 1024

    /// Verifications that may be under way; further ones are refused (503).
    static let maximumVerifications = 4

    /// Entries after which the thread is woken to follow the ledger. Fewer wait for the next
    /// question.
    static let entriesPerWaking: UInt64 = 1024

    /// What the two threads hand each other.
    final class Mailbox: Sendable {
        struct Contents {
            /// In the order asked.
            var questions: [(ExchangeID, HistoryQuestion)] = []

            /// Questions not yet answered, those among them that the thread has taken included.
            var waiting = 0

            /// Verifications under way for peers that still wait.
            var verifications: Set<ExchangeID> = []
            var answers: [(ExchangeID, HistoryAnswer)] = []

            /// The last entry that the thread was woken to follow.
            var lastCommitted: UInt64 = 0
            var isToFollow = false

            /// What is on its way to the reader of each stream.
            var windows: [ExchangeID: StreamWindow] = [:]
            var streamNews = StreamNews()

            /// Whether the thread has something to do, or is looking whether it has.
            var isAwake = true
            var isStopped = false

            mutating func finish(_ exchange: ExchangeID, _ answer: HistoryAnswer) {
                waiting -= 1
                verifications.remove(exchange)
                answers.append((exchange, answer))
            }

            /// Puts what is left of a verification behind the questions that came meanwhile; where
            /// its peer has gone, nobody waits any more.
            mutating func goOn(_ exchange: ExchangeID, _ rest: HistoryQuestion) {
                if verifications.contains(exchange) {
                    questions.append((exchange, rest))
                } else {
                    waiting -= 1
                }
            }
        }

        let contents = Mutex(Contents())

        /// Signalled when the thread is to wake up.
        let waking = DispatchSemaphore(value: 0)

        /// Changes the contents, and wakes the thread where the change says so.
        func change(_ body: (inout Contents) -> Bool) {
            let isToWake = contents.withLock { contents in
                let hasWork = body(&contents)
                defer { contents.isAwake = contents.isAwake || hasWork }
                return hasWork && !contents.isAwake
            }
            if isToWake { waking.signal() }
        }
    }

    let mailbox = Mailbox()
    private let thread: BackgroundThread

    /// Starts the thread, which opens the reading end and begins to make its index.
    ///
    /// - Parameters:
    ///   - open: opens the reading end; called on the thread, again with each question while it
    ///     fails.
    ///   - completions: takes the streams, and is asked for a turn when an answer is there.
    init(
        open: @escaping @Sendable () throws(LedgerFailure) -> any LedgerHistory,
        completions: HTTPCompletions, streams limits: StreamLimits
    ) {
        let mailbox = mailbox
        thread = BackgroundThread {
            let streams = LedgerStreams(mailbox, completions, limits)
            Self.serve(mailbox, HistoryReader(open: open), streams, completions.requestTurn)
        }
    }

    /// Waits for the step that the thread is in.
    deinit {
        mailbox.change { contents in
            contents.isStopped = true
            return true
        }
        thread.join()
    }

    /// Asks; false where too many questions wait.
    func ask(_ question: HistoryQuestion, for exchange: ExchangeID) -> Bool {
        var isTaken = false
        mailbox.change { contents in
            guard contents.waiting < Self.maximumWaiting else { return false }
            if question.isVerification {
                guard contents.verifications.count < Self.maximumVerifications else {
                    return false
                }
                contents.verifications.insert(exchange)
            }
            contents.waiting += 1
            contents.questions.append((exchange, question))
            isTaken = true
            return true
        }
        return isTaken
    }

    /// The peer has gone: a verification for it ends with the stretch that is being looked at, and
    /// a stream likewise.
    func abandon(_ exchange: ExchangeID) {
        mailbox.contents.withLock { contents in
            contents.verifications.remove(exchange)
            contents.windows[exchange] = nil
        }
    }

    func takeAnswers() -> [(ExchangeID, HistoryAnswer)] {
        mailbox.contents.withLock { contents in
            guard !contents.answers.isEmpty else { return [] }
            defer { contents.answers = [] }
            return contents.answers
        }
    }

    /// Says up to where the ledger is durable.
    ///
    /// - Parameter names: of all machines so far; looked at where there are streams.
    func note(committed sequence: Sequence, names: @autoclosure () -> [MachineName]) {
        mailbox.change { contents in
            let isFar = sequence.rawValue >= contents.lastCommitted + Self.entriesPerWaking
            if isFar {
                contents.lastCommitted = sequence.rawValue
                contents.isToFollow = true
            }
            guard !contents.windows.isEmpty, sequence > contents.streamNews.committed else {
                return isFar
            }
            contents.streamNews.committed = sequence
            contents.streamNews.names = names()
            return true
        }
    }

    // MARK: On the thread

    /// Answers what is asked, and takes the streams on; while nothing is asked, does background
    /// work step by step; while there is none, sleeps.
    private static func serve(
        _ mailbox: Mailbox, _ reader: HistoryReader, _ streams: LedgerStreams,
        _ answered: () -> Void
    ) {
        var hasWork = true
        while true {
            let isBusy = hasWork || streams.haveWork
            let orders = mailbox.takeOrders(isBusy: isBusy)
            if orders.isStopped { return reader.close() }
            streams.take(orders.streamNews)
            streams.step(in: reader)
            for (exchange, question) in orders.questions {
                switch reader.step(question) {
                case .answered(let answer):
                    mailbox.contents.withLock { $0.finish(exchange, answer) }
                    answered()
                case .unfinished(let rest):
                    mailbox.contents.withLock { $0.goOn(exchange, rest) }
                }
            }
            guard orders.questions.isEmpty else {
                hasWork = true
                continue
            }
            if hasWork || orders.isToFollow {
                hasWork = reader.housekeep()
            } else if !isBusy, !streams.haveWork {
                // Who was busy is not woken, and takes its orders once more before it sleeps.
                mailbox.sleep(atMost: streams.timeToNextBeat)
            }
        }
    }
}

// On the thread.
extension HistoryThread.Mailbox {
    /// What there is to do.
    struct Orders {
        let questions: [(ExchangeID, HistoryQuestion)]
        let streamNews: HistoryThread.StreamNews

        /// Whether the ledger has grown enough to be followed.
        let isToFollow: Bool
        let isStopped: Bool
    }

    /// - Parameter isBusy: whether the thread has something to do in any case.
    fileprivate func takeOrders(isBusy: Bool) -> Orders {
        contents.withLock { contents in
            let orders = Orders(
                questions: contents.questions, streamNews: contents.streamNews,
                isToFollow: contents.isToFollow, isStopped: contents.isStopped)
            contents.isAwake =
                isBusy || !orders.questions.isEmpty || orders.isToFollow || orders.isStopped
            contents.questions = []
            contents.streamNews.opened = []
            contents.isToFollow = false
            return orders
        }
    }

    /// Returns when there is something to do, or when so much time has passed.
    fileprivate func sleep(atMost time: Duration?) {
        guard let time else {
            waking.wait()
            return
        }
        _ = waking.wait(timeout: .now() + time / .seconds(1))
    }
}

/// The reading end, made and used on the thread alone.
final class HistoryReader {
    private let open: @Sendable () throws(LedgerFailure) -> any LedgerHistory
    private var opened: (any LedgerHistory)?

    init(open: @escaping @Sendable () throws(LedgerFailure) -> any LedgerHistory) {
        self.open = open
    }

    /// What a question led to within one stretch of work.
    enum Step {
        case answered(HistoryAnswer)

        /// What is still to be asked.
        case unfinished(HistoryQuestion)
    }

    /// Entries that a verification looks at before other questions have their turn: a few
    /// milliseconds.
    private static let entriesPerStretch = 2000

    func step(_ question: HistoryQuestion) -> Step {
        if case .batch(let reading) = question {
            return .answered(.batch(reading.read(KnownControls())))
        }
        guard case .verification(let verification) = question else {
            return .answered(answer(question))
        }
        do throws(LedgerFailure) {
            let verification = try goOn(verification, in: try openedHistory())
            return verification.isDone
                ? .answered(.verification(verification))
                : .unfinished(.verification(.begun(verification)))
        } catch {
            return .answered(.failed(error))
        }
    }

    private func goOn(
        _ verification: HistoryQuestion.Verification, in history: any LedgerHistory
    ) throws(LedgerFailure) -> ChainVerification {
        switch verification {
        case .asked(let from, let to):
            return try history.chainVerification(from: from, to: to)
        case .begun(var verification):
            try history.advance(&verification, limit: Self.entriesPerStretch)
            return verification
        }
    }

    private func answer(_ question: HistoryQuestion) -> HistoryAnswer {
        do throws(LedgerFailure) {
            let history = try openedHistory()
            switch question {
            case .entry(let sequence):
                return .entry(try history.entry(at: sequence))
            case .page(let query):
                return .page(try history.page(query))
            case .matching(let sequences, let query):
                return .page(try Self.matching(sequences, query, in: history))
            case .pageHistory(let holder, let query):
                let entry = try holder.flatMap { (holder) throws(LedgerFailure) in
                    try history.entry(at: holder)
                }
                return .pageHistory(holder: entry, try history.page(query))
            case .state(let moment, let read):
                return .past(try past(moment, read, in: history))
            case .verification, .batch:
                preconditionFailure("a verification goes by stretches, a batch asks no ledger")
            }
        } catch {
            return .failed(error)
        }
    }

    /// One step of background work.
    ///
    /// - Returns: whether there is more of it. A ledger that cannot be read has none: the next
    ///   question says why.
    func housekeep() -> Bool {
        do throws(LedgerFailure) { return try openedHistory().housekeep() } catch { return false }
    }

    func close() {
        opened?.close()
    }

    func openedHistory() throws(LedgerFailure) -> any LedgerHistory {
        if let opened { return opened }
        let history = try open()
        opened = history
        return history
    }

    private func past(
        _ moment: Moment, _ read: StateRead, in history: any LedgerHistory
    ) throws(LedgerFailure) -> PastAnswer {
        let sequence =
            switch moment {
            case .sequence(let sequence): sequence
            case .time(let time): try history.sequence(atOrBefore: time)
            }
        let state = try LedgerFailure.converting { () throws(RecoveryFailure) in
            try history.state(at: sequence)
        }
        do throws(Problem) {
            switch try read(state) {
            case .response(let response):
                return PastAnswer(sequence: sequence, response: .success(response))
            case .asking(let question, let render):
                let response = try render(answer(question), state)
                return PastAnswer(sequence: sequence, response: .success(response))
            }
        } catch {
            return PastAnswer(sequence: sequence, response: .failure(error))
        }
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

extension LedgerFailure {
    /// A state that cannot be brought back is one that cannot be read.
    fileprivate static func converting<Result>(
        _ body: () throws(RecoveryFailure) -> Result
    ) throws(LedgerFailure) -> Result {
        do {
            return try body()
        } catch {
            switch error {
            case .unreadable(let failure): throw failure
            case .contradiction(let sequence, let reason):
                throw LedgerFailure(.corrupt, "entry \(sequence.rawValue) does not fit: \(reason)")
            }
        }
    }
}
