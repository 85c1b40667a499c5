// The text that monitors read: OpenMetrics 1.0
// (https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md), and the older
// format of Prometheus, version 0.0.4, which differs in little: a counter's type stands at the name
// with `_total`, and there are no units.

/// Metric families as text, one after the other.
public struct OpenMetricsText: ~Copyable {
    public enum Format: Sendable {
        case openMetrics
        case prometheus
    }

    public enum Kind: Sendable {
        /// Only rises. Its samples end in `_total`.
        case counter
        case gauge
        case histogram
    }

    /// A label's name and value.
    public typealias Label = (name: StaticString, value: String)

    private let format: Format
    private var name: StaticString = ""
    private var kind = Kind.gauge
    private var text: [UInt8] = []

    public init(_ format: Format, reserving capacity: Int = 0) {
        self.format = format
        text.reserveCapacity(capacity)
    }

    /// Begins a family; its samples follow.
    ///
    /// - Parameters:
    ///   - name: without `_total`; it ends in its unit where it has one.
    ///   - help: one line, without quotation marks and backslashes.
    public mutating func family(
        _ name: StaticString, _ kind: Kind, unit: StaticString? = nil, _ help: StaticString
    ) {
        (self.name, self.kind) = (name, kind)
        beginLine("# TYPE ")
        append(kind.name)
        if let unit, format == .openMetrics {
            text.append(UInt8(ascii: "\n"))
            beginLine("# UNIT ")
            append(unit)
        }
        text.append(UInt8(ascii: "\n"))
        beginLine("# HELP ")
        append(help)
        text.append(UInt8(ascii: "\n"))
    }

    /// A sample of a counter or a gauge.
    public mutating func sample(_ value: UInt64, _ labels: [Label] = []) {
        begin(kind == .counter ? "_total" : "", labels)
        append(value)
        text.append(UInt8(ascii: "\n"))
    }

    /// A sample in seconds.
    public mutating func sample(nanoseconds: UInt64, _ labels: [Label] = []) {
        begin(kind == .counter ? "_total" : "", labels)
        append(seconds: nanoseconds)
        text.append(UInt8(ascii: "\n"))
    }

    /// The samples of a histogram of seconds.
    public mutating func samples(_ histogram: DurationHistogram, _ labels: [Label] = []) {
        var count: UInt64 = 0
        for (position, bucket) in histogram.counts.enumerated() {
            count += bucket
            begin("_bucket", labels, bound: .some(position))
            append(count)
            text.append(UInt8(ascii: "\n"))
        }
        begin("_sum", labels)
        append(seconds: histogram.totalNanoseconds)
        text.append(UInt8(ascii: "\n"))
        begin("_count", labels)
        append(count)
        text.append(UInt8(ascii: "\n"))
    }

    /// The text, with its end.
    public consuming func finished() -> [UInt8] {
        append("# EOF\n")
        return text
    }

    /// `# TYPE NAME `; the older format knows a counter by the name of its samples.
    private mutating func beginLine(_ start: StaticString) {
        append(start)
        append(name)
        if kind == .counter, format == .prometheus { append("_total") }
        text.append(UInt8(ascii: " "))
    }

    private mutating func begin(_ suffix: StaticString, _ labels: [Label], bound: Int? = nil) {
        append(name)
        append(suffix)
        if !labels.isEmpty || bound != nil {
            var separator = UInt8(ascii: "{")
            for label in labels {
                text.append(separator)
                append(label)
                separator = UInt8(ascii: ",")
            }
            if let bound {
                text.append(separator)
                append(bound: bound)
            }
            text.append(UInt8(ascii: "}"))
        }
        text.append(UInt8(ascii: " "))
    }

    private mutating func append(_ label: Label) {
        append(label.name)
        append("=\"")
        for byte in label.value.utf8 {
            switch byte {
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    private mutating func append(bound position: Int) {
        append("le=\"")
        if position < DurationHistogram.bounds.count {
            append(seconds: DurationHistogram.bounds[position])
        } else {
            append("+Inf")
        }
        text.append(UInt8(ascii: "\""))
    }

    /// Nanoseconds as seconds, with at least one digit after the point and no zeros behind it.
    private mutating func append(seconds nanoseconds: UInt64) {
        append(nanoseconds / 1_000_000_000)
        text.append(UInt8(ascii: "."))
        var rest = nanoseconds % 1_000_000_000
        repeat {
            text.append(UInt8(ascii: "0") + UInt8(rest / 100_000_000))
            rest = rest % 100_000_000 * 10
        } while rest > 0
    }

    private mutating func append(_ number: UInt64) {
        text.append(contentsOf: String(number).utf8)
    }

    private mutating func append(_ text: StaticString) {
        unsafe self.text.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

extension OpenMetricsText.Kind {
    fileprivate var name: StaticString {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
