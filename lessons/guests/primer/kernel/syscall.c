/* syscall.c - chapter 7: what a process can ask for.
 *
 * Everything that comes from a process is a number in a register. A number that stands for an address is used only
 * through copy_from_user() and copy_to_user(), which check it. */
#include "kernel.h"

typedef long (*handler)(uint64_t a0, uint64_t a1, uint64_t a2);
extern uint64_t idle_ticks;
int process_forget(struct process *child);

/* Copy a text with its end; false if it is not the caller's or is too long. */
static bool text_from_user(char *to, uint64_t from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!copy_from_user(current->space, to + i, from + i, 1)) return false;
        if (!to[i]) return true;
    }
    return false;
}

static long give(uint64_t to, const void *from, size_t n, long result)
{
    return copy_to_user(current->space, to, from, n) ? result : ERROR_ADDRESS;
}

static struct process_info describe(struct process *p)
{
    struct process_info info = {p->pid, p->parent, p->state, p->status,
                                p->cpu_ticks * 1000 / machine.ticks_per_second, space_pages(p->space) + 1, ""};
    strlcpy(info.name, p->name, NAME_BYTES);
    return info;
}

static long call_exit(uint64_t status, uint64_t a1, uint64_t a2)
{
    process_exit((int)status & 255);
}

static long call_start(uint64_t command, uint64_t a1, uint64_t a2)
{
    char text[COMMAND_BYTES];
    if (!text_from_user(text, command, sizeof text)) return ERROR_ADDRESS;
    return process_start(text);
}

static long call_wait(uint64_t pid, uint64_t a1, uint64_t a2)
{
    struct process *child = process_find((int)pid);
    if (!child || child->parent != current->pid) return ERROR_NO_PROCESS;
    foreground = current->pid == 1 ? (int)pid : foreground;
    bool awake = true;
    while (awake && child->state != ZOMBIE) awake = sleep_on(current, UINT64_MAX);
    foreground = current->pid == 1 ? 0 : foreground;
    return awake ? process_forget(child) : ERROR_KILLED;
}

static long call_reap(uint64_t to, uint64_t a1, uint64_t a2)
{
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++) {
        if (p->state != ZOMBIE || p->parent != current->pid) continue;
        struct process_info info = describe(p);
        long result = give(to, &info, sizeof info, info.pid);
        if (result > 0) process_forget(p);
        return result;
    }
    return 0;
}

static long call_kill(uint64_t pid, uint64_t a1, uint64_t a2)
{
    return (int)pid > 1 && process_kill((int)pid) ? 0 : ERROR_NO_PROCESS; /* nobody ends the shell */
}

static long call_sleep(uint64_t ms, uint64_t a1, uint64_t a2)
{
    if (ms > 86400000) return ERROR_ARGUMENT;
    uint64_t until = now() + ms * machine.ticks_per_second / 1000;
    bool awake = true;
    while (awake && now() < until) awake = sleep_on(NULL, until);
    return awake ? 0 : ERROR_KILLED;
}

static long call_write(uint64_t text, uint64_t n, uint64_t a2)
{
    char part[128];
    for (uint64_t done = 0; done < n; done += sizeof part) {
        size_t size = n - done < sizeof part ? n - done : sizeof part;
        if (!copy_from_user(current->space, part, text + done, size)) return ERROR_ADDRESS;
        console_write(part, size);
    }
    return (long)n;
}

static long call_read_line(uint64_t to, uint64_t size, uint64_t a2)
{
    return console_read_line(to, size);
}

static long call_process(uint64_t index, uint64_t to, uint64_t a2)
{
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++) {
        if (p->state == FREE || index--) continue;
        struct process_info info = describe(p);
        return give(to, &info, sizeof info, 1);
    }
    return 0;
}

static long call_system(uint64_t to, uint64_t a1, uint64_t a2)
{
    struct system_info info = {now_ms(), pages.total, pages.free, disk_sectors() * SECTOR_BYTES,
                               idle_ticks * 1000 / machine.ticks_per_second};
    return give(to, &info, sizeof info, 0);
}

static long call_file_list(uint64_t index, uint64_t to, uint64_t a2)
{
    struct file_info info;
    long found = file_list((unsigned)index, &info);
    return found == 1 ? give(to, &info, sizeof info, 1) : found;
}

/* Files pass through a page of the kernel, so a process cannot free or change the memory while the disk uses it. */
static long call_file_read(uint64_t name, uint64_t to, uint64_t size)
{
    char text[NAME_BYTES];
    if (!text_from_user(text, name, sizeof text)) return ERROR_ADDRESS;
    char *page = page_take();
    if (!page) return ERROR_NO_MEMORY;
    long result = file_read(text, page, FILE_BYTES);
    if (result > 0) result = give(to, page, (uint64_t)result < size ? (size_t)result : size, result);
    page_give(page);
    return result;
}

static long call_file_write(uint64_t name, uint64_t from, uint64_t size)
{
    char text[NAME_BYTES];
    if (size > FILE_BYTES) return ERROR_ARGUMENT;
    if (!text_from_user(text, name, sizeof text)) return ERROR_ADDRESS;
    char *page = page_take();
    if (!page) return ERROR_NO_MEMORY;
    bool readable = copy_from_user(current->space, page, from, size);
    long result = readable ? file_write(text, page, size) : ERROR_ADDRESS;
    page_give(page);
    return result;
}

static long call_file_remove(uint64_t name, uint64_t a1, uint64_t a2)
{
    char text[NAME_BYTES];
    return text_from_user(text, name, sizeof text) ? file_remove(text) : ERROR_ADDRESS;
}

static long call_format(uint64_t a0, uint64_t a1, uint64_t a2)
{
    return disk_format();
}

static long call_power(uint64_t restart, uint64_t a1, uint64_t a2)
{
    if (!restart) exit(0);
    sbi_call(SBI_SRST, 0, 1, 0, 0); /* returns only if the firmware cannot */
    return ERROR_CALL;
}

static const handler handlers[] = {
    [CALL_EXIT] = call_exit, [CALL_START] = call_start, [CALL_WAIT] = call_wait, [CALL_REAP] = call_reap,
    [CALL_KILL] = call_kill, [CALL_SLEEP] = call_sleep, [CALL_WRITE] = call_write,
    [CALL_READ_LINE] = call_read_line, [CALL_PROCESS] = call_process, [CALL_SYSTEM] = call_system,
    [CALL_FILE_LIST] = call_file_list, [CALL_FILE_READ] = call_file_read, [CALL_FILE_WRITE] = call_file_write,
    [CALL_FILE_REMOVE] = call_file_remove, [CALL_FORMAT] = call_format, [CALL_POWER] = call_power,
};

uint64_t syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
    bool known = number < sizeof handlers / sizeof *handlers && handlers[number];
    return (uint64_t)(known ? handlers[number](a0, a1, a2) : ERROR_CALL);
}
