// A machine from a file: the same documents that `POST /v1/machines` takes.

public import PageAllocator

/// Reads what describes a machine.
public enum MachineDocument {
    /// Why a document describes no machine: one sentence that names the place and the rule.
    public struct Failure: Error {
        public let sentence: String
    }

    /// The machine of a JSON document (a topology, or kernel texts), of an hwloc topology in XML,
    /// or of the text of `/proc/zoneinfo`. The first character tells which.
    public static func machine(
        _ bytes: [UInt8], dialect: KernelDialect = .linux612
    ) throws(Failure) -> Machine {
        do {
            return try body(bytes, dialect).machine()
        } catch {
            throw Failure(sentence: error.detail)
        }
    }

    private static func body(
        _ bytes: [UInt8], _ dialect: KernelDialect
    ) throws(Problem) -> MachineBody {
        switch firstCharacter(of: bytes) {
        case UInt8(ascii: "{"):
            do {
                return try MachineBody(json: bytes)
            } catch {
                throw Problem(error)
            }
        case UInt8(ascii: "<"):
            return .hwloc(bytes, dialect)
        default:
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Problem(.invalidTopology, "the file is neither JSON nor text in UTF-8")
            }
            return .kernelTexts(.init(zoneinfo: text, dialect: dialect))
        }
    }

    /// Behind white space and the mark of UTF-8.
    private static func firstCharacter(of bytes: [UInt8]) -> UInt8? {
        let mark = Array("\u{feff}".utf8)
        return bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
            .first { $0 > UInt8(ascii: " ") }
    }
}
