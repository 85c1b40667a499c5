// Syncs of a server's files that fail with EIO once a switch is thrown: a library of a few lines,
// loaded before libc. What the disk says to fsync cannot be had otherwise from a disk that works.

import Foundation
import Testing

final class FailingSync {
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdio.h>
        #include <string.h>
        #include <stdlib.h>
        #include <unistd.h>

        /* Whether a descriptor's file is the one that the switch names, if the switch is there. */
        static int fails(int descriptor) {
            char name[256] = "", link[64], path[4096];
            FILE *file = fopen(getenv("FAILING_SYNC_SWITCH"), "re");
            if (!file) return 0;
            size_t length = fread(name, 1, sizeof name - 1, file);
            fclose(file);
            snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
            ssize_t size = readlink(link, path, sizeof path);
            return size >= (ssize_t)length && !memcmp(path + size - length, name, length);
        }

        static int sync_or_fail(int descriptor, const char *call) {
            int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
            if (!fails(descriptor)) return next(descriptor);
            errno = EIO;
            return -1;
        }

        int fsync(int descriptor) { return sync_or_fail(descriptor, "fsync"); }
        int fdatasync(int descriptor) { return sync_or_fail(descriptor, "fdatasync"); }
        """

    private let scratch: ScratchDirectory
    private var library: String { scratch.path("failing_sync.so") }
    private var switchFile: String { scratch.path("switch") }

    /// Compiles it, with the compiler that Swift has with it.
    init(in scratch: ScratchDirectory) throws {
        self.scratch = scratch
        let source = try scratch.write(Self.source, to: "failing_sync.c")
        let compiler = try ChildProcess(
            "clang", ["-shared", "-fPIC", "-O1", "-o", scratch.path("failing_sync.so"), source],
            scratch: scratch.url)
        let end = try compiler.waitForEnd()
        try #require(end == .exited(0), "\(compiler.errors)")
    }

    /// Of the process whose syncs are to fail.
    var environment: [String: String] {
        ["LD_PRELOAD": library, "FAILING_SYNC_SWITCH": switchFile]
    }

    /// From now on each sync of files whose names end so fails.
    func fail(filesEndingIn name: String) throws {
        // Renamed, so that it is never seen half written.
        let file = try scratch.write(name, to: "switch.new")
        try FileManager.default.moveItem(atPath: file, toPath: switchFile)
    }
}
