// /proc/iomem: the tree of resources by physical address, two blanks of indentation a level.
//
// Memory that zones are made of is called "System RAM" at the outermost level. "System RAM (kmem)",
// "Soft Reserved" and CXL windows are something else: device memory, which belongs to a zone only
// once somebody has put it there. Inside System RAM the kernel names where its own image lies and
// what it keeps for a crash kernel. Readers without privilege see every address as zero.
//
// Source: `r_show`, kernel/resource.c; `setup_arch`, arch/x86/kernel/setup.c.

public import PageAllocator

/// What /proc/iomem says about memory.
public struct Iomem: Hashable, Sendable {
    /// The most ranges of System RAM and of the kernel's image, together, that are read.
    public static let maximumRanges = 16_384

    /// Whole pages of System RAM.
    public let systemRAM: [FrameRange]

    /// Pages that hold at least a byte of the kernel's image or of the crash kernel's memory.
    public let kernelImage: [FrameRange]

    /// Whether the text has addresses: it has none for a reader without privilege.
    public let hasAddresses: Bool

    /// - Throws: `ImportFailure.text`: the line, and the rule that it breaks.
    public init(parsing text: String) throws(ImportFailure) {
        var systemRAM: [AddressRange] = []
        var kernelImage: [AddressRange] = []
        var hasAddresses = false
        var isInSystemRAM = false
        for line in TextLine.lines(of: text) where !line.words.isEmpty {
            let (range, name) = try Self.resource(line)
            hasAddresses = hasAddresses || range.last > 0
            if line.indentation == 0 {
                isInSystemRAM = name == "System RAM"
                if isInSystemRAM { systemRAM.append(range) }
            } else if isInSystemRAM, Self.imageNames.contains(name) {
                kernelImage.append(range)
            }
            guard systemRAM.count + kernelImage.count <= Self.maximumRanges else {
                throw .text(
                    .iomem, line: line.number,
                    rule: "there must be at most \(Self.maximumRanges) ranges of memory")
            }
        }
        self.systemRAM = AddressRange.wholePages(of: systemRAM)
        self.kernelImage = AddressRange.touchedPages(of: kernelImage)
        self.hasAddresses = hasAddresses
    }

    private static let imageNames = [
        "Kernel code", "Kernel rodata", "Kernel data", "Kernel bss", "Crash kernel",
    ]

    /// `  01000000-01e01d31 : Kernel code`
    private static func resource(
        _ line: TextLine
    ) throws(ImportFailure) -> (range: AddressRange, name: String) {
        let words = line.words
        let bounds = words[0].split(
            separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count >= 3, words[1] == ":", bounds.count == 2,
            let first = UInt64(hexadecimal: bounds[0]), let last = UInt64(hexadecimal: bounds[1])
        else {
            throw .text(
                .iomem, line: line.number,
                rule: "a line must be \"FIRST-LAST : NAME\" with 64-bit hexadecimal addresses")
        }
        let range = AddressRange(first: first, last: last)
        guard !range.isReversed else {
            throw .text(
                .iomem, line: line.number,
                rule: "the last address of a range must not lie before its first")
        }
        return (range, words.dropFirst(2).joined(separator: " "))
    }
}
