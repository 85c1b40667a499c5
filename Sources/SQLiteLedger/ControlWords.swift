// The words of `details` that are about a control: what it asks for beyond flags, order, node and
// boundaries.

import PageAllocator

enum ControlWords {
    static func words(_ control: AllocationControl) -> [String] {
        guard !control.isSaidByColumns else { return [] }
        var words: [String] = []
        if let policy = control.memoryPolicy {
            append(policy, to: &words)
        }
        if let nodes = control.allowedNodes {
            words.append("allowed_nodes=\(list(nodes))")
        }
        if control.alignment != 0 { words.append("alignment=\(hexadecimal(control.alignment))") }
        if control.phase != 0 { words.append("phase=\(hexadecimal(control.phase))") }
        if control.boundary != 0 { words.append("boundary=\(hexadecimal(control.boundary))") }
        if let pages = control.pages {
            words.append("pages=\(pages)")
            if control.order != .zero { words.append("order=\(control.order.rawValue)") }
        }
        if control.maxSegments != 1 { words.append("max_segments=\(control.maxSegments)") }
        if control.fit != .buddy { words.append("fit=\(control.fit.rawValue)") }
        return words
    }

    private static func append(_ policy: MemoryPolicy, to words: inout [String]) {
        words.append("policy=\(policy.mode.name)")
        if !policy.flags.isEmpty {
            words.append("policy_flags=\(hexadecimal(UInt64(policy.flags.rawValue)))")
        }
        if !policy.nodes.isEmpty {
            words.append("policy_nodes=\(list(policy.nodes))")
        }
        if let node = policy.homeNode {
            words.append("home_node=\(node.rawValue)")
        }
        if !policy.weights.isEmpty {
            let weights = policy.weights.map { "\($0.node.rawValue):\($0.pages)" }
            words.append("weights=\(weights.joined(separator: ","))")
        }
    }

    private static func list(_ nodes: [NodeID]) -> String {
        nodes.map { String($0.rawValue) }.joined(separator: ",")
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        "0x" + String(value, radix: 16)
    }

    /// Gives a control what a word says; false where there is no such word, or no such value.
    static func set(
        _ name: String, _ value: Substring, in control: inout AllocationControl
    ) -> Bool {
        switch name {
        case "allowed_nodes":
            control.allowedNodes = nodes(value)
            return control.allowedNodes != nil
        case "alignment": return assign(bits(value), to: &control.alignment)
        case "phase": return assign(bits(value), to: &control.phase)
        case "boundary": return assign(bits(value), to: &control.boundary)
        case "pages":
            control.pages = UInt64(value)
            return control.pages != nil
        case "order": return assign(Int(value).flatMap { Order($0) }, to: &control.order)
        case "max_segments": return assign(Int(value), to: &control.maxSegments)
        case "fit": return assign(Fit(rawValue: String(value)), to: &control.fit)
        case "policy":
            control.memoryPolicy = MemoryPolicy.Mode(name: String(value))
                .map { MemoryPolicy(mode: $0) }
            return control.memoryPolicy != nil
        default:
            guard var policy = control.memoryPolicy else { return false }
            defer { control.memoryPolicy = policy }
            return set(name, value, in: &policy)
        }
    }

    private static func set(
        _ name: String, _ value: Substring, in policy: inout MemoryPolicy
    ) -> Bool {
        switch name {
        case "policy_flags":
            let flags = bits(value).flatMap { UInt32(exactly: $0) }
            return assign(flags.map { MemoryPolicy.Flags(rawValue: $0) }, to: &policy.flags)
        case "policy_nodes": return assign(nodes(value), to: &policy.nodes)
        case "home_node":
            policy.homeNode = node(value)
            return policy.homeNode != nil
        case "weights": return assign(weights(value), to: &policy.weights)
        default: return false
        }
    }

    private static func assign<Value>(_ value: Value?, to field: inout Value) -> Bool {
        guard let value else { return false }
        field = value
        return true
    }

    private static func bits(_ text: Substring) -> UInt64? {
        UInt64(text.dropFirst("0x".count), radix: 16)
    }

    private static func node(_ text: Substring) -> NodeID? {
        Int(text).flatMap { NodeID($0) }
    }

    private static func nodes(_ text: Substring) -> [NodeID]? {
        text.elements(separatedBy: ",") { node($0) }
    }

    private static func weights(_ text: Substring) -> [MemoryPolicy.Weight]? {
        text.elements(separatedBy: ",") { element in
            let parts = element.split(separator: ":")
            guard parts.count == 2, let node = node(parts[0]), let pages = UInt8(parts[1]) else {
                return nil
            }
            return MemoryPolicy.Weight(node: node, pages: pages)
        }
    }
}

extension Substring {
    /// What the parts of a list stand for; nil where one of them stands for nothing.
    func elements<Element>(
        separatedBy separator: Character, _ read: (Substring) -> Element?
    ) -> [Element]? {
        var elements: [Element] = []
        for part in split(separator: separator) {
            guard let element = read(part) else { return nil }
            elements.append(element)
        }
        return elements
    }
}
