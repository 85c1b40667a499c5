// Every kind of problem that the service answers with: its slug, status and page. `openapi.yaml`
// says the same; a test holds them equal.

/// A kind of problem (RFC 9457). The raw value is the last segment of its `type`.
enum ProblemKind: String, CaseIterable {
    case invalidRequest = "invalid-request"
    case malformedJSON = "malformed-json"
    case malformedHTTP = "malformed-http"
    case unauthorized = "unauthorized"
    case insufficientScope = "insufficient-scope"
    case notOwner = "not-owner"
    case crossOrigin = "cross-origin"
    case machineNotFound = "machine-not-found"
    case allocationNotFound = "allocation-not-found"
    case controlNotFound = "control-not-found"
    case pageNotFound = "page-not-found"
    case entryNotFound = "entry-not-found"
    case notFound = "not-found"
    case methodNotAllowed = "method-not-allowed"
    case notAcceptable = "not-acceptable"
    case requestTimeout = "request-timeout"
    case outOfMemory = "out-of-memory"
    case alreadyFreed = "already-freed"
    case notAllocated = "not-allocated"
    case notHead = "not-head"
    case wrongOrder = "wrong-order"
    case machineExists = "machine-exists"
    case machineInUse = "machine-in-use"
    case builtInControl = "built-in-control"
    case limitReached = "limit-reached"
    case preconditionFailed = "precondition-failed"
    case bodyTooLarge = "body-too-large"
    case uriTooLong = "uri-too-long"
    case unsupportedMediaType = "unsupported-media-type"
    case expectationFailed = "expectation-failed"
    case idempotencyKeyReused = "idempotency-key-reused"
    case idempotencyKeyInUse = "idempotency-key-in-use"
    case unsatisfiable = "unsatisfiable"
    case misaligned = "misaligned"
    case invalidTopology = "invalid-topology"
    case tooManyRequests = "too-many-requests"
    case headerTooLarge = "header-too-large"
    case notImplemented = "not-implemented"
    case unavailable = "unavailable"
    case httpVersionNotSupported = "http-version-not-supported"
    case insufficientStorage = "insufficient-storage"

    var status: Int {
        switch self {
        case .invalidRequest, .malformedJSON, .malformedHTTP: 400
        case .unauthorized: 401
        case .insufficientScope, .notOwner, .crossOrigin: 403
        case .machineNotFound, .allocationNotFound, .controlNotFound, .pageNotFound,
            .entryNotFound, .notFound:
            404
        case .methodNotAllowed: 405
        case .notAcceptable: 406
        case .requestTimeout: 408
        case .outOfMemory, .alreadyFreed, .notAllocated, .notHead, .wrongOrder, .machineExists,
            .machineInUse, .builtInControl, .limitReached, .idempotencyKeyInUse:
            409
        case .preconditionFailed: 412
        case .bodyTooLarge: 413
        case .uriTooLong: 414
        case .unsupportedMediaType: 415
        case .expectationFailed: 417
        case .idempotencyKeyReused, .unsatisfiable, .misaligned, .invalidTopology: 422
        case .tooManyRequests: 429
        case .headerTooLarge: 431
        case .notImplemented: 501
        case .unavailable: 503
        case .httpVersionNotSupported: 505
        case .insufficientStorage: 507
        }
    }

    /// The same for each occurrence of the kind.
    var title: String {
        switch self {
        case .invalidRequest: "The request breaks a rule of the contract"
        case .malformedJSON: "The body is not JSON"
        case .malformedHTTP: "The request is not HTTP/1.1"
        case .unauthorized: "The caller is not known"
        case .insufficientScope: "The caller may not do this"
        case .notOwner: "The pages were granted to another principal"
        case .crossOrigin: "The request comes from another site's page"
        case .machineNotFound: "There is no such machine"
        case .allocationNotFound: "There is no such allocation"
        case .controlNotFound: "There is no such control"
        case .pageNotFound: "The machine has no such page"
        case .entryNotFound: "The ledger has no such entry"
        case .notFound: "There is nothing at this path"
        case .methodNotAllowed: "The path does not have this method"
        case .notAcceptable: "No media type that the client accepts is available"
        case .requestTimeout: "The request was not complete in time"
        case .outOfMemory: "No conforming pages are free now"
        case .alreadyFreed: "The pages have been freed already"
        case .notAllocated: "No allocation holds the page"
        case .notHead: "The page is a tail of a compound page"
        case .wrongOrder: "The order is not that of the grant"
        case .machineExists: "A machine of that name exists"
        case .machineInUse: "The machine has live allocations"
        case .builtInControl: "The control is built in"
        case .limitReached: "A limit of the service is reached"
        case .preconditionFailed: "The resource has another version"
        case .bodyTooLarge: "The body is too large"
        case .uriTooLong: "The request line is too long"
        case .unsupportedMediaType: "The body's media type is not taken here"
        case .expectationFailed: "The expectation cannot be met"
        case .idempotencyKeyReused: "The idempotency key is that of another request"
        case .idempotencyKeyInUse: "A request under the idempotency key is still waiting"
        case .unsatisfiable: "No state of this machine could meet the request"
        case .misaligned: "The block does not begin at a multiple of its size"
        case .invalidTopology: "The text or document describes no machine"
        case .tooManyRequests: "The caller sends too many requests"
        case .headerTooLarge: "The header fields are too large"
        case .notImplemented: "The server does not do this"
        case .unavailable: "The server is stopping or cannot read its ledger"
        case .httpVersionNotSupported: "The HTTP version is not spoken here"
        case .insufficientStorage: "The ledger's disk is full"
        }
    }

    /// What a reader of the problem can do.
    var advice: String {
        switch self {
        case .invalidRequest:
            "Each element of errors names a place (a JSON Pointer into the body, or /query/NAME, "
                + "/path/NAME, /header/NAME) and the rule that it breaks. Nothing was recorded."
        case .malformedJSON:
            "The body must be one JSON text in UTF-8 (RFC 8259). The detail says what was "
                + "expected and at which byte. Nothing was recorded."
        case .malformedHTTP:
            "The request could not be read as HTTP/1.1 (RFC 9112), so its end is not known and the "
                + "connection is closed. Nothing was recorded."
        case .unauthorized:
            "Send Authorization: Bearer and a token that the operator has given out (gfpd token "
                + "makes one), or show a client certificate where the server asks for one. Nothing "
                + "was recorded."
        case .insufficientScope:
            "needed_scopes names the scopes of which one would do. The operator decides which a "
                + "principal has. Nothing was recorded."
        case .notOwner:
            "A principal frees and renews what was granted to itself; only one with the scope "
                + "admin may do so for others. The refusal is in the ledger."
        case .crossOrigin:
            "A browser sent it for a page of another site (Sec-Fetch-Site, Origin). Such pages may "
                + "neither change anything here nor read an answer. Use a client that is no "
                + "browser, or a page of the same origin."
        case .machineNotFound: "GET /v1/machines lists the machines."
        case .allocationNotFound:
            "No grant of this machine has that id. GET /v1/machines/{machine}/allocations lists "
                + "those that live; state=all lists the others too."
        case .controlNotFound: "GET /v1/machines/{machine}/controls lists the stored controls."
        case .pageNotFound:
            "The frame lies in a hole, is reserved, or is beyond the machine's memory. GET "
                + "/v1/machines/{machine}/zones says where memory is."
        case .entryNotFound: "GET /v1/ledger?sort=desc&page_size=1 shows the newest entry."
        case .notFound: "GET /openapi.yaml describes every path."
        case .methodNotAllowed: "The Allow field lists the methods of the path."
        case .notAcceptable: "Send an Accept field with one of the media types in the detail."
        case .requestTimeout:
            "A request that has begun must arrive whole within the server's time limit."
        case .outOfMemory:
            "The same request fits the empty machine. explanation lists each zone in the order "
                + "tried, with its free blocks and the reason why it did not serve; its "
                + "certificate says which single change of the request would be granted now, and "
                + "which allocations stand in the way. The refusal is in the ledger, at sequence."
        case .alreadyFreed:
            "Each allocation, and each page of it, can be freed once. GET "
                + "/v1/ledger?allocation={id} shows by whom. The refusal is in the ledger."
        case .notAllocated:
            "The page is free: it was freed before, or never granted. The refusal is in the ledger."
        case .notHead:
            "A compound page is freed as a whole, by head_pfn. The refusal is in the ledger."
        case .wrongOrder:
            "granted_order is what the pages were granted as. A compound page is freed whole; of "
                + "any other grant, an aligned part may be freed. The refusal is in the ledger."
        case .machineExists: "Choose another name, or delete that machine first."
        case .machineInUse:
            "Free its allocations first, or delete with ?force=true, which frees each of them in "
                + "the ledger."
        case .builtInControl:
            "The controls dma-20bit to dma-48bit are part of each machine: they can be read and "
                + "named in requests, not changed. Store a control under another name."
        case .limitReached: "The detail names the limit."
        case .preconditionFailed:
            "If-Match or If-None-Match did not hold; current is the version now. Read again and "
                + "decide anew. Nothing was recorded."
        case .bodyTooLarge: "The detail names the limit."
        case .uriTooLong: "Path and query must be shorter."
        case .unsupportedMediaType: "Send a Content-Type that the detail names."
        case .expectationFailed: "The only expectation that is understood is 100-continue."
        case .idempotencyKeyReused:
            "A key stands for one method, path, query and body. Send the first request again for "
                + "its answer, or this one with a key of its own. key_sequence is the entry of the "
                + "first. Nothing was recorded."
        case .idempotencyKeyInUse:
            "The first request under the key waits for pages (wait_ms). Send this one again when "
                + "that one has been answered, or has been given up. Nothing was recorded."
        case .unsatisfiable:
            "reason names the rule. Trying again cannot help; the machine would have to be "
                + "another. The refusal is in the ledger, at sequence; one of explain is not."
        case .misaligned:
            "The 2^order pages of a block begin at a multiple of 2^order. The refusal is in the "
                + "ledger."
        case .invalidTopology: "Each element of errors names a place and the rule that it breaks."
        case .tooManyRequests:
            "RateLimit-Policy names the quota, RateLimit says what is left of it, and Retry-After "
                + "when to come back. Nothing was recorded."
        case .headerTooLarge: "Send fewer or shorter header fields."
        case .notImplemented: "The detail names what is not done."
        case .unavailable: "Try again later."
        case .httpVersionNotSupported: "Speak HTTP/1.1."
        case .insufficientStorage:
            "Nothing was recorded, and nothing was lost. Reads are answered as ever. Writes are "
                + "taken again once more than reserved_bytes are free on the ledger's file system."
        }
    }
}
