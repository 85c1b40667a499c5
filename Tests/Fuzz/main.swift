// libFuzzer over what takes bytes from strangers: `Fuzz TARGET [option of libFuzzer…] [folder…]`.
// Only `make fuzz` builds this (`GFPD_FUZZ`), with the coverage that libFuzzer steers by.
//
// A target traps where what it was given led to something that must not be. libFuzzer then keeps
// the input as a file, and `Fuzz TARGET FILE` does it again.

import CFuzzer
import Glibc

/// What is done with an input, by the name that the command line gives.
private let targets: [String: @Sendable ([UInt8]) -> Void] =
    ["http": HTTPTarget.run, "json": JSONTarget.run].merging(
        BodyTarget.all.map { target in (target.name, { target.run($0) }) }, uniquingKeysWith: { $1 }
    )

private let chosen = targets[CommandLine.arguments.dropFirst().first ?? ""]

guard chosen != nil else {
    print("usage: Fuzz TARGET [option of libFuzzer ...] [folder ...]")
    print("TARGET:", targets.keys.sorted().joined(separator: " "))
    exit(2)
}

// libFuzzer gets the command line without the target's name.
private var count = CommandLine.argc - 1
private var arguments = unsafe CommandLine.unsafeArgv + 1
let status = unsafe withUnsafeMutablePointer(to: &arguments) { pointer in
    unsafe pointer.withMemoryRebound(
        to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?.self, capacity: 1
    ) { pointer in
        unsafe LLVMFuzzerRunDriver(&count, pointer) { bytes, count in
            let input = unsafe UnsafeBufferPointer(start: bytes, count: count)
            unsafe chosen?(Array(input))
            return 0
        }
    }
}
exit(status)
