// The contract of this API as bytes, for whoever asks for it.

import CContract

enum Contract {
    /// openapi.yaml.
    static let yaml = unsafe bytes(of: ccontract_yaml)

    /// The same for tools that read no YAML.
    static let json = unsafe bytes(of: ccontract_json)

    private static func bytes(of text: ccontract_text) -> [UInt8] {
        unsafe [UInt8](UnsafeBufferPointer(start: text.bytes, count: text.count))
    }
}
