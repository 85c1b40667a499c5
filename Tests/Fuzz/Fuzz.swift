// libFuzzer over what takes bytes from strangers: `Fuzz TARGET [option of libFuzzer…] [folder…]`.
// Only `make fuzz` builds this (`GFPD_FUZZ`), with the coverage that libFuzzer steers by and with
// its `main`, which calls the two functions here (https://llvm.org/docs/LibFuzzer.html).
//
// A target traps where what it was given led to something that must not be. libFuzzer then keeps
// the input as a file, and `Fuzz TARGET FILE` does it again.

import Glibc

/// What is done with an input, by the name that the command line gives.
private let targets: [String: @Sendable ([UInt8]) -> Void] = {
    var targets: [String: @Sendable ([UInt8]) -> Void] = [
        "http": { HTTPTarget.run($0) }, "json": { JSONTarget.run($0) },
        "request": { RequestTarget.run($0) }, "tokens": { TokensTarget.run($0) },
    ]
    for target in BodyTarget.all { targets[target.name] = { target.run($0) } }
    return targets
}()

private let chosen = targets[CommandLine.arguments.dropFirst().first ?? ""]

/// Called once. What it leaves of the command line is libFuzzer's.
@c(LLVMFuzzerInitialize)
public func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
    guard chosen != nil else {
        print("usage: Fuzz TARGET [option of libFuzzer ...] [folder ...]")
        print("TARGET:", targets.keys.sorted().joined(separator: " "))
        exit(2)
    }
    // The target's name goes; the program's stays the first.
    unsafe arguments.pointee[1] = unsafe arguments.pointee[0]
    unsafe arguments.pointee += 1
    unsafe count.pointee -= 1
    return 0
}

@c(LLVMFuzzerTestOneInput)
public func runOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe UnsafeBufferPointer(start: bytes, count: count)
    unsafe chosen?(Array(input))
    return 0
}
