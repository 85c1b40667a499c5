// A problem: what is wrong with a request, as RFC 9457 has it.

import HTTPServer
import JSON

/// One occurrence of a problem.
struct Problem: Error {
    /// A place in the request and the rule that it breaks.
    struct FieldError {
        /// A JSON Pointer into the body, or `/query/NAME`, `/path/NAME`, `/header/NAME`.
        let pointer: String
        let detail: String
    }

    let kind: ProblemKind
    let detail: String
    var errors: [FieldError] = []

    /// Header fields that go with it, as `Allow` with a 405.
    var fields: [Field] = []

    struct Field {
        let name: StaticString
        let value: String

        init(_ name: StaticString, _ value: String) {
            (self.name, self.value) = (name, value)
        }
    }

    /// Further members of the document: what a program can act on.
    var members: [Member] = []

    struct Member {
        let name: StaticString

        /// Encoded JSON.
        let value: [UInt8]

        init(_ name: StaticString, _ number: UInt64) {
            self.name = name
            value = Array(String(number).utf8)
        }

        init(_ name: StaticString, _ text: String) {
            self.name = name
            var writer = JSONWriter()
            writer.value(text)
            value = writer.take()
        }

        init(_ name: StaticString, _ texts: [String]) {
            self.name = name
            var writer = JSONWriter()
            writer.beginArray()
            for text in texts { writer.value(text) }
            writer.endArray()
            value = writer.take()
        }

        init(_ name: StaticString, encoded: [UInt8]) {
            self.name = name
            value = encoded
        }
    }

    init(_ kind: ProblemKind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    /// A place in the request breaks a rule.
    init(_ kind: ProblemKind = .invalidRequest, at pointer: String, _ rule: String) {
        self.init(kind, (pointer.isEmpty ? "the body" : pointer) + " " + rule)
        errors = [FieldError(pointer: pointer, detail: rule)]
    }

    /// A body that could not be read.
    init(_ error: JSONError) {
        // Only what is wrong with the text itself says where in the text; a rule names a member.
        if error.detail.hasPrefix("is malformed") {
            self.init(.malformedJSON, "the body " + error.detail)
            errors = [FieldError(pointer: error.pointer, detail: error.detail)]
        } else {
            self.init(at: error.pointer, error.detail)
        }
    }

    func with(_ members: Member...) -> Problem {
        var problem = self
        problem.members += members
        return problem
    }

    /// The answer. `instance` is the path of the request; nil where the request has none.
    func response(instance: String?, requestID: String) -> HTTPResponse {
        var writer = JSONWriter(reserving: 512)
        writer.value(self, instance: instance, requestID: requestID)
        var response = HTTPResponse(
            status: kind.status, contentType: "application/problem+json", body: writer.take())
        for field in fields { response.addField(field.name, field.value) }
        return response
    }
}

extension JSONWriter {
    mutating func value(_ problem: Problem, instance: String?, requestID: String) {
        beginObject()
        member("type", "/problems/" + problem.kind.rawValue)
        member("title", problem.kind.title)
        member("status", problem.kind.status)
        member("detail", problem.detail)
        if let instance { member("instance", instance) }
        member("request_id", requestID)
        if !problem.errors.isEmpty {
            key("errors")
            beginArray()
            for error in problem.errors {
                beginObject()
                member("pointer", error.pointer)
                member("detail", error.detail)
                endObject()
            }
            endArray()
        }
        for member in problem.members {
            self.member(member.name, raw: member.value)
        }
        endObject()
    }
}
