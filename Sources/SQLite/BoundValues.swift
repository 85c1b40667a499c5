// The texts and blobs that are bound to a statement. SQLite can keep copies of its own, and then
// allocates and frees memory for each. A statement is run again and again with values of about the
// same size; so each parameter has a place here that is written over.

/// Memory for a statement's parameters, numbered from 1.
@safe struct BoundValues: ~Copyable {
    /// By parameter, from 0.
    private let places: UnsafeMutableBufferPointer<Place>

    @safe fileprivate struct Place {
        var memory: UnsafeMutableRawPointer?
        var capacity = 0
    }

    /// Bytes of a place in use at the least: an empty value has an address too, since without one
    /// NULL would be bound.
    fileprivate static let minimumCapacity = 32

    init(count: Int) {
        unsafe places = .allocate(capacity: count)
        unsafe places.initialize(repeating: Place())
    }

    deinit {
        removeAll()
        unsafe places.deallocate()
    }

    /// Gives the memory back. Nothing of it may be bound any more.
    func removeAll() {
        for index in unsafe places.indices {
            unsafe places[index].memory?.deallocate()
            unsafe places[index] = Place()
        }
    }

    /// A copy of the bytes that stays in place until the parameter's next one. The statement must
    /// not be running.
    ///
    /// - Returns: nil where the statement has no such parameter, which SQLite says best.
    func keep(_ bytes: UnsafeRawBufferPointer, of parameter: Int32) -> UnsafeRawPointer? {
        let index = Int(parameter) - 1
        guard unsafe places.indices.contains(index) else { return nil }
        let memory = unsafe places[index].room(for: bytes.count)
        if let start = bytes.baseAddress {
            unsafe memory.copyMemory(from: start, byteCount: bytes.count)
        }
        return UnsafeRawPointer(memory)
    }
}

extension BoundValues.Place {
    fileprivate mutating func room(for count: Int) -> UnsafeMutableRawPointer {
        if let memory = unsafe memory, count <= capacity { return unsafe memory }
        unsafe memory?.deallocate()
        capacity = max(count, BoundValues.minimumCapacity)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        unsafe self.memory = memory
        return unsafe memory
    }
}
