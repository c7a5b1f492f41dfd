/* spin.c - use up processor time: `spin 2` for two seconds, `spin` until it is killed. Two of them show how the
 * kernel divides a hart that nobody gives back. */
#include "calls.h"

int main(int count, char **words)
{
    struct system_info begun, info;
    system_info(&begun);
    do {
        for (volatile int i = 0; i < 100000; i++) {}
        system_info(&info);
    } while (count < 2 || info.uptime_ms - begun.uptime_ms < (uint64_t)atol(words[1]) * 1000);
    return 0;
}
