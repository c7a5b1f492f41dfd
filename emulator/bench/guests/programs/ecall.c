/* ecall - n system calls from U to S and back, full register save. */
#include "bench.h"
#include "platform.h"
const char bench_name[] = "ecall";

__asm__(".section .utext,\"ax\"\n.globl u_ecall\nu_ecall:\n"
        "li a7, 1\n1: mv a0, s1\necall\nmv s1, a0\naddi s0, s0, -1\nbnez s0, 1b\n"
        "li a7, 0\necall\n.text\n");
extern char u_ecall[];

static struct space sp __attribute__((aligned(4096)));
static struct frame fr;
static volatile uint64_t result;
static uint64_t todo, calls;

struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    (void)stval;
    if (scause != 8 || f->x[17] == 0) {
        result = mix(f->x[9], calls);
        s_done();
    }
    calls++;
    f->x[10] = f->x[10] * 3 + 1;
    f->sepc += 4;
    return f;
}

static void s_main(void)
{
    csr_write(satp, vm_satp(&sp, 0));
    sfence_all();
    fr.x[8] = todo;
    fr.x[9] = 1;
    fr.sepc = (uintptr_t)u_ecall;
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
