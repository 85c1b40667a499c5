// Controls as the contract spells them. What a control does not ask for is left out, but for the
// RFC's own fields.

import JSON
import Ledger
import PageAllocator

extension JSONWriter {
    mutating func value(_ stored: StoredControl, on machine: SimulatedMachine) {
        beginObject()
        member("name", stored.name)
        member("machine", machine.name)
        key("allocation_control")
        value(stored.control, machine.allocator.machine.dialect)
        if let next = stored.nextNode(on: machine.allocator.machine) {
            member("next_node", next.rawValue)
        }
        if stored.isBuiltIn { member("built_in", true) }
        member("updated_at", stored.putAt)
        member("sequence", stored.sequence.rawValue)
        endObject()
    }

    mutating func value(_ control: AllocationControl, _ dialect: KernelDialect) {
        beginObject()
        key("flags")
        value(control.flags, dialect)
        if control.pages == nil { member("order", control.order.rawValue) }
        member("node", control.node?.rawValue ?? -1)
        member("low_boundary", hex: control.lowBoundary)
        member("high_boundary", hex: control.highBoundary)
        if let policy = control.memoryPolicy {
            key("mempol")
            value(policy)
        }
        if let nodes = control.allowedNodes {
            key("mems_allowed")
            value(nodes)
        }
        if !control.isPlainBlock { placementMembers(of: control) }
        endObject()
    }

    private mutating func placementMembers(of control: AllocationControl) {
        if control.alignment > 0 { member("alignment", hex: control.alignment) }
        if control.phase > 0 { member("phase", hex: control.phase) }
        if control.boundary > 0 { member("boundary", hex: control.boundary) }
        if let pages = control.pages { member("pages", pages) }
        if control.maxSegments > 1 { member("max_segments", control.maxSegments) }
        if control.fit != .buddy { member("fit", control.fit.rawValue) }
    }

    mutating func value(_ policy: MemoryPolicy) {
        beginObject()
        member("mode", policy.mode.name)
        if !policy.nodes.isEmpty {
            key("nodes")
            value(policy.nodes)
        }
        if !policy.flags.isEmpty {
            key("flags")
            beginArray()
            for (name, flag) in MemoryPolicy.Flags.names where policy.flags.contains(flag) {
                value(name)
            }
            endArray()
        }
        if !policy.weights.isEmpty {
            key("weights")
            beginObject()
            for weight in policy.weights {
                key(String(weight.node.rawValue))
                value(weight.pages)
            }
            endObject()
        }
        if let home = policy.homeNode { member("home_node", home.rawValue) }
        endObject()
    }

    mutating func value(_ nodes: [NodeID]) {
        beginArray()
        for node in nodes { value(node.rawValue) }
        endArray()
    }
}

extension StoredControl {
    /// The node where the next allocation with this control alone starts, where its policy has a
    /// round of nodes.
    fileprivate func nextNode(on machine: Machine) -> NodeID? {
        guard control.memoryPolicy != nil else { return nil }
        return AllocationRequest(control: control, interleave: interleave)
            .interleaveNode(on: machine)
    }
}
