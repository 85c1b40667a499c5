/// Which of several conforming places a request gets.
public enum Fit: String, CaseIterable, Hashable, Sendable {
    /// The smallest sufficient order, and of that order the lowest address. For a run of pages:
    /// as `best`.
    case buddy

    /// The lowest address.
    case first

    /// The shortest maximal free run that holds it; among equals the lowest address.
    case best

    /// The lowest address at or after the end of the zone's last grant by this fit; then from the
    /// zone's start.
    case next

    /// The highest address.
    case topdown
}
