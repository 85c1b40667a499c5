#define _GNU_SOURCE
#include "CEpoll.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { MAXIMUM_EVENTS = 1024 };

_Static_assert(EPOLLIN == 0x1 && EPOLLOUT == 0x4 && EPOLLERR == 0x8 && EPOLLHUP == 0x10 &&
                   EPOLLRDHUP == 0x2000,
               "the events of <sys/epoll.h>");

int cepoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, descriptor, &event);
}

int cepoll_add(int epoll, int descriptor, uint32_t events, uint64_t token)
{
    return control(epoll, EPOLL_CTL_ADD, descriptor, events, token);
}

int cepoll_modify(int epoll, int descriptor, uint32_t events, uint64_t token)
{
    return control(epoll, EPOLL_CTL_MOD, descriptor, events, token);
}

int cepoll_remove(int epoll, int descriptor)
{
    return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0);
}

int cepoll_wait(int epoll, struct cepoll_event *events, int capacity, int timeout)
{
    struct epoll_event ready[MAXIMUM_EVENTS];
    int room = capacity < MAXIMUM_EVENTS ? capacity : MAXIMUM_EVENTS;
    int count = epoll_wait(epoll, ready, room, timeout);
    for (int index = 0; index < count; index++) {
        events[index].token = ready[index].data.u64;
        events[index].events = ready[index].events;
    }
    return count;
}

static struct cepoll_address address_of(const struct sockaddr_storage *peer)
{
    struct cepoll_address address = {0, 0};
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *version4 = (const struct sockaddr_in *)peer;
        address.low = 0xffff00000000 | ntohl(version4->sin_addr.s_addr);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *version6 = (const struct sockaddr_in6 *)peer;
        uint64_t words[2];
        memcpy(words, &version6->sin6_addr, sizeof words);
        address.high = be64toh(words[0]);
        address.low = be64toh(words[1]);
    }
    return address;
}

int cepoll_accept(int listener, struct cepoll_address *peer)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int descriptor =
        accept4(listener, (struct sockaddr *)&storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) *peer = address_of(&storage);
    return descriptor;
}

int cepoll_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
