/* console.c - the console of a `vm` program is the firmware's. */
#include "runtime.h"

void console_write(const char *text, size_t n)
{
    sbi_console_write(text, n);
}

int console_read(void)
{
    return sbi_console_read();
}
