// What refusals claim, on machines small enough to look at every frame.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Certificate")
struct CertificateTests {
    static let machines = 3000
    static let stepsPerMachine = 60

    @Test(
        "each refusal's certificate can be checked", arguments: [KernelDialect.linux61, .linux612])
    func everyRefusal(dialect: KernelDialect) throws {
        var refusals = 0
        var bindings: Set<Constraint> = []
        for seed in 0..<UInt64(Self.machines) {
            var random = SeededGenerator(seed: seed)
            let machine = Machine.random(.tiny, dialect: dialect, random: &random)
            var life = RefusingLife(on: machine, random: random)
            for step in 0..<Self.stepsPerMachine {
                guard let (request, certificate, checker) = life.step() else { continue }
                refusals += 1
                bindings.insert(certificate.bindingConstraint)
                if let fault = checker.fault(in: certificate) {
                    Issue.record(
                        "seed \(seed), step \(step): \(fault)\n\(request)\n\(certificate)")
                    return
                }
            }
        }
        #expect(refusals > Self.machines * 5)
        #expect(bindings.count >= 9, "only \(bindings) were ever binding")
    }
}

/// A small machine that is filled and emptied at random, twice: by the allocator and the reference.
private struct RefusingLife: ~Copyable {
    private var allocator: PageAllocator
    private var reference: ReferenceAllocator
    private var random: SeededGenerator
    private var id: UInt64 = 0

    init(on machine: Machine, random: SeededGenerator) {
        allocator = PageAllocator(machine: machine)
        reference = ReferenceAllocator(machine)
        self.random = random
    }

    /// Allocates or frees; for a refusal the certificate, and what judges it.
    mutating func step() -> (AllocationRequest, Certificate, CertificateChecker)? {
        if random.chance(percent: 25), let id = reference.liveGrants.randomElement(using: &random) {
            _ = reference.free(id)
            _ = try? allocator.free(id)
            return nil
        }
        let request = request()
        id += 1
        let before = reference
        do throws(AllocationFailure) {
            let grant = try allocator.allocatePages(request, as: AllocationID(id))
            _ = reference.allocate(request, as: AllocationID(id), offered: .success(grant))
            return nil
        } catch {
            guard case .outOfMemory(let explanation) = error,
                let certificate = explanation.certificate
            else { return nil }
            return (request, certificate, CertificateChecker(request, refusedBy: before))
        }
    }

    private mutating func request() -> AllocationRequest {
        let machine = allocator.machine
        var control = AllocationControl()
        control.flags = random.pick([
            .kernel, .kernel, [.kernel, .dma32], [.kernel, .dma], [.kernel, .movable, .highmem],
            [.kswapdReclaim, .high], [.kernel, .thisNode],
        ])
        if random.chance(percent: 50) {
            control.pages = UInt64(1 + min(random.below(20), random.below(20)))
            if random.chance(percent: 30) { control.maxSegments = 2 + random.below(3) }
            control.fit = random.pick(Fit.allCases)
            if random.chance(percent: 20) {
                control.flags.formUnion(.compound)
                control.pages = 1 << UInt64(random.below(5))
                control.maxSegments = 1
            }
        } else {
            control.order = Order(sketched: min(random.below(5), random.below(5)))
        }
        if random.chance(percent: 30) {
            let pages = UInt64(1) << UInt64(random.below(5))
            control.alignment = pages << 12
            if control.pages != nil, random.chance(percent: 40) {
                control.phase = (random.next() % pages) << 12
            }
        }
        if random.chance(percent: 30) { control.boundary = 4096 << UInt64(random.below(6)) }
        let spans = machine.zones.filter { $0.spannedPages > 0 }.map(\.span)
        let first = spans.map(\.lowerBound.rawValue).min() ?? 0
        let end = spans.map(\.upperBound.rawValue).max() ?? 0
        if random.chance(percent: 30) {
            control.lowBoundary = (first + random.next() % (end - first)) << 12
        }
        if random.chance(percent: 30) {
            control.highBoundary = (first + 1 + random.next() % (end - first)) << 12 - 1
        }
        if random.chance(percent: 15) {
            let node = random.pick(machine.nodes).id
            control.memoryPolicy = MemoryPolicy(mode: .bind, nodes: [node])
        }
        if random.chance(percent: 10) { control.allowedNodes = [random.pick(machine.nodes).id] }
        return AllocationRequest(control: control)
    }
}
