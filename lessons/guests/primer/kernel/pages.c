/* pages.c - chapter 3: who owns a page of memory?
 *
 * Memory is handed out in pages of 4 KiB. A free page holds the address of the next free one, so the list of free
 * pages costs no memory at all. A page is cleared when it is taken: nobody finds what another process left. */
#include "kernel.h"

struct free_page { struct free_page *next; };
static struct free_page *first_free;
struct page_count pages;
extern char __kernel_start[], __kernel_end[];

static bool overlaps(uint64_t page, uint64_t start, uint64_t end)
{
    return page < end && page + PAGE_BYTES > start;
}

/* The kernel's own pages are taken, and so is what firmware keeps for itself. The device tree's are not: we have
 * read it. */
static bool is_taken(uint64_t page)
{
    for (unsigned i = 0; i < machine.reserved_count; i++)
        if (overlaps(page, machine.reserved[i].start, machine.reserved[i].start + machine.reserved[i].size))
            return true;
    return overlaps(page, (uint64_t)__kernel_start, (uint64_t)__kernel_end);
}

/* From the top down, so that the lowest page is the first to be handed out. */
void pages_init(void)
{
    uint64_t page = (machine.memory.start + machine.memory.size) & ~(PAGE_BYTES - 1);
    while (page > machine.memory.start) {
        page -= PAGE_BYTES;
        pages.total++;
        if (!is_taken(page)) page_give((void *)page);
    }
}

void *page_take(void)
{
    struct free_page *page = first_free;
    if (!page) return NULL;
    first_free = page->next;
    pages.free--;
    return memset(page, 0, PAGE_BYTES);
}

void page_give(void *page)
{
    struct free_page *free = page;
    free->next = first_free;
    first_free = free;
    pages.free++;
}
