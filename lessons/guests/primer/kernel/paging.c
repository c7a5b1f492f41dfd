/* paging.c - chapter 4: every process believes that it is alone.
 *
 * Sv39 (Privileged ISA, "Sv39: Page-Based 39-bit Virtual-Memory System"): an address has three indices of 9 bits and
 * an offset of 12; a table is a page of 512 entries; an entry leads to the next table or, with R, W or X set, to
 * memory. An entry of the root is a gigabyte wide, and we divide the address space by it:
 *
 *   0x0000_0000  devices       kernel only
 *   0x4000_0000  the process   its own in every table; this is all that differs between two processes
 *   0x8000_0000  memory        kernel only; a virtual address is the physical address
 *
 * The kernel is in every table, so a trap needs no change of tables; U is not set there, so a process that touches
 * it gets a page fault. */
#include "kernel.h"

#define SV39 (8ul << 60)
#define MEGAPAGE (1ul << 21)
#define LEAF (PTE_R | PTE_W | PTE_X)
#define USER_SLOT (USER_START >> 30)

static pte_t *kernel_table;
extern char __kernel_start[], __text_end[], __rodata_end[], __kernel_end[];

static unsigned index_at(uint64_t address, int level)
{
    return address >> (12 + 9 * level) & 511;
}

static pte_t entry_for(uint64_t physical, unsigned flags)
{
    return physical >> 12 << 10 | flags | PTE_V;
}

static void *pointed_at(pte_t entry)
{
    return (void *)(entry >> 10 << 12);
}

/* Return the entry for an address at a level, making the tables above it, or NULL. */
static pte_t *entry_at(pte_t *table, uint64_t address, int level, bool make)
{
    for (int at = 2; at > level; at--) {
        pte_t *entry = &table[index_at(address, at)];
        if (!(*entry & PTE_V)) {
            void *fresh = make ? page_take() : NULL;
            if (!fresh) return NULL;
            *entry = entry_for((uint64_t)fresh, 0);
        }
        table = pointed_at(*entry);
    }
    return &table[index_at(address, level)];
}

/* Map memory to itself, for the kernel. Where a whole megapage fits one entry does for 512 pages. A and D are set
 * here: whether the hart sets them, or faults instead, is then all the same to us. */
static void map_kernel(uint64_t start, uint64_t end, unsigned permissions)
{
    for (uint64_t at = start & ~(PAGE_BYTES - 1); at < end;) {
        bool mega = at % MEGAPAGE == 0 && end - at >= MEGAPAGE;
        pte_t *entry = entry_at(kernel_table, at, mega ? 1 : 0, true);
        if (!entry) panic("no memory for the kernel's page tables");
        *entry = entry_for(at, permissions | PTE_A | PTE_D);
        at += mega ? MEGAPAGE : PAGE_BYTES;
    }
}

void paging_init(void)
{
    kernel_table = page_take();
    uint64_t memory_end = machine.memory.start + machine.memory.size;
    map_kernel(machine.memory.start, (uint64_t)__kernel_start, PTE_R | PTE_W);
    map_kernel((uint64_t)__kernel_start, (uint64_t)__text_end, PTE_R | PTE_X);
    map_kernel((uint64_t)__text_end, (uint64_t)__rodata_end, PTE_R);
    map_kernel((uint64_t)__rodata_end, memory_end, PTE_R | PTE_W);
    for (unsigned i = 0; i < machine.virtio_count; i++)
        map_kernel(machine.virtio[i].base, machine.virtio[i].base + PAGE_BYTES, PTE_R | PTE_W);
    map_kernel(machine.plic.start, machine.plic.start + machine.plic.size, PTE_R | PTE_W);
    paging_use(NULL);
}

void paging_use(pte_t *table)
{
    write_csr(satp, SV39 | (uint64_t)(table ? table : kernel_table) >> 12);
    __asm__ volatile("sfence.vma" ::: "memory"); /* the hart may remember the other table's entries */
}

/* Return an address space with the kernel in it and nothing else, or NULL. */
pte_t *space_make(void)
{
    pte_t *table = page_take();
    if (table) memcpy(table, kernel_table, PAGE_BYTES);
    return table;
}

/* Give the pages of one table back, and the tables below it. */
static void free_below(pte_t entry, int level)
{
    if (!(entry & PTE_V)) return;
    if (!(entry & LEAF))
        for (int i = 0; i < 512; i++) free_below(((pte_t *)pointed_at(entry))[i], level - 1);
    page_give(pointed_at(entry));
}

void space_free(pte_t *table)
{
    free_below(table[USER_SLOT], 2);
    page_give(table);
}

/* Put a page of zeros at a user address, unless there is one; return where it is for the kernel, or NULL. */
void *space_add(pte_t *table, uint64_t address, unsigned permissions)
{
    pte_t *entry = entry_at(table, address, 0, true);
    if (!entry) return NULL;
    if (!(*entry & PTE_V)) {
        void *page = page_take();
        if (!page) return NULL;
        *entry = entry_for((uint64_t)page, PTE_U | PTE_A | PTE_D);
    }
    *entry |= permissions;
    return pointed_at(*entry);
}

static size_t count_below(pte_t entry)
{
    size_t n = entry & PTE_V ? 1 : 0;
    if (n && !(entry & LEAF))
        for (int i = 0; i < 512; i++) n += count_below(((pte_t *)pointed_at(entry))[i]);
    return n;
}

/* Return how many pages a process costs, its tables included. */
size_t space_pages(pte_t *table)
{
    return 1 + count_below(table[USER_SLOT]);
}

/* Return where a user address lies, if the process itself could read it (or write it, if `write`); else NULL. A
 * process can put any number into a register: the kernel must never follow it just because it says so. */
static char *user_byte(pte_t *table, uint64_t address, bool write)
{
    unsigned needed = PTE_V | PTE_U | (write ? PTE_W : PTE_R);
    if (address < USER_START || address >= USER_END) return NULL;
    pte_t *entry = entry_at(table, address, 0, false);
    if (!entry || (*entry & needed) != needed) return NULL;
    return (char *)pointed_at(*entry) + address % PAGE_BYTES;
}

static bool copy(pte_t *table, uint64_t user, char *kernel, size_t n, bool to_user)
{
    while (n) {
        size_t part = PAGE_BYTES - user % PAGE_BYTES < n ? PAGE_BYTES - user % PAGE_BYTES : n;
        char *there = user_byte(table, user, to_user);
        if (!there) return false;
        memcpy(to_user ? there : kernel, to_user ? kernel : there, part);
        user += part, kernel += part, n -= part;
    }
    return true;
}

bool copy_from_user(pte_t *table, void *to, uint64_t from, size_t n)
{
    return copy(table, from, to, n, false);
}

bool copy_to_user(pte_t *table, uint64_t to, const void *from, size_t n)
{
    return copy(table, to, (char *)from, n, true);
}
