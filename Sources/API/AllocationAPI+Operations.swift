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

    /// GET /readyz: the ledger has been recovered and takes entries; `?verbose` names each check.
    /// Where its disk is full, the problem that writes would be answered with.
    func readyz(_ call: Call) throws(Problem) -> HTTPResponse {
        var parameters = try QueryParameters(call.request)
        let isVerbose = try parameters.flag("verbose")
        try parameters.finish()
        _ = try MediaType.accepted(by: call.request, among: [.json])
        try calling { () throws(ServiceFailure) in try service.checkLedger() }
        return status { writer in
            guard isVerbose else { return }
            writer.key("checks")
            writer.beginArray()
            for check in checks + currentChecks {
                writer.beginObject()
                writer.member("name", check.name)
                writer.member("status", "ok" as StaticString)
                writer.member("detail", check.detail)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    private var currentChecks: [Check] {
        [
            Check(name: "sequence", detail: String(service.state.lastSequence.rawValue)),
            Check(name: "machines", detail: String(service.state.machines.count)),
        ]
    }

    /// `{"status": "ok"}`, with further members.
    private func status(_ members: (inout JSONWriter) -> Void) -> HTTPResponse {
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
            body: PackageResources.openapi_yaml)
    }

    /// GET /problems: every kind of problem.
    func listProblems(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        return json(reserving: 8 << 10) { writer in
            writer.beginObject()
            writer.key("items")
            writer.beginArray()
            for kind in ProblemKind.allCases {
                writer.beginObject()
                writer.member("type", "/problems/" + kind.rawValue)
                writer.member("title", kind.title)
                writer.member("status", kind.status)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
    }

    /// GET /problems/{slug}: the page that a problem's `type` leads to.
    func getProblem(_ call: Call) throws(Problem) -> HTTPResponse {
        try QueryParameters(call.request).finish()
        guard let kind = ProblemKind(rawValue: call.path[1]) else {
            throw Problem(.notFound, "there is no problem of that name; GET /problems lists them")
        }
        switch try MediaType.accepted(by: call.request, among: [.text, .html, .json]) {
        case .html: return page(kind)
        case .json: return document(kind)
        default:
            let text = "\(kind.status) \(kind.title)\n\n\(kind.advice)\n"
            return HTTPResponse(
                status: 200, contentType: MediaType.text.contentType, body: Array(text.utf8))
        }
    }

    private func document(_ kind: ProblemKind) -> HTTPResponse {
        json { writer in
            writer.beginObject()
            writer.member("type", "/problems/" + kind.rawValue)
            writer.member("title", kind.title)
            writer.member("status", kind.status)
            writer.member("advice", kind.advice)
            writer.endObject()
        }
    }

    private func page(_ kind: ProblemKind) -> HTTPResponse {
        let title = Self.escapedForHTML(kind.title)
        let html = """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>\(kind.status) \(title)</title>
            <style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;\
            padding:0 1rem}code{font-size:.95em}</style>
            <p><code>\(kind.status) /problems/\(kind.rawValue)</code></p>
            <h1>\(title)</h1>
            <p>\(Self.escapedForHTML(kind.advice))</p>
            <p><a href="/problems">All problems</a> · <a href="/openapi.yaml">The contract</a></p>
            </html>

            """
        return HTTPResponse(
            status: 200, contentType: MediaType.html.contentType, body: Array(html.utf8))
    }

    private static func escapedForHTML(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
