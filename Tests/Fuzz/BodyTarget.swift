import HTTPServer

/// A body of the API: the input is the body of a request to a prepared service. Whatever it is, it
/// is answered with a status that fits and a body that is JSON; a refusal of the body changes
/// nothing; and the allocator's books balance afterwards.
struct BodyTarget: Sendable {
    let name: String
    let target: String
    var contentType = "application/json"

    static let all = [
        BodyTarget(name: "allocate", target: "POST /v1/machines/m/allocations"),
        BodyTarget(name: "explain", target: "POST /v1/machines/m/explain"),
        BodyTarget(name: "batch", target: "POST /v1/machines/m/batch"),
        BodyTarget(name: "free-page", target: "POST /v1/machines/m/pages/1/free"),
        BodyTarget(name: "renew", target: "POST /v1/machines/m/allocations/3/renew"),
        BodyTarget(name: "control", target: "PUT /v1/machines/m/controls/d"),
        BodyTarget(name: "machine", target: "POST /v1/machines?name=n"),
        BodyTarget(
            name: "zoneinfo", target: "POST /v1/machines?name=n", contentType: "text/plain"),
        BodyTarget(
            name: "hwloc", target: "POST /v1/machines?name=n", contentType: "application/xml"),
    ]

    /// Bytes of a body that take long enough without telling more than short ones.
    private static let maximumBytes = 16 << 10

    func run(_ input: [UInt8]) {
        guard input.count <= Self.maximumBytes else { return }
        let service = PreparedService()
        let request = PreparedService.request(target, contentType: contentType, body: input)
        // A request may wait for frees that never come.
        guard let answer = service.answer(to: request) else { return }
        let wasRecorded = service.lastSequence > PreparedService.lastPrepared
        precondition((200..<500).contains(answer.status), "status \(answer.status)")
        precondition(answer.status != 400 || !wasRecorded, "a body that is refused is recorded")
        precondition(answer.status != 201 || wasRecorded, "what was done is not recorded")
        precondition(JSONTarget.copy(of: answer.body) != nil, "an answer is no JSON")
    }
}
