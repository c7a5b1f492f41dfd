/* exits - n times the same exit from a guest to its hypervisor (under QEMU: to the firmware or to a device).
 * EXIT_SBI: a call to the SBI, for its version. EXIT_MMIO: a load from the UART. EXIT_TIMER: an SBI timer that is past,
 * a call and an exit when it is due. EXIT_WFI: a wait for vstimecmp. EXIT_GUEST_PAGE_FAULT: a load where nothing is, with
 * a hypervisor that skips it. EXIT_VIRTUAL_INSTRUCTION: a CSR of the hypervisor. EXIT_BUDGET: only time passes. */
#include "bench.h"
#include "platform.h"
#define UART_LINE_STATUS ((volatile uint8_t *)0x10000005)
#define NOTHING ((volatile uint64_t *)0x40000000)
#define STIE (1ul << 5)

#if defined EXIT_SBI
const char bench_name[] = "sbi";
static void leave(void)
{
    register long a7 __asm__("a7") = 0x10, a6 __asm__("a6") = 0, a0 __asm__("a0"), a1 __asm__("a1");
    __asm__ volatile("ecall" : "=r"(a0), "=r"(a1) : "r"(a6), "r"(a7) : "memory"); /* BASE: the SBI's version */
}
#elif defined EXIT_MMIO
const char bench_name[] = "mmio";
static void leave(void) { (void)*UART_LINE_STATUS; }
#elif defined EXIT_TIMER
const char bench_name[] = "timer";
static void leave(void) { sbi_set_timer(0); }
#elif defined EXIT_WFI
const char bench_name[] = "wfi";
static void leave(void)
{
    csr_write(0x14d, csr_read(time) + 100); /* stimecmp */
    __asm__ volatile("wfi");
    csr_write(0x14d, -1ul);
}
#elif defined EXIT_GUEST_PAGE_FAULT
const char bench_name[] = "guest_page_fault";
static void leave(void) { (void)*NOTHING; }
#elif defined EXIT_VIRTUAL_INSTRUCTION
const char bench_name[] = "virtual_instruction";
static void leave(void) { (void)csr_read(0x600); /* hstatus */ }
#elif defined EXIT_BUDGET
const char bench_name[] = "budget";
static void leave(void)
{
    for (int i = 0; i < 1000; i++) __asm__ volatile("");
}
#endif

static struct frame frame;

/* An instruction that was refused is passed over. */
struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval)
{
    if (scause != 2) fatal_trap(scause, stval);
    f->sepc += 4;
    return f;
}

uint64_t bench_run(uint64_t n)
{
    csr_write(satp, 0); /* RAM is where it was: its map is the identity */
    sfence_all();
    csr_write(sscratch, (uintptr_t)&frame);
    csr_write(sie, STIE); /* ends a WFI; sstatus.SIE is off, so that no trap is taken */
    for (uint64_t i = 0; i < n; i++) leave();
    csr_write(sie, 0);
    return mix(1, n);
}
