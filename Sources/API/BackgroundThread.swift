// A thread of its own, of lower priority than the rest of the process. Dispatch's queues have no
// priority that Linux knows of.

import Glibc

final class BackgroundThread: Sendable {
    /// Added to the thread's niceness (nice(2)): at 10 it gets about a tenth of a processor that
    /// others want whole.
    static let niceness: Int32 = 10

    private let thread: pthread_t

    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(body))
        let result = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                // On Linux a priority is a thread's; 0 is the calling one. Without it all works the
                // same, only less considerately.
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, BackgroundThread.niceness)
                start.body()
                return nil
            }, start.toOpaque())
        precondition(result == 0, "pthread_create failed with errno \(result)")
        self.thread = thread
    }

    /// Waits for the thread's end. Once, from another thread.
    func join() {
        pthread_join(thread, nil)
    }
}
