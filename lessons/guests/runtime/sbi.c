/* sbi.c - programs in S-mode: what firmware, or in a VM the hypervisor, does for a supervisor.
 *
 * RISC-V SBI 2.0: an ecall with the extension in a7, the function in a6; a0 returns an error, a1 a value. */
#include "runtime.h"

#define LEGACY_PUTCHAR 1
#define LEGACY_GETCHAR 2

struct sbi_result sbi_call(long extension, long function, long first, long second, long third)
{
    register long a0 __asm__("a0") = first;
    register long a1 __asm__("a1") = second;
    register long a2 __asm__("a2") = third;
    register long a6 __asm__("a6") = function;
    register long a7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){a0, a1};
}

/* The debug console takes whole texts, but only since SBI 2.0; older firmware takes one character a call. */
static bool has_debug_console(void)
{
    static int known;
    if (!known) known = sbi_call(SBI_BASE, 3, SBI_DBCN, 0, 0).value ? 1 : -1;
    return known > 0;
}

void sbi_console_write(const char *text, size_t n)
{
    if (!has_debug_console())
        for (; n; n--) sbi_call(LEGACY_PUTCHAR, 0, *text++, 0, 0);
    while (n) {
        struct sbi_result done = sbi_call(SBI_DBCN, 0, (long)n, (long)text, 0);
        if (done.error) return;
        text += done.value; /* the firmware may take fewer */
        n -= (size_t)done.value;
    }
}

int sbi_console_read(void)
{
    unsigned char byte;
    if (!has_debug_console()) return (int)sbi_call(LEGACY_GETCHAR, 0, 0, 0, 0).error;
    struct sbi_result done = sbi_call(SBI_DBCN, 1, 1, (long)&byte, 0);
    return done.error || !done.value ? -1 : byte;
}

void exit(int status)
{
    sbi_call(SBI_SRST, 0, 0, status != 0, 0);
    for (;;) __asm__ volatile("wfi");
}
