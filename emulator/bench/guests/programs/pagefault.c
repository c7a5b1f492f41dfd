/* pagefault - U-mode writes one word to each of 512 unmapped pages; S-mode
 * maps each on its store fault (sfence.vma of that page); then U asks S to
 * unmap all (one full sfence.vma).  n rounds, 512 faults each. */
#include "bench.h"
#include "platform.h"
const char bench_name[] = "pagefault";

__asm__(".section .utext,\"ax\"\n.globl u_touch\nu_touch:\n"
        "mv t0, s1\nli t1, 512\nli t2, 4096\n"
        "1: sd t1, 8(t0)\nadd t0, t0, t2\naddi t1, t1, -1\nbnez t1, 1b\n"
        "li a7, 1\necall\naddi s0, s0, -1\nbnez s0, u_touch\n"
        "li a7, 0\necall\n.text\n");
extern char u_touch[];

static struct space sp __attribute__((aligned(4096)));
static uint64_t frames[512][512] __attribute__((aligned(4096)));
static struct frame fr;
static volatile uint64_t result;
static uint64_t todo, faults;

struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    if (scause == 15) {
        unsigned i = (unsigned)(stval - USER_BASE) >> 12;
        sp.l0u[i] = ((uintptr_t)frames[(i * 37u) & 511] >> 12) << 10 |
                    PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D;
        sfence_va(stval);
        faults++;
        return f;
    }
    if (scause != 8 || f->x[17] == 0) {
        result = mix(faults, frames[37][1]);
        s_done();
    }
    for (unsigned i = 0; i < 512; i++) sp.l0u[i] = 0;
    sfence_all();
    f->sepc += 4;
    return f;
}

static void s_main(void)
{
    csr_write(satp, vm_satp(&sp, 0));
    sfence_all();
    fr.x[8] = todo;
    fr.x[9] = USER_BASE;
    fr.sepc = (uintptr_t)u_touch;
    fr.sstatus = (csr_read(sstatus) & ~SSTATUS_SPP) | SSTATUS_SPIE;
    s_resume(&fr);
}

uint64_t bench_run(uint64_t n)
{
    todo = n;
    vm_init();
    vm_space(&sp);
    call_until_done(s_main);
    return result;
}
