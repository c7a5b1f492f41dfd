/* runtime.h - what every guest program may use: a small C library without an operating system.
 *
 * The same functions serve three kinds of programs (README.md says how each is started):
 *   vm     S-mode (VS-mode in a VM), console and power by SBI calls
 *   bare   M-mode on the bare machine, console by the UART, power by the test finisher
 *   user   U-mode, a process of the teaching OS, console and power by its system calls
 * What differs between them is only console_write(), console_read() and exit(). */
#ifndef RUNTIME_H
#define RUNTIME_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory and text (string.c): as in ISO C. */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
/* Copy at most size-1 characters and always end with 0; return strlen(from). */
size_t strlcpy(char *to, const char *from, size_t size);
/* Return the number that a text begins with: decimal, or hexadecimal after 0x; 0 if there is none. */
long atol(const char *s);

/* Formatted output (print.c): %d %u %x %c %s %p %%, with l, a width, 0 or -. printf() writes at most 255
 * characters with one console_write(), so that in a VM a line costs one exit. */
int vsnprintf(char *to, size_t size, const char *format, va_list arguments) __attribute__((format(printf, 3, 0)));
int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void puts(const char *line);

/* The console and the end: console.c and sbi.c, machine.c, or the teaching OS's calls.c. */
void console_write(const char *text, size_t n);
/* Return one byte of input, or -1 if none waits. */
int console_read(void);
/* Switch the machine off (or end the process); 0 means that all went well. */
void exit(int status) __attribute__((noreturn));

/* Supervisor Binary Interface (sbi.c; programs of the kind `vm` only). */
struct sbi_result { long error, value; };
struct sbi_result sbi_call(long extension, long function, long a0, long a1, long a2);
void sbi_console_write(const char *text, size_t n);
int sbi_console_read(void);
#define SBI_BASE 0x10
#define SBI_TIME 0x54494D45
#define SBI_HSM 0x48534D
#define SBI_SRST 0x53525354
#define SBI_DBCN 0x4442434E

/* Control and status registers: read_csr(sstatus), write_csr(stvec, address). */
#define read_csr(name) ({ unsigned long value_; __asm__ volatile("csrr %0, " #name : "=r"(value_) :: "memory"); value_; })
#define write_csr(name, value) __asm__ volatile("csrw " #name ", %0" :: "r"((unsigned long)(value)) : "memory")
#define set_csr(name, bits) __asm__ volatile("csrs " #name ", %0" :: "r"((unsigned long)(bits)) : "memory")
#define clear_csr(name, bits) __asm__ volatile("csrc " #name ", %0" :: "r"((unsigned long)(bits)) : "memory")
#endif
