/* What Swift's Glibc module lacks of Linux's socket interface: epoll(7), accept4(2) and eventfd(2).
 * The header includes no system header but <stdint.h>: a type that two modules define
 * (timespec, sigset_t) would belong to either, depending on which is imported first. Each function
 * returns what its system call returns, -1 with errno for an error. */
#pragma once
#include <stdint.h>

/* The events of epoll_ctl(2), checked against <sys/epoll.h> where they are used. */
static const uint32_t CEPOLL_IN = 0x1, CEPOLL_OUT = 0x4, CEPOLL_ERR = 0x8, CEPOLL_HUP = 0x10,
                      CEPOLL_RDHUP = 0x2000;

/* An event of epoll_wait(2): what is ready, of the descriptor that was added with this token. */
struct cepoll_event {
    uint64_t token;
    uint32_t events;
};

/* epoll_create1(2), closed on exec. */
int cepoll_create(void);
/* epoll_ctl(2) with EPOLL_CTL_ADD. */
int cepoll_add(int epoll, int descriptor, uint32_t events, uint64_t token);
/* epoll_ctl(2) with EPOLL_CTL_MOD. */
int cepoll_modify(int epoll, int descriptor, uint32_t events, uint64_t token);
/* epoll_ctl(2) with EPOLL_CTL_DEL. */
int cepoll_remove(int epoll, int descriptor);
/* epoll_wait(2): at most `capacity` events, at most 1024; `timeout` in milliseconds. */
int cepoll_wait(int epoll, struct cepoll_event *events, int capacity, int timeout);
/* An IP address as two numbers, that of its first byte highest; IPv4 as RFC 4291, section 2.5.5.2
 * has it (::ffff:a.b.c.d). */
struct cepoll_address {
    uint64_t high, low;
};

/* accept4(2), non-blocking, closed on exec; `peer` is set where a connection is returned. */
int cepoll_accept(int listener, struct cepoll_address *peer);
/* eventfd(2), non-blocking, closed on exec. */
int cepoll_eventfd(void);
