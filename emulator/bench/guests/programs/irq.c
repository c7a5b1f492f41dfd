/* irq - n interrupts. Each is a call to the SBI implementation, which raises the interrupt, and the trap that takes it.
 * IRQ_TIMER: a timer already past (STI); otherwise an IPI to ourselves (SSI). */
#include "bench.h"
#include "platform.h"
#ifdef IRQ_TIMER
const char bench_name[] = "timer";
# define BIT 5
#else
const char bench_name[] = "irq";
# define BIT 1
#endif

static struct frame frame;
static volatile uint64_t seen;

struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    if (scause != (1ull << 63 | BIT)) fatal_trap(scause, stval);
#ifdef IRQ_TIMER
    sbi_set_timer(~0ull);
#else
    csr_clear(sip, 1ul << BIT);
#endif
    seen++;
    return f;
}

uint64_t bench_run(uint64_t n)
{
    csr_write(sscratch, (uintptr_t)&frame);
    csr_set(sie, 1ul << BIT);
    csr_set(sstatus, SSTATUS_SIE);
    for (uint64_t i = 0; i < n; i++) {
#ifdef IRQ_TIMER
        sbi_set_timer(0);
#else
        sbi_send_ipi(1, 0);
#endif
        while (seen == i) { }
    }
    csr_clear(sstatus, SSTATUS_SIE);
    return mix(1, seen);
}
