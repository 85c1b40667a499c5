// A machine from a file: the same documents that `POST /v1/machines` takes.

public import PageAllocator

/// Reads what describes a machine.
public enum MachineDocument {
    /// Why a document describes no machine: one sentence that names the place and the rule.
    public struct Failure: Error {
        public let sentence: String
    }

    /// The machine of a JSON document (a topology, or kernel texts), or of the text of
    /// `/proc/zoneinfo`.
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
        let isJSON = bytes.first { $0 > UInt8(ascii: " ") } == UInt8(ascii: "{")
        guard isJSON else {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Problem(.invalidTopology, "the file is neither JSON nor text in UTF-8")
            }
            return .kernelTexts(.init(zoneinfo: text, dialect: dialect))
        }
        do {
            return try MachineBody(json: bytes)
        } catch {
            throw Problem(error)
        }
    }
}
