// One connection's TLS, as a filter of bytes: what the socket received goes in, what the peer said
// comes out; what is to be said goes in, what the socket is to send comes out. It has no socket and
// never waits.

internal import CTLS

/// The TLS of one connection. One thread at a time.
@safe public final class TLSSession {
    /// Why a session cannot go on.
    public enum Failure: Sendable, Equatable {
        /// The peer spoke HTTP without TLS.
        case plainHTTP
        /// Anything else, in libssl's words.
        case broken(reason: String)
    }

    /// Bytes encrypted at a time: those of the largest record (RFC 8446, section 5.1), so that
    /// no more than one waits in libssl's memory.
    private static let recordBytes = 16 << 10

    private let session: OpaquePointer
    /// What the socket received and libssl has not yet read. Owned by `session`, like `outgoing`.
    private let incoming: OpaquePointer
    /// What libssl has written and the socket is to send.
    private let outgoing: OpaquePointer

    /// Whether the handshake is over.
    public private(set) var isEstablished = false
    /// The peer has said that it sends nothing more.
    public private(set) var hasPeerEnded = false
    /// Set once; nothing can be read or written any more.
    public private(set) var failure: Failure?
    private var hasEnded = false

    init?(_ context: OpaquePointer, isServer: Bool) {
        guard let session = unsafe SSL_new(context) else { return nil }
        guard let incoming = unsafe BIO_new(BIO_s_mem()) else {
            unsafe SSL_free(session)
            return nil
        }
        guard let outgoing = unsafe BIO_new(BIO_s_mem()) else {
            unsafe BIO_free(incoming)
            unsafe SSL_free(session)
            return nil
        }
        unsafe SSL_set_bio(session, incoming, outgoing)
        unsafe self.session = session
        unsafe self.incoming = incoming
        unsafe self.outgoing = outgoing
        if isServer {
            unsafe SSL_set_accept_state(session)
        } else {
            unsafe SSL_set_connect_state(session)
        }
    }

    deinit {
        unsafe SSL_free(session)
    }

    /// Takes what the socket has received.
    public func receive(_ ciphertext: UnsafeRawBufferPointer) {
        var count = 0
        let result = unsafe BIO_write_ex(
            incoming, ciphertext.baseAddress, ciphertext.count, &count)
        if result != 1 { fail() }
    }

    /// Moves what the peer has said into `free`, going on with the handshake first. To be repeated
    /// until it returns 0: then all that was received has been read, and `output` may have
    /// something to send.
    ///
    /// - Returns: how many bytes; 0 for none, where `hasPeerEnded` and `failure` say whether there
    ///   will be any.
    public func read(into free: UnsafeMutableRawBufferPointer) -> Int {
        guard failure == nil, !hasPeerEnded else { return 0 }
        ERR_clear_error()
        var count = 0
        let result = unsafe SSL_read_ex(session, free.baseAddress, free.count, &count)
        if !isEstablished { isEstablished = unsafe SSL_is_init_finished(session) == 1 }
        if result == 1 { return count }
        switch unsafe SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ: break
        case SSL_ERROR_ZERO_RETURN: hasPeerEnded = true
        default: fail()
        }
        return 0
    }

    /// Appends what the socket is to send to `output`: records of the handshake, alerts.
    public func takeOutput(into output: inout [UInt8]) {
        let pending = unsafe BIO_ctrl_pending(outgoing)
        guard pending > 0 else { return }
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: pending))
        unsafe output.withUnsafeMutableBytes { bytes in
            var count = 0
            let result = unsafe BIO_read_ex(
                outgoing, bytes.baseAddress! + start, pending, &count)
            precondition(result == 1 && count == pending, "a memory BIO gives what it holds")
        }
    }

    /// Replaces the end of `output`, from `start`, by what the socket is to send for it.
    public func seal(_ output: inout [UInt8], from start: Int) {
        guard failure == nil else {
            output.removeSubrange(start...)
            return
        }
        let plaintext = Array(output[start...])
        output.removeSubrange(start...)
        var position = 0
        while position < plaintext.count, failure == nil {
            let end = min(position + Self.recordBytes, plaintext.count)
            write(plaintext.span.extracting(position..<end))
            takeOutput(into: &output)
            position = end
        }
    }

    /// Says to the peer that nothing more will come (RFC 8446, section 6.1); once, and after a
    /// handshake that was whole.
    public func end(into output: inout [UInt8]) {
        guard isEstablished, failure == nil, !hasEnded else { return }
        hasEnded = true
        ERR_clear_error()
        // 0: the peer has not said so itself yet, which is not waited for.
        if unsafe SSL_shutdown(session) < 0 { fail() }
        takeOutput(into: &output)
    }

    /// Begins the handshake of the side that asks. Output is there afterwards.
    public func connect() {
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(session)
        if result != 1, unsafe SSL_get_error(session, result) != SSL_ERROR_WANT_READ { fail() }
    }

    private func write(_ plaintext: Span<UInt8>) {
        ERR_clear_error()
        var count = 0
        let result = unsafe plaintext.withUnsafeBytes { bytes in
            unsafe SSL_write_ex(session, bytes.baseAddress, bytes.count, &count)
        }
        if result != 1 || count != plaintext.count { fail() }
    }

    private func fail() {
        guard failure == nil else { return }
        let isHTTP = ctls_is_http_request(ERR_peek_last_error()) == 1
        let reason = TLSError.lastReason()
        failure = isHTTP ? .plainHTTP : .broken(reason: reason)
    }
}

extension TLSSession {
    /// The common name of the peer's certificate, which a known authority has signed; nil without
    /// a certificate, and for one with no common name, with several, or with one that is no text.
    public var peerName: String? {
        guard isEstablished, unsafe SSL_get_verify_result(session) == Int(X509_V_OK),
            let certificate = unsafe SSL_get1_peer_certificate(session)
        else { return nil }
        defer { unsafe X509_free(certificate) }
        let subject = unsafe X509_get_subject_name(certificate)
        let index = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0,
            unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, index) < 0,
            let entry = unsafe X509_NAME_get_entry(subject, index)
        else { return nil }
        return unsafe Self.text(X509_NAME_ENTRY_get_data(entry))
    }

    /// A string of a certificate as UTF-8; nil where it holds control characters.
    private static func text(_ string: UnsafeMutablePointer<ASN1_STRING>?) -> String? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&bytes, string)
        guard count > 0, let bytes = unsafe bytes else { return nil }
        defer { unsafe CRYPTO_free(bytes, #fileID, #line) }
        let text = unsafe String(
            validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
        guard let text, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return nil }
        return text
    }
}
