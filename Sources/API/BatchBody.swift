// The body of `POST …/batch`.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

/// A batch that is to be read.
struct BatchReading: Sendable {
    let request: HTTPRequest
    let dialect: KernelDialect

    /// Takes some tenths of a second for the largest body.
    func read(_ known: KnownControls) -> Result<BatchBody, JSONError> {
        Result { () throws(JSONError) in try BatchBody(request.body, dialect, known) }
    }
}

/// Operations as they are asked for together.
struct BatchBody: Sendable {
    /// One of them, in the spelling of the request that asks for it alone.
    enum Operation: Sendable {
        case allocate(AllocationBody)
        case free(AllocationID)

        /// Without an order: `free_a_page`.
        case freePage(PageFrameNumber, Order?)
    }

    /// Whether none is to be carried out where one cannot be.
    var isAtomic = false
    var operations: [Operation] = []

    init(
        _ bytes: [UInt8], _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) {
        var operations: [Operation]?
        var reader = JSONReader(bytes)
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "atomic": isAtomic = try reader.readBool()
            case "operations": operations = try Self.operations(&reader, dialect, known)
            default: throw JSONReader.unknownMember(key)
            }
        }
        try reader.finish()
        guard let operations else {
            throw JSONError(pointer: "/operations", detail: "must be given")
        }
        self.operations = operations
    }

    private static func operations(
        _ reader: inout JSONReader, _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) -> [Operation] {
        var operations: [Operation] = []
        try reader.readArray { (index, reader) throws(JSONError) in
            guard index < ServiceLimits.batchOperations else {
                throw reader.failure(
                    "must be one of at most \(ServiceLimits.batchOperations) operations")
            }
            operations.append(try Operation(&reader, dialect, known))
        }
        return operations
    }
}

extension BatchBody.Operation {
    init(
        _ reader: inout JSONReader, _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) {
        var operation: Self?
        var members = 0
        try reader.readObject { (key, reader) throws(JSONError) in
            members += 1
            switch key {
            case "allocate": operation = .allocate(try Self.allocation(&reader, dialect, known))
            case "free": operation = .free(try Self.allocation(&reader))
            case "free_page": operation = try Self.page(&reader)
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard let operation, members == 1 else {
            throw reader.failure("must have one of allocate, free and free_page")
        }
        self = operation
    }

    /// A batch is decided at once.
    private static func allocation(
        _ reader: inout JSONReader, _ dialect: KernelDialect, _ known: KnownControls
    ) throws(JSONError) -> AllocationBody {
        let body = try AllocationBody(&reader, dialect, known)
        guard body.waitMilliseconds == nil else {
            throw JSONError(pointer: "/wait_ms", detail: "must not be given in a batch")
        }
        return body
    }

    private static func allocation(_ reader: inout JSONReader) throws(JSONError) -> AllocationID {
        var id: AllocationID?
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "id": id = try reader.readAllocationID()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard let id else { throw JSONError(pointer: "/id", detail: "must be given") }
        return id
    }

    private static func page(_ reader: inout JSONReader) throws(JSONError) -> Self {
        var pfn: PageFrameNumber?
        var order: Order?
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "pfn": pfn = try reader.readFrameNumber()
            case "order": order = try reader.readOrder()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard let pfn else { throw JSONError(pointer: "/pfn", detail: "must be given") }
        return .freePage(pfn, order)
    }

    /// The member that says what it is.
    var name: String {
        switch self {
        case .allocate: "allocate"
        case .free: "free"
        case .freePage: "free_page"
        }
    }

    /// As of the request that asks for it alone.
    var neededScope: Scope {
        switch self {
        case .allocate: .allocate
        case .free, .freePage: .free
        }
    }

    /// What the service is asked for, on a machine that holds the named control.
    func request(on machine: SimulatedMachine) throws(Problem) -> AllocationService.Operation {
        switch self {
        case .allocate(let body): .allocate(try body.record(on: machine))
        case .free(let id): .free(.allocation(id))
        case .freePage(let pfn, let order): .free(.page(pfn, order: order))
        }
    }
}
