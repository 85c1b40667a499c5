// What operators and readers of the contract ask for.

import AllocationService
import HTTPServer
import JSON
import Ledger

extension AllocationAPI {
    /// GET /livez: the loop turns. When the ledger fails, the process ends instead.
    func livez(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        return status { _ in }
    }

    /// `{"status": "ok"}`, with further members.
    func status(_ members: (inout JSONWriter) -> Void) -> HTTPResponse {
        json { writer in
            writer.beginObject()
            writer.member("status", "ok" as StaticString)
            members(&writer)
            writer.endObject()
        }
    }

    /// GET /openapi.yaml: the contract, byte for byte.
    func getContract(_ call: Call) throws(Problem) -> HTTPResponse {
        try QueryParameters(call.request).finish()
        _ = try MediaType.accepted(by: call.request, among: [.yaml])
        return HTTPResponse(
            status: 200, contentType: MediaType.yaml.contentType,
            body: Contract.yaml)
    }

    /// GET /openapi.json: the same contract for tools that read no YAML.
    func getContractAsJSON(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        return HTTPResponse(
            status: 200, contentType: MediaType.json.contentType,
            body: Contract.json)
    }
}
