/* machine.c - programs in M-mode on the bare machine: the UART and the test finisher of QEMU's `virt` board. */
#include "runtime.h"

#define UART ((volatile uint8_t *)0x10000000)
#define FINISHER ((volatile uint32_t *)0x100000)
#define LINE_STATUS 5
#define DATA_READY 1
#define TRANSMITTER_EMPTY 0x20

void console_write(const char *text, size_t n)
{
    for (; n; n--) {
        while (!(UART[LINE_STATUS] & TRANSMITTER_EMPTY)) {}
        *UART = (uint8_t)*text++;
    }
}

int console_read(void)
{
    return UART[LINE_STATUS] & DATA_READY ? *UART : -1;
}

void exit(int status)
{
    *FINISHER = status ? (uint32_t)status << 16 | 0x3333 : 0x5555;
    for (;;) __asm__ volatile("wfi");
}
