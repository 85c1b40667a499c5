import HTTPServer
import Testing

@testable import API

@Suite("Problems of limits")
struct LimitProblemTests {
    @Test(
        "a request beyond a limit is told the limit",
        arguments: [
            (HTTPRequestError.bodyTooLarge, 413, "1048576"),
            (.requestLineTooLong, 414, "8192"),
            (.headerTooLarge, 431, "16384"),
            (.tooManyFields, 431, "64"),
            (.timeout, 408, "10.0 seconds"),
        ])
    func namesTheLimit(error: HTTPRequestError, status: Int, number: String) {
        let problem = Problem(error)
        #expect(problem.kind.status == status)
        #expect(problem.detail.contains(number), "\(problem.detail)")
    }
}
