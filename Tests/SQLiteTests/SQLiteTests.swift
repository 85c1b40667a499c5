// The thin layer: what is bound is read back, errors have their names, and the write-ahead log does
// as it is told.

import Glibc
import SQLite
import TestSupport
import Testing

@Suite struct StatementTests {
    private let directory = TemporaryDirectory()

    private func database() throws -> Connection {
        let connection = try Connection(path: directory.file("db"), access: .readWriteCreate)
        try connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT")
        return connection
    }

    @Test(arguments: [Int64.min, -1, 0, 1, .max])
    func integersComeBack(value: Int64) throws {
        let statement = try database().prepare("SELECT ?")
        try statement.bind(value, at: 1)
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .integer)
        #expect(statement.integer(at: 0) == value)
    }

    @Test(arguments: [UInt64(0), 1 << 63, .max])
    func unsignedIntegersComeBackAsTheirBits(value: UInt64) throws {
        let statement = try database().prepare("SELECT ?")
        try statement.bind(bitPattern: value, at: 1)
        #expect(try statement.step())
        #expect(UInt64(bitPattern: statement.integer(at: 0)) == value)
    }

    @Test(arguments: ["", "a", "a\0b", "Grüße, 世界 🙂", String(repeating: "long ", count: 5000)])
    func textComesBack(text: String) throws {
        let statement = try database().prepare("SELECT ?")
        try statement.bind(text, at: 1)
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .text)
        #expect(statement.text(at: 0) == text)
    }

    @Test(arguments: [[], [0], [UInt8](0...255)])
    func bytesComeBack(bytes: [UInt8]) throws {
        let statement = try database().prepare("SELECT ?")
        try statement.bind(bytes, at: 1)
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .blob)
        #expect(statement.bytes(at: 0) == bytes)
    }

    @Test func nullIsNothing() throws {
        let statement = try database().prepare("SELECT ?, ?, 1.5")
        try statement.bind("bound", at: 1)
        try statement.bindNull(at: 1)
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .null)
        #expect(statement.storageClass(at: 1) == .null)
        #expect(statement.text(at: 0) == nil)
        #expect(statement.bytes(at: 0) == [])
        #expect(statement.storageClass(at: 2) == .real)
        #expect(statement.columnCount == 3)
    }

    @Test func textThatIsNotUTF8IsNil() throws {
        let statement = try database().prepare("SELECT CAST(x'61ff' AS TEXT)")
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .text)
        #expect(statement.text(at: 0) == nil)
    }

    @Test func bindingsStayUntilTheyAreCleared() throws {
        let statement = try database().prepare("SELECT ?")
        try statement.bind(7, at: 1)
        for _ in 0..<2 {
            #expect(try statement.step())
            #expect(statement.integer(at: 0) == 7)
            #expect(try !statement.step())
            statement.reset()
        }
        statement.clearBindings()
        #expect(try statement.step())
        #expect(statement.storageClass(at: 0) == .null)
    }

    /// What is bound is kept for each parameter on its own, and no longer than it is bound.
    @Test func eachParameterHasItsOwnValue() throws {
        let statement = try database().prepare("SELECT ?, ?, ?")
        for length in [3, 0, 40, 1, 5000, 39] {
            let text = String(repeating: "x", count: length)
            let bytes = [UInt8](repeating: 7, count: length)
            try statement.bind("first", at: 1)
            try statement.bind(text, at: 2)
            try statement.bind(bytes, at: 3)
            #expect(try statement.step())
            #expect(statement.text(at: 0) == "first")
            #expect(statement.text(at: 1) == text)
            #expect(statement.bytes(at: 2) == bytes)
            statement.reset()
            statement.clearBindings()
            #expect(try statement.step())
            #expect((0..<3).allSatisfy { statement.storageClass(at: $0) == .null })
            statement.reset()
        }
    }

    @Test func bytesAreHandedOverInPlace() throws {
        let statement = try database().prepare("SELECT 'abc', x'00ff', NULL, 12")
        #expect(try statement.step())
        var values: [[UInt8]] = []
        for column in 0..<Int32(4) {
            statement.withBytes(at: column) { bytes in
                values.append(bytes.indices.map { bytes[$0] })
            }
        }
        #expect(values == [Array("abc".utf8), [0x00, 0xff], Array("12".utf8)])
    }

    @Test func aFailedRunCanBeRunAgain() throws {
        let connection = try database()
        let insertion = try connection.prepare("INSERT INTO t (id) VALUES (?)")
        try insertion.bind(1, at: 1)
        try insertion.run()
        #expect(try code { () throws(SQLiteError) in try insertion.run() } == .constraint)
        try insertion.bind(2, at: 1)
        try insertion.run()
        #expect(try connection.pragma("quick_check") == "ok")
    }

    @Test func aParameterThatIsNotThereIsAnError() throws {
        let statement = try database().prepare("SELECT ?")
        #expect(throws: SQLiteError.self) { try statement.bind(1, at: 2) }
        #expect(throws: SQLiteError.self) { try statement.bind("text", at: 2) }
        #expect(throws: SQLiteError.self) { try statement.bind([UInt8(1)], at: 0) }
    }

    @Test func aStatementKeepsItsConnection() throws {
        let statement = try database().prepare("SELECT count(*) FROM t")
        #expect(try statement.step())
        #expect(statement.integer(at: 0) == 0)
    }
}

@Suite struct ConnectionTests {
    private let directory = TemporaryDirectory()

    private func open(_ access: Connection.Access = .readWriteCreate) throws -> Connection {
        try Connection(path: directory.file("db"), access: access)
    }

    @Test func aMissingFileCannotBeOpenedForReading() throws {
        let file = directory.file("db")
        #expect(
            try code { () throws(SQLiteError) in
                _ = try Connection(path: file, access: .readOnly)
            } == .cannotOpen)
    }

    @Test func aReaderCannotWrite() throws {
        try open().execute("CREATE TABLE t (a)")
        let reader = try open(.readOnly)
        #expect(
            try code { () throws(SQLiteError) in try reader.execute("INSERT INTO t VALUES (1)") }
                == .readOnly)
    }

    @Test func anotherFileIsNoDatabase() throws {
        let file = unsafe try #require(fopen(directory.file("db"), "w"))
        let text = String(repeating: "This is not a database. ", count: 100)
        #expect(unsafe fputs(text, file) >= 0)
        unsafe fclose(file)
        let connection = try open()
        #expect(
            try code { () throws(SQLiteError) in _ = try connection.pragma("user_version") }
                == .notADatabase)
    }

    @Test func anErrorSaysWhatWasDone() throws {
        let connection = try open()
        #expect {
            try connection.prepare("SELECT a FROM nowhere")
        } throws: { error in
            let text = (error as? SQLiteError)?.description ?? ""
            return text.contains("SELECT a FROM nowhere") && text.contains("no such table")
        }
    }

    @Test func aFullDatabaseIsFull() throws {
        let connection = try open()
        try connection.execute("CREATE TABLE t (a)")
        try connection.setPragma("max_page_count", to: "3")
        #expect(
            try code { () throws(SQLiteError) in
                try connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
            } == .full)
    }

    @Test func twoWritersAreOneTooMany() throws {
        let (first, second) = (try open(), try open())
        try first.execute("CREATE TABLE t (a); BEGIN IMMEDIATE")
        #expect(
            try code { () throws(SQLiteError) in try second.execute("BEGIN IMMEDIATE") } == .busy)
        first.rollBack()
        try second.execute("BEGIN IMMEDIATE; COMMIT")
    }

    @Test func aTransactionHappensWhollyOrNotAtAll() throws {
        let connection = try open()
        try connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        try connection.transaction { () throws(SQLiteError) in
            try connection.execute("INSERT INTO t VALUES (1)")
        }
        #expect(
            try code { () throws(SQLiteError) in
                try connection.transaction { () throws(SQLiteError) in
                    try connection.execute("INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)")
                }
            } == .constraint)
        let count = try connection.prepare("SELECT count(*) FROM t")
        #expect(try count.step())
        #expect(count.integer(at: 0) == 1)
    }

    @Test func settingsAreReadBack() throws {
        let connection = try open()
        try connection.setPragma("cell_size_check", to: "1")
        #expect(try connection.pragma("cell_size_check") == "1")
        #expect(try connection.pragma("no_such_pragma") == nil)
        try connection.setPersistentWAL(true)
        #expect(try connection.isWALPersistent())
        try connection.setPersistentWAL(false)
        #expect(try !connection.isWALPersistent())
    }

    @Test func theLogIsCountedAndCopiedAndBeginsAgain() throws {
        let connection = try open()
        try connection.setPragma("journal_mode", to: "wal")
        try connection.setPragma("wal_autocheckpoint", to: "0")
        connection.countWALFrames()
        try connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        let frames = connection.walFrameCount
        #expect(frames > 1)
        let checkpoint = try connection.checkpoint()
        #expect(checkpoint.frames == frames)
        #expect(checkpoint.copied == frames)
        try connection.execute("INSERT INTO t VALUES (2)")
        #expect(connection.walFrameCount == 1)
    }

    @Test func aReaderKeepsTheLogFromBeginningAgain() throws {
        let connection = try open()
        try connection.setPragma("journal_mode", to: "wal")
        connection.countWALFrames()
        try connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        let reader = try open(.readOnly).prepare("SELECT a FROM t")
        #expect(try reader.step())
        try connection.execute("INSERT INTO t VALUES (2)")
        let frames = connection.walFrameCount
        let checkpoint = try connection.checkpoint()
        #expect(checkpoint.frames == frames)
        #expect(checkpoint.copied < frames)
        reader.reset()
        #expect(try connection.checkpoint().copied == frames)
    }

    @Test(arguments: [false, true])
    func theLogStaysWhereItIsToldTo(isPersistent: Bool) throws {
        try keepALog(isPersistent: isPersistent)
        #expect((unsafe access(directory.file("db-wal"), F_OK) == 0) == isPersistent)
    }

    private func keepALog(isPersistent: Bool) throws {
        let connection = try open()
        try connection.setPragma("journal_mode", to: "wal")
        try connection.setPersistentWAL(isPersistent)
        try connection.execute("CREATE TABLE t (a)")
    }

    @Test func closingDoesNotCheckpointWhereItIsToldNotTo() throws {
        try leaveALog()
        var status = stat()
        #expect(unsafe stat(directory.file("db"), &status) == 0)
        // The first page, which turning to WAL wrote; the table is in the log alone.
        #expect(status.st_size == 4096)
        #expect(try open().pragma("table_list('t')") == "main")
    }

    private func leaveALog() throws {
        let connection = try open()
        try connection.setPragma("journal_mode", to: "wal")
        try connection.disableCheckpointOnClose()
        try connection.execute("CREATE TABLE t (a)")
    }
}

/// The code of the error that `body` throws.
private func code(_ body: () throws(SQLiteError) -> Void) throws -> SQLiteError.Code {
    do throws(SQLiteError) {
        try body()
    } catch {
        return error.code
    }
    throw NoError()
}

private struct NoError: Error {}
