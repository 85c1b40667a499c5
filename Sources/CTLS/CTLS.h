// OpenSSL's libssl: TLS over memory, and what of it Swift cannot import: macros that are calls.

#ifndef CTLS_H
#define CTLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/// Offers "http/1.1" and nothing else by ALPN (RFC 7301). A client that offers protocols without it
/// is refused; one that offers none is taken to speak it.
static inline int ctls_select_protocol(
    SSL *session, const unsigned char **selected, unsigned char *selected_length,
    const unsigned char *offered, unsigned int offered_length, void *context) {
    static const unsigned char known[] = "\x08http/1.1";
    (void)session;
    (void)context;
    int result = SSL_select_next_proto(
        (unsigned char **)selected, selected_length, known, sizeof known - 1, offered,
        offered_length);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// A key that needs a password is not read: nobody is asked at a terminal.
static inline int ctls_no_password(char *buffer, int size, int is_writing, void *context) {
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

/// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, without renegotiation and
/// without resumption: each connection shows its certificate anew. Returns 1, or 0 for a failure.
static inline int ctls_configure(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, ctls_no_password);
    return SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static inline void ctls_serve_http(SSL_CTX *context) {
    SSL_CTX_set_alpn_select_cb(context, ctls_select_protocol, NULL);
}

/// Sends "http/1.1" by ALPN. Returns 1, or 0 for a failure.
static inline int ctls_ask_for_http(SSL_CTX *context) {
    static const unsigned char protocols[] = "\x08http/1.1";
    return SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0;
}

/// The library and the reason of a packed error code, without the place in the source.
static inline int ctls_is_http_request(unsigned long error) {
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST;
}

#endif
