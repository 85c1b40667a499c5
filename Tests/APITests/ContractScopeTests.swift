// Which scope an operation needs is said in `openapi.yaml` and asked for by the server: the same.

import HTTPServer
import Testing

@testable import API

struct ContractScopeTests {
    /// Of each operation the line below its `security:` key's name: `needs-read` and its like.
    private static func needs(of document: String) -> [String: String] {
        var needs: [String: String] = [:]
        var path = ""
        var method = ""
        for line in document.split(separator: "\n") {
            let name = line.drop { $0 == " " }
            switch line.count - name.count {
            case 2 where name.hasPrefix("/"): path = String(name.dropLast())
            case 4 where name.hasSuffix(":"): method = name.dropLast().uppercased()
            case 6 where name.hasPrefix("security: *needs-"):
                needs["\(method) \(path)"] = String(name.dropFirst("security: *needs-".count))
            default: break
            }
        }
        return needs
    }

    @Test func eachOperationSaysItsScope() {
        let document = String(decoding: Contract.yaml, as: UTF8.self)
        let needs = Self.needs(of: document)
        for route in Route.all {
            let scopes = route.endpoint.neededScopes
            let expected = scopes.map { $0.names.count > 1 ? "operate" : $0.text } ?? "open"
            let operation = "\(route.method.name) \(route.pattern)"
            #expect(needs[operation] == expected, "\(operation)")
        }
        #expect(needs.count == Route.all.count)
    }

    @Test(arguments: ["read", "allocate", "free", "admin"])
    func theNamesAreScopes(name: String) {
        let document = String(decoding: Contract.yaml, as: UTF8.self)
        let line =
            "\n  \(name): &needs-\(name) [{bearer: [\(name)]}, {certificate: [\(name)]}, {}]\n"
        #expect(document.contains(line))
    }
}
