/* report.c - what every platform prints around bench_run(), and the functions that the compiler may call. */
#include "bench.h"
#include "platform.h"

void put_str(const char *s)
{
    while (*s) put_char(*s++);
}
void put_dec(uint64_t v)
{
    char digits[21];
    int i = 20;
    digits[i] = 0;
    do digits[--i] = (char)('0' + v % 10);
    while (v /= 10);
    put_str(digits + i);
}
void put_hex(uint64_t v)
{
    for (int s = 60; s >= 0; s -= 4) put_char("0123456789abcdef"[v >> s & 15]);
}

void run_and_report(void)
{
    put_str("START ");
    put_str(bench_name);
    put_str("\n");
    uint64_t check = bench_run(BENCH_N);
    put_str("BENCH ");
    put_str(bench_name);
    put_str(" n=");
    put_dec(BENCH_N);
    put_str(" check=");
    put_hex(check);
    put_str("\n");
}

void report_trap(uint64_t cause, uint64_t value, uint64_t pc)
{
    put_str("FATAL cause=");
    put_hex(cause);
    put_str(" value=");
    put_hex(value);
    put_str(" pc=");
    put_hex(pc);
    put_str("\n");
}

/* The compiler may call these. */
void *memset(void *d, int c, size_t n)
{
    uint8_t *p = d;
    while (n--) {
        *p++ = (uint8_t)c;
        __asm__ volatile("" ::: "memory");
    }
    return d;
}
void *memcpy(void *d, const void *s, size_t n)
{
    uint8_t *p = d;
    const uint8_t *q = s;
    while (n--) {
        *p++ = *q++;
        __asm__ volatile("" ::: "memory");
    }
    return d;
}
