/// The columns of the table `ledger`, in the order in which statements name them. What they hold is
/// said in `migrations/*.sql`.
enum LedgerColumn: Int32, CaseIterable {
    case sequence
    case time
    case machine
    case kind
    case outcome
    case requestID
    case machineName
    case control
    case owner
    case dialect
    case flags
    case additionalFlags
    case lowBoundary
    case highBoundary
    case requestNode
    case requestCPU
    case labels
    case targetPFN
    case targetOrder
    case allocation
    case pfn
    case blockOrder
    case freedPages
    case node
    case zone
    case migratetype
    case compound
    case reason
    case document
    case details
    case principal
    case idempotencyKey
    case fingerprint
    case ttlSeconds
    case hash
    case traceParent

    /// The column's position in the rows of a selection of all columns: from 0.
    var position: Int32 { rawValue }

    /// The column's parameter in an insertion of all columns: from 1.
    var parameter: Int32 { rawValue + 1 }

    /// All columns, as SQL names them.
    static let list = allCases.map(\.name).joined(separator: ", ")

    var name: String {
        switch self {
        case .sequence: "sequence"
        case .time: "time"
        case .machine: "machine"
        case .kind: "kind"
        case .outcome: "outcome"
        case .requestID: "request_id"
        case .machineName: "machine_name"
        case .control: "control"
        case .owner: "owner"
        case .dialect: "dialect"
        case .flags: "flags"
        case .additionalFlags: "additional_flags"
        case .lowBoundary: "low_boundary"
        case .highBoundary: "high_boundary"
        case .requestNode: "request_node"
        case .requestCPU: "request_cpu"
        case .labels: "labels"
        case .targetPFN: "target_pfn"
        case .targetOrder: "target_order"
        case .allocation: "allocation"
        case .pfn: "pfn"
        case .blockOrder: "block_order"
        case .freedPages: "freed_pages"
        case .node: "node"
        case .zone: "zone"
        case .migratetype: "migratetype"
        case .compound: "compound"
        case .reason: "reason"
        case .document: "document"
        case .details: "details"
        case .principal: "principal"
        case .idempotencyKey: "idempotency_key"
        case .fingerprint: "fingerprint"
        case .ttlSeconds: "ttl_seconds"
        case .traceParent: "traceparent"
        case .hash: "hash"
        }
    }
}
