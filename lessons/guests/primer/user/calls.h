/* calls.h - what a process can do: the system calls as functions, and the C runtime. */
#ifndef CALLS_H
#define CALLS_H
#include "runtime.h"
#include "../system.h"

long start(const char *command);
long wait(long pid);
long reap(struct process_info *info);
long kill(long pid);
long sleep_ms(long ms);
long read_line(char *to, size_t size);
long process_info(long index, struct process_info *info);
long system_info(struct system_info *info);
long file_list(long index, struct file_info *info);
long file_read(const char *name, void *to, size_t size);
long file_write(const char *name, const void *from, size_t size);
long file_remove(const char *name);
long format_disk(void);
long power(bool restart);
const char *error_text(long error);
#endif
