/* calls.c - how a process asks the kernel, and how it begins. */
#include "calls.h"

#define MAX_WORDS 8

int main(int count, char **words);

static long call(enum call number, long first, long second, long third)
{
    register long a0 __asm__("a0") = first;
    register long a1 __asm__("a1") = second;
    register long a2 __asm__("a2") = third;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

/* The kernel starts a process here, with its command line in a0 and on its stack. */
__attribute__((section(".text.start"), noreturn, used)) void _start(char *command)
{
    char *words[MAX_WORDS + 1] = {0};
    int count = 0;
    while (*command && count < MAX_WORDS) {
        words[count++] = command;
        while (*command && *command != ' ') command++;
        while (*command == ' ') *command++ = 0;
    }
    exit(main(count, words));
}

void exit(int status)
{
    for (;;) call(CALL_EXIT, status, 0, 0);
}

void console_write(const char *text, size_t n)
{
    call(CALL_WRITE, (long)text, (long)n, 0);
}

long start(const char *command) { return call(CALL_START, (long)command, 0, 0); }
long wait(long pid) { return call(CALL_WAIT, pid, 0, 0); }
long reap(struct process_info *info) { return call(CALL_REAP, (long)info, 0, 0); }
long kill(long pid) { return call(CALL_KILL, pid, 0, 0); }
long sleep_ms(long ms) { return call(CALL_SLEEP, ms, 0, 0); }
long read_line(char *to, size_t size) { return call(CALL_READ_LINE, (long)to, (long)size, 0); }
long process_info(long index, struct process_info *info) { return call(CALL_PROCESS, index, (long)info, 0); }
long system_info(struct system_info *info) { return call(CALL_SYSTEM, (long)info, 0, 0); }
long file_list(long index, struct file_info *info) { return call(CALL_FILE_LIST, index, (long)info, 0); }
long file_read(const char *name, void *to, size_t n) { return call(CALL_FILE_READ, (long)name, (long)to, (long)n); }
long file_write(const char *name, const void *from, size_t n)
{
    return call(CALL_FILE_WRITE, (long)name, (long)from, (long)n);
}
long file_remove(const char *name) { return call(CALL_FILE_REMOVE, (long)name, 0, 0); }
long format_disk(void) { return call(CALL_FORMAT, 0, 0, 0); }
long power(bool restart) { return call(CALL_POWER, restart, 0, 0); }

const char *error_text(long error)
{
    static const char *const texts[] = {
        [-ERROR_ADDRESS] = "bad address", [-ERROR_ARGUMENT] = "bad argument",
        [-ERROR_NO_PROCESS] = "no such process", [-ERROR_NO_PROGRAM] = "no such program",
        [-ERROR_NO_MEMORY] = "no memory, or too many processes", [-ERROR_KILLED] = "killed",
        [-ERROR_NO_DISK] = "there is no disk, or it reports an error",
        [-ERROR_NOT_FORMATTED] = "the disk holds no files of ours; `format` makes it empty",
        [-ERROR_NO_FILE] = "no such file", [-ERROR_DISK_FULL] = "the disk is full",
        [-ERROR_CALL] = "no such call",
    };
    bool known = error < 0 && error >= ERROR_CALL;
    return known ? texts[-error] : "unknown error";
}
