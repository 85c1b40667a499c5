import Foundation
import Testing

/// Looks again and again until it is so. A minute is taken for never, whatever else the computer
/// has to do.
func wait(until isSo: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: 60)
    while try !isSo() {
        try #require(Date() < deadline)
        usleep(1000)
    }
}
