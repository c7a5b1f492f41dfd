/* native.c - the same program on the host, for its check value. */
#include <inttypes.h>
#include <stdio.h>
#include "bench.h"

int main(void)
{
    printf("START %s\n", bench_name);
    fflush(stdout);
    uint64_t check = bench_run(BENCH_N);
    printf("BENCH %s n=%llu check=%016" PRIx64 "\n", bench_name, (unsigned long long)BENCH_N, check);
    return 0;
}
