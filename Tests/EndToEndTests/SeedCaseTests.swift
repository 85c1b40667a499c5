// The case that the RFC was written for: a device that reaches 30 bits, on a machine whose zone DMA
// ends at 24. Linux's own path has only the 16 MiB of ZONE_DMA for it to be sure of.

import Foundation
import Testing

@Suite struct SeedCaseTests {
    /// 3 GiB: DMA to 16 MiB, DMA32 to 2 GiB, Normal above.
    private static let topology = """
        {"nodes": [{"id": 0, "cpus": [0], "memory": [{"start": "0x1000", "end": "0xbfffffff"}]}],
         "zones": {"DMA": "0xffffff", "DMA32": "0x7fffffff"}}
        """

    private static let path = "/v1/machines/rfc/allocations"

    private let scratch: ScratchDirectory
    private let server: Server
    private let client: HTTPClient

    init() throws {
        scratch = try ScratchDirectory()
        server = try Server(data: scratch.path("data"), scratch: scratch)
        client = try server.client()
        let created = try client.post("/v1/machines?name=rfc", Self.topology)
        try #require(created.status == 201, "\(created.text)")
    }

    private func allocate(order: Int, low: UInt64 = 0, high: UInt64 = .max) throws -> Answer {
        let body = """
            {"allocation_control": {"order": \(order), "low_boundary": "0x\(hex(low))",
             "high_boundary": "0x\(hex(high))"}}
            """
        return try client.post(Self.path, body)
    }

    private func hex(_ address: UInt64) -> String { String(address, radix: 16) }

    private func expectWithin(_ answer: Answer, low: UInt64, high: UInt64) throws {
        let grant = answer.json
        try #require(answer.status == 201, "\(answer.text)")
        let first = try #require(grant["address"].address)
        let size = UInt64(try #require(grant["size"].int))
        #expect(first >= low && first + size - 1 <= high, "\(answer.text)")
    }

    @Test func aDeviceOf30BitsIsServedWhileZoneDMAIsExhausted() throws {
        let dma: UInt64 = 0xff_ffff
        var grants = 0
        for order in stride(from: 10, through: 0, by: -1) {
            while true {
                let answer = try allocate(order: order, high: dma)
                if answer.status != 201 { break }
                #expect(answer.json["zone"].string == "DMA")
                try expectWithin(answer, low: 0, high: dma)
                grants += 1
            }
        }
        #expect(grants > 3)
        let refused = try allocate(order: 0, high: dma)
        #expect(refused.status == 409)
        #expect(refused.json["type"].string == "/problems/out-of-memory")
        let zones = refused.json["explanation"]["zonelist"].array
        // What is left is kept back: the mark lets no request of this kind have it.
        #expect(
            zones.contains {
                $0["zone"].string == "DMA" && $0["verdict"].string == "below_watermark"
            })

        for order in 0...10 {
            let answer = try allocate(order: order, high: 0x3fff_ffff)
            try expectWithin(answer, low: 0, high: 0x3fff_ffff)
            #expect(answer.json["zone"].string == "DMA32")
        }
    }

    @Test func aDeviceOf24BitsIsServedFromZoneDMA() throws {
        for order in 0...9 {
            let answer = try allocate(order: order, high: 0xff_ffff)
            try expectWithin(answer, low: 0, high: 0xff_ffff)
            #expect(answer.json["zone"].string == "DMA")
        }
    }

    @Test func anUnconstrainedRequestIsServedFromNormal() throws {
        #expect(try allocate(order: 0).json["zone"].string == "Normal")
    }

    @Test(arguments: [0x100_0000, 0x1234_5678, 0x7fff_f000, 0xa000_0000] as [UInt64])
    func theLowBoundaryIsHonoured(low: UInt64) throws {
        for order in [0, 3, 10] {
            try expectWithin(
                try allocate(order: order, low: low), low: low, high: 0xbfff_ffff)
        }
    }

    /// Every page lies in the window, to the last byte, until the window is used up.
    @Test func aWindowIsFilledExactly() throws {
        let (low, high): (UInt64, UInt64) = (0xfff_e000, 0x1000_3fff)
        for _ in 0..<6 {
            try expectWithin(try allocate(order: 0, low: low, high: high), low: low, high: high)
        }
        #expect(try allocate(order: 0, low: low, high: high).status == 409)
        let never = try allocate(order: 3, low: low, high: high)
        #expect(never.status == 422)
        #expect(never.json["type"].string == "/problems/unsatisfiable")
    }

    /// A window of less than a page, or with its bounds reversed, can never be met.
    @Test(arguments: [(0x1001, 0x2ffe), (0x2000, 0x1fff), (0x1000, 0x1ffe), (0, 0xffe)])
    func aWindowSmallerThanAPageIsUnsatisfiable(low: UInt64, high: UInt64) throws {
        let answer = try allocate(order: 0, low: low, high: high)
        #expect(answer.status == 422)
        #expect(answer.json["reason"].string == "window_too_small")
    }

    /// Flags that name a zone keep their meaning, whatever the boundaries say.
    @Test func zoneFlagsKeepTheirMeaning() throws {
        let flags = { (name: String, high: String) in
            """
            {"allocation_control": {"flags": ["\(name)"], "high_boundary": "\(high)"}}
            """
        }
        let dma = try client.post(Self.path, flags("GFP_DMA", "0xffffffffffffffff"))
        #expect(dma.json["zone"].string == "DMA")
        let dma32 = try client.post(Self.path, flags("GFP_DMA32", "0xffffffffffffffff"))
        #expect(dma32.json["zone"].string == "DMA32")
    }
}
