import Testing

@testable import HTTPServer

@Suite struct PeerAddressTests {
    private func version4(_ address: UInt64) -> PeerAddress {
        PeerAddress(high: 0, low: 0xffff_0000_0000 | address)
    }

    @Test func addressesAreSpelledAsUsual() {
        #expect(version4(0x7f00_0001).description == "127.0.0.1")
        #expect(version4(0xc000_02ff).description == "192.0.2.255")
        #expect(PeerAddress(high: 0, low: 1).description == "::1")
        let long = PeerAddress(high: 0x2001_0db8_0000_0001, low: 0x0203_0405_0607_0809)
        #expect(long.description == "2001:db8:0:1:203:405:607:809")
        #expect(PeerAddress().description == "::")
    }

    @Test func theLoopbackIsKnown() {
        #expect(version4(0x7f00_0001).isLoopback && version4(0x7fff_ffff).isLoopback)
        #expect(!version4(0x8000_0001).isLoopback && !version4(1).isLoopback)
        #expect(PeerAddress(high: 0, low: 1).isLoopback)
        #expect(
            !PeerAddress(high: 0, low: 2).isLoopback && !PeerAddress(high: 1, low: 1).isLoopback)
    }

    @Test func aNetworkIsAnAddressOfIPv4AndHalfOneOfIPv6() {
        #expect(version4(0x7f00_0001).network == version4(0x7f00_0001))
        let (one, two) = (PeerAddress(high: 7, low: 1), PeerAddress(high: 7, low: 2))
        #expect(one != two && one.network == two.network)
        #expect(PeerAddress(high: 8, low: 1).network != one.network)
    }
}
