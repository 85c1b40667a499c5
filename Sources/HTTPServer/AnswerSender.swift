// A second thread that does nothing but send.
//
// For a small answer the kernel's work in send(2), down the network's layers and on a loopback up
// again to the peer, costs more than all that the loop does for it; and it needs nothing that the
// loop owns, but bytes and a descriptor. So a turn with several answers hands them over, and the
// loop reads the next turn's requests meanwhile. A turn with few sends them itself: to wake a
// thread costs as much as a few sends (`HTTPServerLimits.minimumAnswersHandedOver`).
//
// While a parcel is under way, the loop neither sends on its descriptor nor closes it. It takes
// parcels back at the end of each turn. It is woken for one that did not go out whole, and for the
// rest where it has said that it waits for one.

import Dispatch
import Glibc
import Synchronization

final class AnswerSender: Sendable {
    /// The output of one connection, on its way out or on its way back.
    struct Parcel: Sendable {
        let slot: Int
        let descriptor: Int32
        var bytes: [UInt8]

        /// How many of the bytes the kernel took.
        var sentCount = 0

        /// The connection is broken.
        var hasFailed = false
    }

    /// What the loop asks for.
    private struct Orders {
        var parcels: [Parcel] = []
        var isReturnAwaited = false
        var isLast = false
    }

    private let queue = DispatchQueue(label: "gfpd.answers")
    private let given = DispatchSemaphore(value: 0)
    private let orders = Mutex(Orders())
    private let returned = Mutex([Parcel]())
    private let wakeUp: WakeUp

    /// Starts the thread, which runs until `finish()`.
    init(wakeUp: WakeUp) {
        self.wakeUp = wakeUp
        queue.async { self.run() }
    }

    /// Sends each of the parcels, once, and leaves none in the array. What has been handed over
    /// earlier goes first.
    func send(_ parcels: inout [Parcel]) {
        // They move and are never copied: their memory is to come back unshared.
        orders.withLock { orders in
            if orders.parcels.isEmpty {
                swap(&orders.parcels, &parcels)
            } else {
                orders.parcels.append(contentsOf: parcels)
                parcels.removeAll(keepingCapacity: true)
            }
        }
        given.signal()
    }

    /// Adds the parcels that have come back to `parcels`, which is empty.
    func takeReturned(into parcels: inout [Parcel]) {
        precondition(parcels.isEmpty)
        returned.withLock { returned in swap(&returned, &parcels) }
    }

    /// Asks for a turn of the loop once all parcels handed over so far have come back.
    func awaitReturn() {
        orders.withLock { $0.isReturnAwaited = true }
        given.signal()
    }

    /// Ends the thread, and returns when nothing is under way any more.
    func finish() {
        orders.withLock { $0.isLast = true }
        given.signal()
        queue.sync {}
    }

    private func run() {
        var isLast = false
        while !isLast {
            given.wait()
            var taken = Orders()
            orders.withLock { orders in swap(&orders, &taken) }
            for index in taken.parcels.indices { send(&taken.parcels[index]) }
            if taken.isReturnAwaited { wakeUp.signal() }
            isLast = taken.isLast
        }
    }

    private func send(_ parcel: inout Parcel) {
        parcel.send()
        let isWhole = parcel.isWhole
        returned.withLock { returned in
            returned.append(Parcel(slot: 0, descriptor: -1, bytes: []))
            swap(&returned[returned.count - 1], &parcel)
        }
        if !isWhole { wakeUp.signal() }
    }
}

extension AnswerSender.Parcel {
    fileprivate var isWhole: Bool { sentCount == bytes.count }

    fileprivate mutating func send() {
        let descriptor = descriptor
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        }
        sentCount = max(0, count)
        hasFailed = count < 0 && errno != EAGAIN && errno != EINTR
    }
}
