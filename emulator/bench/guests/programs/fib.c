/* fib - doubly recursive Fibonacci: calls, returns and stack traffic. */
#include "bench.h"
const char bench_name[] = "fib";

/* Built with -fno-optimize-sibling-calls, or the compiler would turn half of the calls into a loop. */
static __attribute__((noinline)) unsigned fib(unsigned k)
{
    return k < 2 ? k : fib(k - 1) + fib(k - 2);
}

uint64_t bench_run(uint64_t n)
{
    uint64_t h = 1;
    for (uint64_t r = 0; r < n; r++) h = mix(h, fib(20 + (unsigned)(r & 1)));
    return h;
}
