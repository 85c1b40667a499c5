#include "CListBuddy.h"

#include <stdbool.h>
#include <stdlib.h>

// What the kernel keeps in `struct page` for a free block. Links are page numbers, so that a record
// is 12 bytes instead of 64 and more of them fit a cache: the lists are measured at their best.
struct page {
    uint32_t next;
    uint32_t previous;
    uint8_t order;
    bool is_free_block;
};

enum { ORDERS = CLISTBUDDY_MAX_ORDER + 1 };

// The heads of the lists are the records after those of the pages.
struct clistbuddy_zone {
    uint32_t pages;
    uint32_t free_pages;
    uint32_t free_blocks[ORDERS];
    struct page records[];
};

static uint32_t head(const struct clistbuddy_zone *zone, unsigned order)
{
    return zone->pages + order;
}

static void link_between(struct clistbuddy_zone *zone, uint32_t page, uint32_t previous,
                         uint32_t next)
{
    zone->records[page].previous = previous;
    zone->records[page].next = next;
    zone->records[previous].next = page;
    zone->records[next].previous = page;
}

static void add(struct clistbuddy_zone *zone, uint32_t page, unsigned order, bool at_tail)
{
    uint32_t list = head(zone, order);
    if (at_tail)
        link_between(zone, page, zone->records[list].previous, list);
    else
        link_between(zone, page, list, zone->records[list].next);
    zone->records[page].order = (uint8_t)order;
    zone->records[page].is_free_block = true;
    zone->free_blocks[order]++;
}

static void take_off(struct clistbuddy_zone *zone, uint32_t page, unsigned order)
{
    struct page *record = &zone->records[page];
    zone->records[record->previous].next = record->next;
    zone->records[record->next].previous = record->previous;
    record->is_free_block = false;
    zone->free_blocks[order]--;
}

static bool is_free_block(const struct clistbuddy_zone *zone, uint64_t page, unsigned order)
{
    return page < zone->pages && zone->records[page].is_free_block
        && zone->records[page].order == order;
}

// __rmqueue_smallest and expand, mm/page_alloc.c: the head of the smallest sufficient list; the
// lower half is kept, each upper half goes to the head of its list.
int64_t clistbuddy_allocate(struct clistbuddy_zone *zone, unsigned order)
{
    for (unsigned larger = order; larger < ORDERS; larger++) {
        uint32_t page = zone->records[head(zone, larger)].next;
        if (page == head(zone, larger))
            continue;
        take_off(zone, page, larger);
        while (larger > order) {
            larger--;
            add(zone, page + (1u << larger), larger, false);
        }
        zone->free_pages -= 1u << order;
        return page;
    }
    return -1;
}

// __free_one_page, mm/page_alloc.c: merges while the buddy is free; goes to the tail where the next
// larger buddy is free too, and a merge is likely soon (buddy_merge_likely).
void clistbuddy_free(struct clistbuddy_zone *zone, uint32_t page, unsigned order)
{
    zone->free_pages += 1u << order;
    while (order < CLISTBUDDY_MAX_ORDER) {
        uint32_t buddy = page ^ (1u << order);
        if (!is_free_block(zone, buddy, order))
            break;
        take_off(zone, buddy, order);
        page &= buddy;
        order++;
    }
    bool at_tail = false;
    if (order < CLISTBUDDY_MAX_ORDER - 1) {
        uint32_t larger = page & ~(1u << order);
        at_tail = is_free_block(zone, larger ^ (2u << order), order + 1);
    }
    add(zone, page, order, at_tail);
}

struct clistbuddy_zone *clistbuddy_create(uint32_t pages)
{
    size_t records = (size_t)pages + ORDERS;
    struct clistbuddy_zone *zone = calloc(1, sizeof *zone + records * sizeof(struct page));
    if (!zone)
        return NULL;
    zone->pages = pages;
    for (unsigned order = 0; order < ORDERS; order++)
        link_between(zone, head(zone, order), head(zone, order), head(zone, order));
    uint32_t page = 0;
    while (page < pages) {
        unsigned order = CLISTBUDDY_MAX_ORDER;
        while ((page & ((1u << order) - 1)) != 0 || pages - page < 1u << order)
            order--;
        add(zone, page, order, true);
        zone->free_pages += 1u << order;
        page += 1u << order;
    }
    return zone;
}

void clistbuddy_destroy(struct clistbuddy_zone *zone) { free(zone); }

uint32_t clistbuddy_free_pages(const struct clistbuddy_zone *zone) { return zone->free_pages; }

uint32_t clistbuddy_bytes_per_page(void) { return sizeof(struct page); }
