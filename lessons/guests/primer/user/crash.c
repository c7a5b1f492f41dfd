/* crash.c - what a process cannot do. Each way ends this process, and nothing else. */
#include "calls.h"

static void read_null(void) { (void)*(volatile int *)0; }
static void write_kernel(void) { *(volatile int *)0x80080000 = 0; }
static void read_device(void) { (void)*(volatile int *)0x0c000000; }
static void write_code(void) { *(volatile int *)0x40000000 = 0; }
static void jump_nowhere(void) { ((void (*)(void))0x50000000)(); }
static void illegal(void) { __asm__ volatile("unimp"); }
static void privileged(void) { write_csr(satp, 0); }

/* Not even the kernel may be asked to do it: it checks what it is given. */
static void bad_pointer(void)
{
    long error = file_write("x", (void *)0x80080000, 8);
    printf("the kernel says: %s\n", error_text(error));
    exit(1);
}

/* One page more than the stack has. */
static void overflow(void)
{
    volatile char much[5 * 4096];
    __asm__ volatile("" : : "r"(much) : "memory"); /* or the compiler would keep only the byte that is used */
    much[0] = 1;
}

static const struct { const char *name; void (*run)(void); } ways[] = {
    {"null", read_null}, {"kernel", write_kernel}, {"device", read_device}, {"code", write_code},
    {"jump", jump_nowhere}, {"illegal", illegal}, {"privileged", privileged}, {"pointer", bad_pointer},
    {"stack", overflow},
};

int main(int count, char **words)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (count < 2) printf("crash %s\n", ways[i].name);
        else if (!strcmp(ways[i].name, words[1])) ways[i].run();
    }
    return 0;
}
