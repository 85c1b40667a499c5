import Glibc

/// CLOCK_MONOTONIC, which the kernel answers without a system call (vdso(7)).
public enum MonotonicClock {
    /// Nanoseconds since some moment in the past.
    public static var nanoseconds: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
