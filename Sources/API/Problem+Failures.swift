// The one table from what the service says to what HTTP says.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension Problem {
    init(_ failure: ServiceFailure, on machine: SimulatedMachine? = nil) {
        switch failure {
        case .machineNotFound:
            self.init(.machineNotFound, "there is no machine of that name")
        case .machineExists:
            self.init(.machineExists, "a machine of that name exists already")
        case .machineInUse(let live):
            self.init(.machineInUse, "the machine has \(live) live allocations")
            members = [Member("live_allocations", UInt64(live))]
        case .controlNotFound:
            self.init(.controlNotFound, "there is no control of that name")
        case .builtInControl:
            self.init(.builtInControl, "the control is built in: store one under another name")
        case .preconditionFailed(let current):
            self.init(
                .preconditionFailed,
                current.map { "the version is \($0.rawValue) now" } ?? "it does not exist now")
            members = current.map { [Member("current", $0.rawValue)] } ?? []
        case .refused(let failure, let sequence):
            self.init(failure, on: machine)
            members.append(Member("sequence", sequence.rawValue))
        case .unsatisfiable(let rule):
            self.init(rule)
        case .freeRefused(let failure, let sequence):
            self.init(failure)
            members.append(Member("sequence", sequence.rawValue))
        case .keyReused(let sequence):
            self.init(.idempotencyKeyReused, "the key came with another request before")
            members = [Member("key_sequence", sequence.rawValue)]
        case .keyInUse:
            self.init(.idempotencyKeyInUse, "a request under the key is waiting for pages")
        case .tooManyWaiting:
            self.init(
                .unavailable,
                "\(ServiceLimits.waitingAllocations) allocations are waiting for pages already")
            fields = [Field("Retry-After", "1")]
        case .limitReached(let limit):
            self.init(.limitReached, limit.sentence)
        case .insufficientStorage(let freeBytes):
            self.init(
                .insufficientStorage,
                "the ledger's file system has \(freeBytes) bytes free; "
                    + "\(LedgerLimits.reservedBytes) must stay free")
            members = [
                Member("free_bytes", freeBytes),
                Member("reserved_bytes", LedgerLimits.reservedBytes),
            ]
        case .ledger(let failure):
            // Never sent: the turn ends without answers.
            self.init(.unavailable, failure.detail)
        }
    }

    private init(_ failure: AllocationFailure, on machine: SimulatedMachine?) {
        switch failure {
        case .outOfMemory(let explanation):
            self.init(.outOfMemory, "no zone that the request may use has conforming pages free")
            if let machine {
                var writer = JSONWriter(reserving: 1024)
                writer.value(ExplanationDocument(explanation, on: machine.allocator))
                members = [Member("explanation", encoded: writer.take())]
            }
        case .unsatisfiable(let rule):
            self.init(rule)
        }
    }

    private init(_ rule: Unsatisfiable) {
        self.init(.unsatisfiable, rule.sentence)
        errors = [FieldError(pointer: rule.pointer, detail: rule.sentence)]
        members = [Member("reason", rule.rawValue)]
    }

    private init(_ failure: FreeFailure) {
        switch failure {
        case .unknownAllocation:
            self.init(.allocationNotFound, "the machine never granted an allocation of that id")
        case .alreadyFreed:
            self.init(.alreadyFreed, "the pages have been freed already")
        case .notAllocated:
            self.init(.notAllocated, "no live allocation holds the page")
        case .notHead(let head):
            self.init(.notHead, "the page belongs to the compound page at pfn \(head.rawValue)")
            members = [Member("head_pfn", head.rawValue)]
        case .wrongOrder(let asked, let head, let granted):
            self.init(.wrongOrder, Self.sentence(asked: asked, head: head, granted: granted))
            members = [
                Member("asked_order", UInt64(asked.rawValue)), Member("head_pfn", head.rawValue),
            ]
            if let granted { members.append(Member("granted_order", UInt64(granted.rawValue))) }
        case .misaligned:
            self.init(.misaligned, "the pfn must be a multiple of 2^order")
            errors = [FieldError(pointer: "/path/pfn", detail: "must be a multiple of 2^order")]
        case .noSuchPage:
            self.init(.pageNotFound, "the machine has no such page to hand out")
        case .notOwner:
            self.init(.notOwner, "the pages were granted to another principal")
        }
    }

    /// - Parameter granted: nil for a run of pages.
    private static func sentence(
        asked: Order, head: PageFrameNumber, granted: Order?
    ) -> String {
        let named = "order \(asked.rawValue) was named, "
        guard let granted else { return named + "the run at pfn \(head.rawValue) has fewer pages" }
        return named + "the block at pfn \(head.rawValue) was granted with order "
            + "\(granted.rawValue)"
    }

    /// The ledger's history could not be read.
    init(_ failure: LedgerFailure) {
        self.init(.unavailable, "the ledger cannot be read: \(failure.detail)")
    }

    /// A path or query with an escape that is none.
    init(_ error: HTTPTargetError) {
        switch error {
        case .malformedEscape:
            self.init(.invalidRequest, "a % in the path or query is not followed by two hex digits")
        case .notUTF8:
            self.init(.invalidRequest, "the path or query is not UTF-8")
        }
    }

    /// A request that the server refused before it was handed on.
    init(_ error: HTTPRequestError) {
        let kind: ProblemKind =
            switch error.status {
            case 408: .requestTimeout
            case 413: .bodyTooLarge
            case 414: .uriTooLong
            case 417: .expectationFailed
            case 431: .headerTooLarge
            case 501: .notImplemented
            case 503: .unavailable
            case 505: .httpVersionNotSupported
            default: .malformedHTTP
            }
        self.init(kind, Self.limit(behind: error) ?? error.detail)
    }

    /// The limit that a request went beyond, with its number.
    private static func limit(behind error: HTTPRequestError) -> String? {
        let limits = AllocationAPI.serverLimits
        switch error {
        case .bodyTooLarge:
            return "a body may have at most \(limits.maximumBodyBytes) bytes, that of a batch "
                + "\(BodyLimits.batchBytes), and an hwloc topology \(BodyLimits.topologyBytes)"
        case .requestLineTooLong:
            return "a request line may have at most \(limits.maximumRequestLineBytes) bytes"
        case .headerTooLarge, .tooManyFields:
            return "header fields may have at most \(limits.maximumHeaderBytes) bytes, and there "
                + "may be at most \(limits.maximumHeaderFields)"
        case .timeout:
            return "a head must be whole within \(limits.headTimeout), and a body within "
                + "\(limits.bodyTimeout) after it"
        default:
            return nil
        }
    }
}

extension ServiceLimit {
    fileprivate var sentence: String {
        switch self {
        case .machines: "there may be at most \(ServiceLimits.machines) machines"
        case .spannedPages:
            "all machines together may span at most \(ServiceLimits.spannedPages) pages"
        case .controlsPerMachine:
            "a machine may have at most \(ServiceLimits.controlsPerMachine) stored controls"
        case .forcedFrees:
            "one request may free at most \(ServiceLimits.forcedFrees) live allocations"
        }
    }
}

extension Unsatisfiable {
    fileprivate var sentence: String {
        switch self {
        case .contradictoryZoneFlags: "the zone bits of the flags contradict each other"
        case .contradictoryMobility: "__GFP_MOVABLE and __GFP_RECLAIMABLE exclude each other"
        case .noSuchNode: "the machine has no such node"
        case .noSuchCPU: "the machine has no such CPU"
        case .invalidPolicy:
            "the mode, nodes and flags of the policy do not go together, or leave no node that is "
                + "allowed and has memory"
        case .homeNodeNotSupported: "only bind and preferred_many take a home_node"
        case .compoundNotPowerOfTwo:
            "a compound page is one run whose number of pages is a power of two"
        case .crossesBoundary:
            "wherever alignment and phase let it begin, the grant crosses a multiple of boundary"
        case .windowTooSmall: "the boundaries leave less room than the pages take"
        case .noBlockInBoundaries:
            "no zone that the request may use has conforming pages within the boundaries, not even "
                + "when all is free"
        }
    }

    /// The field that is first to look at.
    fileprivate var pointer: String {
        switch self {
        case .contradictoryZoneFlags, .contradictoryMobility: "/allocation_control/flags"
        case .noSuchNode: "/allocation_control/node"
        case .noSuchCPU: "/cpu"
        case .invalidPolicy: "/allocation_control/mempol"
        case .homeNodeNotSupported: "/allocation_control/mempol/home_node"
        case .compoundNotPowerOfTwo: "/allocation_control/pages"
        case .crossesBoundary: "/allocation_control/boundary"
        case .windowTooSmall, .noBlockInBoundaries: "/allocation_control/high_boundary"
        }
    }
}
