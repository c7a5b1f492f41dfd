/* x86.c - a 32-bit PC without firmware, for an x86 emulator in the browser: loaded by Multiboot (specification 0.6.96,
 * section 3), console on the first serial port. Only for programs that compute. */
#include "platform.h"

#define COM1 0x3f8
#define MULTIBOOT_MAGIC 0x1badb002u

__attribute__((section(".multiboot"), used))
static const uint32_t multiboot_header[3] = { MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC };

static uint8_t stack[1 << 16] __attribute__((aligned(16), used));

void put_char(char c)
{
    __asm__ volatile("outb %0, %1" :: "a"(c), "Nd"((uint16_t)COM1));
}

/* SSE needs CR0.EM clear and MP set, CR4.OSFXSR and OSXMMEXCPT (Intel SDM, volume 3, section 14.1). */
__attribute__((naked)) void _start(void)
{
    __asm__("movl $stack + 65536, %esp\n"
            "movl %cr0, %eax\n andl $~4, %eax\n orl $2, %eax\n movl %eax, %cr0\n"
            "movl %cr4, %eax\n orl $0x600, %eax\n movl %eax, %cr4\n"
            "call run_and_report\n"
            "1: hlt\n jmp 1b\n");
}

static uint64_t divide(uint64_t n, uint64_t d, uint64_t *rest)
{
    uint64_t quotient = 0, r = 0;
    for (int bit = 63; bit >= 0; bit--) {
        r = r << 1 | (n >> bit & 1);
        quotient <<= 1;
        if (r >= d) {
            r -= d;
            quotient |= 1;
        }
    }
    *rest = r;
    return quotient;
}

/* What the compiler calls where a processor of 32 bits has no instruction for it. */
uint64_t __udivdi3(uint64_t n, uint64_t d)
{
    uint64_t rest;
    return divide(n, d, &rest);
}
uint64_t __umoddi3(uint64_t n, uint64_t d)
{
    uint64_t rest;
    divide(n, d, &rest);
    return rest;
}
