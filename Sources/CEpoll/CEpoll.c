#define _GNU_SOURCE
#include "CEpoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { MAXIMUM_EVENTS = 1024 };

_Static_assert(EPOLLIN == 0x1 && EPOLLOUT == 0x4 && EPOLLERR == 0x8 && EPOLLHUP == 0x10,
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

int cepoll_accept(int listener)
{
    return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int cepoll_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
