// Pages of other sites: a browser sends a POST wherever a page tells it to, also to a service that
// only listens on the loopback, and with a client certificate where it has one. The page does not
// see the answer, but the pages would be granted.
//
// A browser says from where a request comes, in `Sec-Fetch-Site` (W3C Fetch Metadata) or, an older
// one, in `Origin` (RFC 6454), and pages can take neither away. Other clients send neither. There
// are no CORS fields in any answer, so that no page of another site reads one.

import HTTPServer

extension HTTPRequest {
    /// Refuses what a page of another site would change.
    ///
    /// - Throws: `cross-origin`.
    func expectSameOrigin() throws(Problem) {
        guard method != .get, method != .head else { return }
        if let site = header("sec-fetch-site") {
            guard site == "same-origin" || site == "none" else { throw .fromAnotherSite }
        } else if let origin = header("origin") {
            guard let host = header("host"), origin.hasSuffix("://" + host) else {
                throw .fromAnotherSite
            }
        }
    }
}

extension Problem {
    fileprivate static var fromAnotherSite: Problem {
        Problem(.crossOrigin, "a page of another site may not change anything here")
    }
}
