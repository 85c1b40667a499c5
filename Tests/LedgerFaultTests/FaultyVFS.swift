// The shim under SQLite, for a test: see `CFaultyVFS.h`.

import CFaultyVFS
import Glibc

@safe final class FaultyVFS {
    enum Operation: UInt32, CaseIterable, Sendable {
        case read = 0
        case write
        case sync
        case truncate

        fileprivate var code: faulty_operation { faulty_operation(rawValue) }
    }

    enum Fault: UInt32, CaseIterable, Sendable {
        case errorOnce = 0
        case errorForGood
        case noSpace
        case powerLoss

        fileprivate var code: faulty_fault { faulty_fault(rawValue) }
    }

    /// What loss of power leaves of what was not synced; all of it where the process was killed.
    enum Remains: UInt32, CaseIterable, Sendable {
        case nothing = 0
        case tornLastWrite
        case something
        case everything

        fileprivate var code: faulty_remains { faulty_remains(rawValue) }
    }

    /// The name that connections give.
    let name: String

    private let shim: OpaquePointer

    init() {
        name = "faulty-" + String(UInt64.random(in: 0...UInt64.max), radix: 16)
        guard let shim = unsafe faulty_vfs_register(name) else {
            preconditionFailure("SQLite takes no VFS of the name \(name)")
        }
        unsafe self.shim = shim
    }

    deinit {
        unsafe faulty_vfs_unregister(shim)
    }

    /// Has the n-th operation of a kind fail, counted from 1.
    func plan(_ fault: Fault, at operation: Operation, _ n: Int) {
        unsafe faulty_vfs_plan(shim, operation.code, UInt64(n), fault.code)
    }

    /// Has nothing fail any more.
    func planNothing() {
        plan(.errorOnce, at: .read, .max)
    }

    var hasStruck: Bool { unsafe faulty_vfs_has_struck(shim) }

    func count(_ operation: Operation) -> Int {
        Int(unsafe faulty_vfs_count(shim, operation.code))
    }

    /// Starts the machine again after its power has gone. All files must be closed.
    func losePower(_ remains: Remains, seed: UInt64) {
        let result = unsafe faulty_vfs_lose_power(shim, remains.code, seed)
        precondition(result == 0, "power cannot be lost: errno \(errno)")
    }

    /// What each opening of the files with that ending was used for.
    func uses(ofFilesEndingIn suffix: String) -> [faulty_use] {
        let count = unsafe faulty_vfs_uses(shim, suffix, nil, 0)
        var uses = [faulty_use](repeating: faulty_use(), count: Int(count))
        let filled = unsafe faulty_vfs_uses(shim, suffix, &uses, count)
        return Array(uses.prefix(Int(filled)))
    }
}
