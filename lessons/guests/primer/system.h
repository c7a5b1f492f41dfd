/* system.h - the contract between processes and the kernel: numbers of system calls, and what they exchange.
 *
 * A call is an `ecall` with the number in a7 and up to three arguments in a0 to a2; a0 returns the result, or one
 * of the negative errors below. */
#ifndef SYSTEM_H
#define SYSTEM_H
#include <stdint.h>

enum call {
    CALL_EXIT = 1,      /* (status) */
    CALL_START,         /* (command line) -> pid: a new process, child of the caller */
    CALL_WAIT,          /* (pid) -> status: when that child has ended */
    CALL_REAP,          /* (struct process_info *) -> pid of a child that has ended, or 0 */
    CALL_KILL,          /* (pid) */
    CALL_SLEEP,         /* (milliseconds) */
    CALL_WRITE,         /* (text, bytes) to the console */
    CALL_READ_LINE,     /* (buffer, bytes) -> bytes, the newline included */
    CALL_PROCESS,       /* (index, struct process_info *) -> 1, or 0 behind the last */
    CALL_SYSTEM,        /* (struct system_info *) */
    CALL_FILE_LIST,     /* (index, struct file_info *) -> 1, or 0 behind the last */
    CALL_FILE_READ,     /* (name, buffer, bytes) -> size of the file */
    CALL_FILE_WRITE,    /* (name, data, bytes) */
    CALL_FILE_REMOVE,   /* (name) */
    CALL_FORMAT,        /* (): make an empty file system on the disk */
    CALL_POWER,         /* (0 off, 1 restart) */
};

enum error {
    ERROR_ADDRESS = -1, /* an address that is not the caller's own */
    ERROR_ARGUMENT = -2,
    ERROR_NO_PROCESS = -3,
    ERROR_NO_PROGRAM = -4,
    ERROR_NO_MEMORY = -5,
    ERROR_KILLED = -6,
    ERROR_NO_DISK = -7,
    ERROR_NOT_FORMATTED = -8,
    ERROR_NO_FILE = -9,
    ERROR_DISK_FULL = -10,
    ERROR_CALL = -11,
};

#define NAME_BYTES 20
#define COMMAND_BYTES 80
#define FILE_BYTES 4096     /* the largest file */
#define STATUS_KILLED 137   /* what a killed process ends with; a fault gives 128 + its cause */

struct process_info {
    int pid, parent, state, status;
    uint64_t cpu_ms, pages;
    char name[NAME_BYTES];
};
struct system_info {
    uint64_t uptime_ms, total_pages, free_pages, disk_bytes, idle_ms;
};
struct file_info {
    char name[NAME_BYTES];
    uint32_t size;
};
#endif
