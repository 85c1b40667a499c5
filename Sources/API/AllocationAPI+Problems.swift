// What each kind of problem means: the pages that a problem's `type` leads to.

import HTTPServer
import JSON

extension AllocationAPI {
    /// GET /problems: every kind of problem.
    func listProblems(_ call: Call) throws(Problem) -> HTTPResponse {
        try QueryParameters(call.request).finish()
        if try MediaType.accepted(by: call.request, among: [.json, .html]) == .html {
            return problemsPage()
        }
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

    // MARK: As pages

    private func problemsPage() -> HTTPResponse {
        var page = HTMLPage("Problems")
        page.add("<h1>Problems</h1>")
        page.add(
            "<p class=\"dim\">What a request may be answered with (RFC 9457). Each leads to what "
                + "can be done about it.</p>")
        page.add("<div class=\"wide\"><table><tr><th class=\"l\">Status<th class=\"l\">Type")
        page.add("<th class=\"l\">Title")
        for kind in ProblemKind.allCases.sorted(by: { $0.status < $1.status }) {
            page.add(
                "<tr><td class=\"l\">\(kind.status)<td class=\"l\"><a href=\"/problems/"
                    + "\(kind.rawValue)\">\(kind.rawValue)</a><td class=\"l\">"
                    + HTMLPage.escaped(kind.title))
        }
        page.add("</table></div>")
        page.add("<nav><a href=\"/\">gfpd</a> · <a href=\"/openapi.yaml\">Contract</a></nav>")
        return page.response()
    }

    private func page(_ kind: ProblemKind) -> HTTPResponse {
        var page = HTMLPage("\(kind.status) \(kind.title)")
        page.add("<p class=\"dim\"><code>\(kind.status) /problems/\(kind.rawValue)</code></p>")
        page.add("<h1>\(HTMLPage.escaped(kind.title))</h1>")
        page.add("<p>\(HTMLPage.escaped(kind.advice))</p>")
        page.add(
            "<nav><a href=\"/problems\">All problems</a> · <a href=\"/openapi.yaml\">Contract</a>"
                + " · <a href=\"/\">gfpd</a></nav>")
        return page.response()
    }
}
