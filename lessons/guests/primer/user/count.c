/* count.c - count, and sleep between the numbers: a process that waits costs nothing. */
#include "calls.h"

int main(int count, char **words)
{
    long last = count > 1 ? atol(words[1]) : 5;
    for (long i = 1; i <= last; i++) {
        printf("%ld\n", i);
        sleep_ms(100);
    }
    return 0;
}
