/* sbi.c - the supervisor platform: console, timer and power by SBI calls (RISC-V SBI specification 2.0), so the same
 * ELF file runs under OpenSBI and as a VM. The console is the legacy putchar, the only one that OpenSBI 1.1 has too.
 * The program runs in S-mode under Sv39 with 4 KiB pages. */
#include "bench.h"
#include "platform.h"

static long sbi(long extension, long function, long a, long b)
{
    register long a7 __asm__("a7") = extension, a6 __asm__("a6") = function;
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = 0;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return a0;
}

void put_char(char c) { sbi(1, 0, c, 0); }
void sbi_set_timer(uint64_t time) { sbi(0x54494D45, 0, (long)time, 0); }
void sbi_send_ipi(uint64_t hart_mask, uint64_t hart_mask_base)
{
    sbi(0x735049, 0, (long)hart_mask, (long)hart_mask_base);
}
void sbi_shutdown(int failed)
{
    sbi(0x53525354, 0, 0, failed);
    for (;;) __asm__ volatile("wfi");
}

void fatal_trap(uint64_t scause, uint64_t stval)
{
    report_trap(scause, stval, csr_read(sepc));
    sbi_shutdown(1);
}

/* A program that expects no trap. */
__attribute__((weak)) struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    (void)f;
    fatal_trap(scause, stval);
}

static struct space kernel_space __attribute__((aligned(4096)));

void platform_main(void)
{
    vm_init();
    vm_space(&kernel_space);
    csr_write(satp, vm_satp(&kernel_space, 0));
    sfence_all();
    run_and_report();
    sbi_shutdown(0);
}
