/* bench.h - contract between a program and the platform it runs on.
 *
 * A program defines bench_name and bench_run(). The platform (a supervisor under SBI, or the native host) calls
 * bench_run(BENCH_N) once and prints two lines, the first just before the call and the second just after it:
 *   START <name>
 *   BENCH <name> n=<n> check=<hex>
 * so that whoever reads the console can time the call. The check value depends on the program and n only, never on the
 * platform, so every run can be checked against the native one. */
#ifndef BENCH_H
#define BENCH_H
#include <stddef.h>
#include <stdint.h>

extern const char bench_name[];
uint64_t bench_run(uint64_t n);

/* A small xorshift generator: the same stream on every platform. */
static inline uint32_t rng32(uint32_t *s)
{
    uint32_t x = *s;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *s = x;
}

/* FNV-1a style mixing of one word into a running check value. */
static inline uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * 1099511628211ull;
}
#endif
