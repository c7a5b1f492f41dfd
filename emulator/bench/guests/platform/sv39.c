/* sv39.c - Sv39 tables. All of RAM is mapped with 4 KiB pages on purpose: a gigapage would hide what address
 * translation costs. */
#include "platform.h"

#define L0_TABLES (RAM_MIB / 2)
static uint64_t kernel_l1[512] __attribute__((aligned(4096)));
static uint64_t kernel_l0[L0_TABLES][512] __attribute__((aligned(4096)));
extern char __utext_start[], __utext_end[];

static uint64_t table(const void *t) { return ((uint64_t)(uintptr_t)t >> 12) << 10 | PTE_V; }

void vm_init(void)
{
    for (unsigned i = 0; i < L0_TABLES; i++) {
        kernel_l1[i] = table(kernel_l0[i]);
        for (unsigned j = 0; j < 512; j++) {
            uint64_t pa = RAM_BASE + ((uint64_t)i << 21) + ((uint64_t)j << 12);
            uint64_t flags = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D;
            if (pa >= (uintptr_t)__utext_start && pa < (uintptr_t)__utext_end)
                flags = PTE_V | PTE_R | PTE_X | PTE_U | PTE_A;
            kernel_l0[i][j] = (pa >> 12) << 10 | flags;
        }
    }
}

void vm_space(struct space *s)
{
    for (unsigned i = 0; i < 512; i++) s->l2[i] = s->l1u[i] = s->l0u[i] = 0;
    s->l2[RAM_BASE >> 30] = table(kernel_l1);
    s->l2[USER_BASE >> 30] = table(s->l1u);
    s->l1u[0] = table(s->l0u);
}

uint64_t vm_satp(const struct space *s, unsigned asid)
{
    return 8ull << 60 | (uint64_t)asid << 44 | (uint64_t)(uintptr_t)s->l2 >> 12;
}
