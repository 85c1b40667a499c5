#ifndef CLISTBUDDY_H
#define CLISTBUDDY_H

#include <stdint.h>

// A buddy allocator with linked lists, as the kernel's is: a doubly linked list of free blocks for
// each order, and a small record for each page. One zone from page 0, one migratetype, no locks.
// What gfpd's bitmaps are measured against; nothing else uses it.

enum { CLISTBUDDY_MAX_ORDER = 10 };

struct clistbuddy_zone;

// All pages are free. NULL where there is no memory for the records.
struct clistbuddy_zone *clistbuddy_create(uint32_t pages);
void clistbuddy_destroy(struct clistbuddy_zone *zone);

// The first page of a block of 2^order pages; -1 where none is free.
int64_t clistbuddy_allocate(struct clistbuddy_zone *zone, unsigned order);
void clistbuddy_free(struct clistbuddy_zone *zone, uint32_t page, unsigned order);

uint32_t clistbuddy_free_pages(const struct clistbuddy_zone *zone);

// Bytes of records a page.
uint32_t clistbuddy_bytes_per_page(void);

#endif
