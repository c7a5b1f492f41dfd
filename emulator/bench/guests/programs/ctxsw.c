/* ctxsw - two U-mode tasks in two address spaces take turns: each touches 16
 * of its own pages, then yields; S-mode switches satp and flushes.
 * n switches. */
#include "bench.h"
#include "platform.h"
const char bench_name[] = "ctxsw";
#define PAGES 16

__asm__(".section .utext,\"ax\"\n.globl u_task\nu_task:\n"
        "mv t0, s1\nli t1, 16\nli t2, 4096\n"
        "1: ld t3, 0(t0)\naddi t3, t3, 1\nsd t3, 0(t0)\nadd t0, t0, t2\naddi t1, t1, -1\nbnez t1, 1b\n"
        "li a7, 1\necall\nj u_task\n.text\n");
extern char u_task[];

static struct space sp[2] __attribute__((aligned(4096)));
static uint64_t mem[2][PAGES][512] __attribute__((aligned(4096)));
static struct frame fr[2];
static uint64_t satps[2];
static volatile uint64_t result;
static uint64_t todo, done;

struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    if (scause != 8) fatal_trap(scause, stval);
    f->sepc += 4;
    if (++done == todo) {
        result = mix(mix(1, mem[0][3][0]), mem[1][5][0]);
        s_done();
    }
    unsigned next = f == &fr[0];
    csr_write(satp, satps[next]);
    sfence_all();
    return &fr[next];
}

static void s_main(void)
{
    for (unsigned t = 0; t < 2; t++) {
        fr[t].x[9] = USER_BASE;
        fr[t].sepc = (uintptr_t)u_task;
        fr[t].sstatus = (csr_read(sstatus) & ~SSTATUS_SPP) | SSTATUS_SPIE;
    }
    csr_write(satp, satps[0]);
    sfence_all();
    s_resume(&fr[0]);
}

uint64_t bench_run(uint64_t n)
{
    todo = n;
    vm_init();
    for (unsigned t = 0; t < 2; t++) {
        vm_space(&sp[t]);
        satps[t] = vm_satp(&sp[t], 0);
        for (unsigned p = 0; p < PAGES; p++)
            sp[t].l0u[p] = ((uintptr_t)mem[t][p] >> 12) << 10 |
                           PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D;
    }
    call_until_done(s_main);
    return result;
}
