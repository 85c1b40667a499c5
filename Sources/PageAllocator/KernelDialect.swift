/// The kernel whose rules and GFP bit values a machine follows. It is fixed when the machine is
/// created, since the bits move between kernels.
public enum KernelDialect: String, CaseIterable, Sendable {
    case linux61 = "linux-6.1"
    case linux612 = "linux-6.12"
}
