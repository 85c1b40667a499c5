// Letting a request in, before anything of it but its route is looked at.

import AllocationService
import HTTPServer

extension AllocationAPI {
    /// Finds out who asks, counts the request, and sees whether the caller may do what it asks for.
    ///
    /// - Throws: `cross-origin`, `unauthorized`, `too-many-requests` or `insufficient-scope`.
    func admit(_ call: inout Call, to endpoint: Endpoint) throws(Problem) {
        try call.request.expectSameOrigin()
        guard authenticator != nil || rateLimiter != nil, let needed = endpoint.neededScopes
        else { return }
        var bearer: AccessTokens.Bearer?
        var stranger: Problem?
        do throws(Problem) {
            bearer = try authenticator?.bearer(call.request)
        } catch {
            stranger = error
        }
        // Who is nobody is counted by address, so that guessing has its limit too.
        try count(&call, bearer)
        if let stranger { throw stranger }
        guard let bearer else { return }
        call.caller.principal = bearer.principal
        call.scopes = bearer.scopes
        guard bearer.scopes.allows(anyOf: needed) else {
            throw Problem(insufficient: bearer.scopes, needed: needed)
        }
    }

    private func count(
        _ call: inout Call, _ bearer: AccessTokens.Bearer?
    ) throws(Problem) {
        let caller: RateLimiter.Caller =
            if let bearer { .principal(bearer.principal.name) } else {
                .network(call.request.peer.address.network)
            }
        guard let status = rateLimiter?.count(caller) else { return }
        call.rateLimit = status
        try status.check()
    }
}

extension AllocationAPI.Call {
    /// Whether the caller has a scope, which a route that takes several scopes asks for in parts.
    func expect(_ scope: Scope) throws(Problem) {
        guard let scopes, !scopes.allows(anyOf: scope) else { return }
        throw Problem(insufficient: scopes, needed: scope)
    }
}
