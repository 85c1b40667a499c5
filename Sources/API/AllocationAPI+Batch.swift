// Many operations in one request: each for itself, or all or none. Either way they are decided in
// one turn of the loop with nothing in between, and are durable with one commit.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// Bytes of a usual operation's result.
    private static let usualResultBytes = 640

    /// POST …/batch.
    func batch(_ call: Call) throws(Problem) -> Reply {
        try expectPlainJSON(call)
        let machine = try machine(call)
        guard try MediaType.ofBody(call.request, among: [.json]) != nil else {
            throw Problem(at: "", "must be a batch")
        }
        let reading = BatchReading(
            request: call.request, dialect: machine.allocator.machine.dialect)
        guard call.request.bodyCount > Self.longestReadHere else {
            return .now(try carryOut(reading.read(knownControls), on: machine, call))
        }
        let id = machine.id
        return .asking(.batch(reading)) { [self] (answer) throws(Problem) in
            guard case .batch(let body) = try answer.checked() else {
                preconditionFailure("a batch was to be read")
            }
            let machine = try self.machine(call)
            // Another one of the name may be of another dialect.
            guard machine.id == id else { throw Problem(ServiceFailure.machineNotFound) }
            return .now(try carryOut(body, on: machine, call))
        }
    }

    /// Bytes of a batch up to which it is read between other requests: some milliseconds' work. A
    /// larger one is read on the other thread, and decided when that is done.
    private static let longestReadHere = 1 << 20

    private func carryOut(
        _ body: Result<BatchBody, JSONError>, on machine: SimulatedMachine, _ call: Call
    ) throws(Problem) -> HTTPResponse {
        let body = try body.mapError(Problem.init).get()
        for operation in body.operations { try call.expect(operation.neededScope) }
        let precondition = try Precondition(call.request)
        var response =
            body.isAtomic
            ? try carryOutAll(body.operations, on: machine, if: precondition, call)
            : try carryOutEach(body.operations, on: machine, if: precondition, call)
        response.requestCount = max(1, body.operations.count)
        return response
    }

    /// Carries out each operation as if it had come alone.
    private func carryOutEach(
        _ operations: [BatchBody.Operation], on machine: SimulatedMachine,
        if precondition: Precondition, _ call: Call
    ) throws(Problem) -> HTTPResponse {
        try calling { () throws(ServiceFailure) in
            try service.check(precondition, forOperations: operations.count, on: machine)
        }
        let requests = operations.map { operation in
            Result { () throws(Problem) in try operation.request(on: machine) }
        }
        // What is no request by itself leaves no entry.
        let last = requests.lastIndex { if case .success = $0 { true } else { false } }
        let path = String(decoding: call.request.path, as: UTF8.self)
        return results(operations.count) { writer in
            for (position, request) in requests.enumerated() {
                let caller = position == last ? call.caller : call.caller.withoutKey
                do throws(Problem) {
                    let result = try carryOut(request.get(), on: machine, for: caller)
                    writer.result(result, on: machine, renderedControls)
                } catch {
                    let problem = error.inOperation(position, operations[position])
                    writer.result(problem, instance: path, requestID: call.requestID)
                }
            }
        }
    }

    private func carryOut(
        _ request: AllocationService.Operation, on machine: SimulatedMachine,
        for caller: AllocationService.Caller
    ) throws(Problem) -> AllocationService.OperationResult {
        try calling(on: machine) { () throws(ServiceFailure) in
            switch request {
            case .allocate(let record):
                return .granted(try service.allocate(record, on: machine, for: caller))
            case .free(let target):
                let (freed, entry) = try service.free(target, on: machine, for: caller)
                return .freed(freed, entry)
            }
        }
    }

    /// Carries out all operations or, where one cannot be, none. One that is no request by itself,
    /// as when it names a control that is not there, is found before any is decided.
    private func carryOutAll(
        _ operations: [BatchBody.Operation], on machine: SimulatedMachine,
        if precondition: Precondition, _ call: Call
    ) throws(Problem) -> HTTPResponse {
        var requests: [AllocationService.Operation] = []
        requests.reserveCapacity(operations.count)
        for (position, operation) in operations.enumerated() {
            do {
                requests.append(try operation.request(on: machine))
            } catch {
                throw error.stopping(position, operation)
            }
        }
        let done: [AllocationService.OperationResult]
        do {
            done = try service.carryOutAll(
                requests, on: machine, if: precondition, for: call.caller)
        } catch {
            let problem = Problem(error.reason, on: machine)
            throw error.operation.map { problem.stopping($0, operations[$0]) } ?? problem
        }
        return results(done.count) { writer in
            for result in done { writer.result(result, on: machine, renderedControls) }
        }
    }

    private func results(
        _ count: Int, _ write: (inout JSONWriter) -> Void
    ) -> HTTPResponse {
        json(reserving: 1024 + count * Self.usualResultBytes) { writer in
            writer.beginObject()
            writer.key("results")
            writer.beginArray()
            write(&writer)
            writer.endArray()
            writer.endObject()
        }
    }
}

extension Problem {
    /// The problem of one operation, its places as they are called in the body of the batch.
    fileprivate func inOperation(_ position: Int, _ operation: BatchBody.Operation) -> Problem {
        var problem = self
        let place = "/operations/\(position)/\(operation.name)"
        problem.errors = errors.map { error in
            let pointer = error.pointer == "/path/pfn" ? "/pfn" : error.pointer
            return FieldError(pointer: place + pointer, detail: error.detail)
        }
        return problem
    }

    /// The problem of the operation that keeps the others from being carried out.
    fileprivate func stopping(_ position: Int, _ operation: BatchBody.Operation) -> Problem {
        inOperation(position, operation).with(Member("operation", UInt64(position)))
    }
}

extension JSONWriter {
    /// What an operation did: the status and the members that it would be answered with alone.
    fileprivate mutating func result(
        _ result: AllocationService.OperationResult, on machine: SimulatedMachine,
        _ rendered: RenderedControls
    ) {
        beginObject()
        switch result {
        case .granted(let entry):
            guard case .granted(let record, let grant) = entry.event else {
                preconditionFailure("a granted request is recorded as granted")
            }
            member("status", 201)
            members(of: entry, record, grant, machine: machine.name, .whole, rendered)
        case .freed(let freed, let entry):
            member("status", 200)
            members(of: freed, entry, on: machine)
        }
        endObject()
    }

    /// Why an operation did nothing.
    fileprivate mutating func result(_ problem: Problem, instance: String, requestID: String) {
        beginObject()
        member("status", problem.kind.status)
        key("problem")
        value(problem, instance: instance, requestID: requestID)
        endObject()
    }
}
