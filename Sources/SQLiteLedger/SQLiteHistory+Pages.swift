// One page: a walk over the sequences that may be asked for, in the direction asked, run by run of
// the index, then its tail, then what it has not come to.

import Ledger

extension SQLiteHistory {
    enum WalkFailure: Error {
        case ledger(LedgerFailure)
        case index(IndexFailure)
    }

    /// A stretch of sequences, and how the entries asked for are found there.
    private enum Stretch {
        case run(IndexRun, ClosedRange<UInt64>)
        case tail(IndexTail, ClosedRange<UInt64>)

        /// By going through all of them.
        case entries(ClosedRange<UInt64>)
    }

    /// How far a page has come.
    private struct Walk {
        let query: HistoryQuery
        var entries: [LedgerEntry] = []

        /// The last sequence that was looked at.
        var looked: UInt64

        /// Whether the page ends here.
        var isOver = false
        var entriesLeft = HistoryQuery.maximumEntriesScanned
        var looksLeft = HistoryQuery.maximumIndexLooks

        /// Looks at an entry.
        mutating func take(_ entry: LedgerEntry) {
            looked = entry.sequence.rawValue
            entriesLeft -= 1
            if query.matches(entry) { entries.append(entry) }
            isOver = entriesLeft == 0 || entries.count == query.pageSize
        }
    }

    func page(
        _ query: HistoryQuery, _ conditions: [HistoryQuery.Condition],
        _ candidates: ClosedRange<UInt64>
    ) throws(WalkFailure) -> HistoryPage {
        let end = query.isDescending ? candidates.lowerBound : candidates.upperBound
        var walk = Walk(query: query, looked: end)
        // Nothing is of none of the machines.
        guard conditions.allSatisfy({ !$0.keys.isEmpty }) else {
            return HistoryPage(entries: [], resume: nil)
        }
        let stretches = stretches(of: candidates, isIndexed: !conditions.isEmpty)
        for stretch in query.isDescending ? stretches.reversed() : stretches {
            switch stretch {
            case .run(let run, let range):
                guard let index else { preconditionFailure("a run of no index") }
                let search = index.search(conditions, in: run, isDescending: query.isDescending)
                try look(search, from: run.first, range, &walk)
            case .tail(let tail, let range):
                let search = IndexSearch(conditions, in: tail, isDescending: query.isDescending)
                try look(search, from: tail.first, range, &walk)
            case .entries(let range):
                try goThrough(range, &walk)
            }
            if walk.isOver { break }
        }
        let resume = walk.isOver && walk.looked != end ? Sequence(walk.looked) : nil
        return HistoryPage(entries: walk.entries, resume: resume)
    }

    /// Ascending.
    private func stretches(
        of candidates: ClosedRange<UInt64>, isIndexed: Bool
    ) -> [Stretch] {
        guard isIndexed, let index else { return [.entries(candidates)] }
        var stretches: [Stretch] = []
        for run in index.runs {
            if let range = candidates.overlap(run.sequences) { stretches.append(.run(run, range)) }
        }
        let tail = index.tail
        if tail.count > 0, let range = candidates.overlap(tail.first...tail.end - 1) {
            stretches.append(.tail(tail, range))
        }
        if let range = candidates.overlap(index.end...UInt64.max) {
            stretches.append(.entries(range))
        }
        return stretches
    }

    /// - Parameter first: the sequence whose offset is 0.
    private func look(
        _ search: IndexSearch, from first: UInt64, _ range: ClosedRange<UInt64>,
        _ walk: inout Walk
    ) throws(WalkFailure) {
        var search = search
        let isDescending = walk.query.isDescending
        var sequence = isDescending ? range.upperBound : range.lowerBound
        while range.contains(sequence) {
            let finding: IndexSearch.Finding
            do throws(IndexFailure) {
                finding = try search.next(
                    from: Int(sequence - first), looks: &walk.looksLeft)
            } catch {
                throw .index(error)
            }
            switch finding {
            case .none:
                return
            case .brokenOff(let offset):
                let next = first + UInt64(offset)
                guard range.contains(next) else { return }
                walk.looked = isDescending ? next + 1 : next - 1
                walk.isOver = true
            case .candidate(let offset):
                sequence = first + UInt64(offset)
                guard range.contains(sequence) else { return }
                walk.take(try committedEntry(at: Sequence(sequence)))
                // Sequences begin with 1.
                sequence = isDescending ? sequence - 1 : sequence + 1
            }
            if walk.isOver { return }
        }
    }

    private func committedEntry(at sequence: Sequence) throws(WalkFailure) -> LedgerEntry {
        do throws(LedgerFailure) {
            guard let entry = try entry(at: sequence) else {
                throw LedgerFailure(.corrupt, "entry \(sequence.rawValue) is missing")
            }
            return entry
        } catch {
            throw .ledger(error)
        }
    }

    private func goThrough(
        _ range: ClosedRange<UInt64>, _ walk: inout Walk
    ) throws(WalkFailure) {
        let window = Self.window(range, walk.query, entries: UInt64(walk.entriesLeft))
        let wanted = walk.query.pageSize - walk.entries.count
        do throws(LedgerFailure) {
            walk.entries += try entries(in: window, walk.query, limit: wanted)
        } catch {
            throw .ledger(error)
        }
        walk.entriesLeft -= Int(window.upperBound - window.lowerBound) + 1
        walk.looked = walk.query.isDescending ? window.lowerBound : window.upperBound
        if walk.entries.count == walk.query.pageSize, let last = walk.entries.last {
            walk.looked = last.sequence.rawValue
            walk.isOver = true
        }
        walk.isOver = walk.isOver || walk.entriesLeft == 0
    }

    /// As many of a stretch as may be gone through, from the end that comes first.
    private static func window(
        _ range: ClosedRange<UInt64>, _ query: HistoryQuery, entries: UInt64
    ) -> ClosedRange<UInt64> {
        guard range.upperBound - range.lowerBound >= entries else { return range }
        return query.isDescending
            ? range.upperBound - (entries - 1)...range.upperBound
            : range.lowerBound...range.lowerBound + (entries - 1)
    }
}

extension ClosedRange<UInt64> {
    /// What is in both; nil where nothing is.
    fileprivate func overlap(_ other: ClosedRange<UInt64>) -> ClosedRange<UInt64>? {
        overlaps(other) ? clamped(to: other) : nil
    }
}
