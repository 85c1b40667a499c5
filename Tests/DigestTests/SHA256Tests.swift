import Digest
import Testing

@Suite struct SHA256Tests {
    /// FIPS 180-4's examples, as NIST publishes them, and the empty message.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func theStandardsExamplesHold(message: String, expected: String) {
        #expect(hexadecimal(SHA256.hash(Array(message.utf8))) == expected)
    }

    @Test func aMillionLettersInParts() {
        let hash = SHA256()
        for _ in 0..<1000 {
            hash.update([UInt8](repeating: UInt8(ascii: "a"), count: 1000).span)
        }
        #expect(
            hexadecimal(hash.finish())
                == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func aMessageLeavesNothingBehind() {
        let hash = SHA256()
        hash.update(([1, 2, 3] as [UInt8]).span)
        #expect(hash.finish() == SHA256.hash([1, 2, 3]))
        hash.update(([1] as [UInt8]).span)
        hash.update(([2] as [UInt8]).span)
        #expect(hash.finish() == SHA256.hash([1, 2]))
        #expect(hash.finish() == SHA256.hash([]))
    }

    private func hexadecimal(_ value: SHA256.Value) -> String {
        value.bytes.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}
