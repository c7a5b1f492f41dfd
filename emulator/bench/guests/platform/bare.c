/* bare.c - the machine platform: no paging, no firmware; console and power as on QEMU's virt board (16550 UART, SiFive
 * test finisher). For programs that only compute. */
#include "platform.h"

#define UART ((volatile uint8_t *)0x10000000)
#define UART_THR 0
#define UART_LSR 5
#define LSR_EMPTY 0x20
#define FINISHER ((volatile uint32_t *)0x100000)
#define FINISHER_PASS 0x5555u
#define FINISHER_FAIL 0x13333u

void put_char(char c)
{
    while (!(UART[UART_LSR] & LSR_EMPTY)) { }
    UART[UART_THR] = (uint8_t)c;
}

static void power_off(uint32_t how)
{
    *FINISHER = how;
    for (;;) __asm__ volatile("wfi");
}

void machine_trap(void)
{
    report_trap(csr_read(mcause), csr_read(mtval), csr_read(mepc));
    power_off(FINISHER_FAIL);
}

void platform_main(void)
{
    run_and_report();
    power_off(FINISHER_PASS);
}
