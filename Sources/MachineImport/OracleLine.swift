// One line of a log of requests that a running kernel answered, and of the frees between them:
//
//     A  4139  mpol-preferred-1  1  P  GFP_KERNEL  0xcc0  0  -1  0  1:0x0:0:0  …answer…  state
//     F  3848  illegal  1  whole  200  0  state
//     S  17991  atomic-966  0  stair  …  state
//
// Fields are parted by tabs. The last one is the state, of each zone in turn; right before a
// request, right after everything else:
//
//     0.DMA:f=3582:b=0:h=0:p=64:o=0/2/1/1/1/1/2/2/2/1/2:m=5e2/3de/0/0:q=db 0.DMA32:…
//
// What the kernel answered is not read here but in `OracleAnswer`: who decides does not see it.
// Logs are tens of megabytes, so they are read as bytes, field by field.

public import PageAllocator

/// A line without the kernel's answer.
public enum OracleLine: Sendable {
    case request(OracleRequest)
    case free(OracleFree)

    /// Anything else with a state after it: `S`, and kinds of line that are not known.
    case step(state: [OracleZoneState])
}

/// An `A` line: what was asked, of what.
public struct OracleRequest: Sendable {
    /// Which function of the kernel was called.
    public enum Call: UInt8, Sendable {
        /// `alloc_pages`: the task's policy decides.
        case byPolicy = 0x50
        /// `__alloc_pages` with a node.
        case onNode = 0x4e
        /// `__alloc_pages` with a node and a mask.
        case withMask = 0x4d
        /// `alloc_contig_pages`.
        case contiguous = 0x43
    }

    public let sequence: Int

    public let phase: String
    public let cpu: Int
    public let call: Call
    public var flags: GFPFlags

    /// log2 of the pages; for `contiguous` the number of pages. Below 2^52.
    public let size: UInt64

    /// nil: the CPU's own.
    public let node: NodeID?

    /// Bit n: node n; 0: no mask.
    public var nodeMask: UInt64
    public var policy: MemoryPolicy?
    public let interleave: InterleaveState

    /// Right before.
    public var state: [OracleZoneState]

    /// The phase without what follows its first hyphen, which says of what or how far.
    var phaseGroup: String { String(phase.prefix { $0 != "-" }) }
}

/// An `F` line.
public struct OracleFree: Sendable {
    public let sequence: Int
    public let cpu: Int

    /// whole, whole-comp, split, rsplit, ref-tail, ref-head, one-head, one-rest, contig.
    public let kind: String
    public let pfn: PageFrameNumber

    /// log2 of the pages; for `contig` the number of pages. Below 2^52.
    public let size: UInt64

    /// Right after.
    public let state: [OracleZoneState]
}

/// A zone at one moment.
public struct OracleZoneState: Hashable, Sendable {
    public var name: OracleZone.Name
    public var record: RecordedZone

    /// Pages on the lists of the line's CPU.
    public var perCPUPages: UInt64

    /// Free blocks of each order, 0 first: `nr_free`.
    public var freeBlocks: [UInt64]
}
