/* platform.h - what the platforms offer. Bare ones (bare.c) have the console only; the supervisor platform (sbi.c) also
 * serves programs that use traps, paging or U-mode themselves. */
#ifndef PLATFORM_H
#define PLATFORM_H
#include <stddef.h>
#include <stdint.h>

/* Console and end: put_char() and the end belong to the platform (sbi.c, bare.c), the rest to report.c */
void put_char(char c);
void put_str(const char *s);
void put_dec(uint64_t v);
void put_hex(uint64_t v);
void run_and_report(void);
void report_trap(uint64_t cause, uint64_t value, uint64_t pc);
void sbi_shutdown(int failed) __attribute__((noreturn));
void sbi_set_timer(uint64_t time);
void sbi_send_ipi(uint64_t hart_mask, uint64_t hart_mask_base);

/* S/U plumbing (start.S). A program that takes traps defines s_trap(), and runs
 * call_until_done(fn): fn enters U-mode with s_resume(), and s_done() in a trap returns from call_until_done(). */
struct frame { uint64_t x[32]; uint64_t sepc; uint64_t sstatus; };
void call_until_done(void (*fn)(void));
void s_done(void) __attribute__((noreturn));
void s_resume(struct frame *f) __attribute__((noreturn));
struct frame *s_trap(struct frame *f, uint64_t scause, uint64_t stval);
void fatal_trap(uint64_t scause, uint64_t stval) __attribute__((noreturn));

/* Sv39 (sv39.c): identity map of RAM_MIB MiB of RAM in 4 KiB pages, and 2 MiB of user space */
#define PTE_V 1u
#define PTE_R 2u
#define PTE_W 4u
#define PTE_X 8u
#define PTE_U 16u
#define PTE_A 64u
#define PTE_D 128u
#define RAM_BASE 0x80000000ull
#define RAM_MIB 64
#define USER_BASE 0x100000000ull            /* 512 page-table entries */
struct space { uint64_t l2[512]; uint64_t l1u[512]; uint64_t l0u[512]; };
void vm_init(void);                         /* build the kernel tables that every space shares */
void vm_space(struct space *s);             /* kernel map + empty user space */
uint64_t vm_satp(const struct space *s, unsigned asid);

#define SSTATUS_SIE 0x2ul
#define SSTATUS_SPIE 0x20ul
#define SSTATUS_SPP 0x100ul

#define csr_read(r) ({ unsigned long v_; __asm__ volatile("csrr %0, " #r : "=r"(v_) :: "memory"); v_; })
#define csr_write(r, v) __asm__ volatile("csrw " #r ", %0" :: "r"((unsigned long)(v)) : "memory")
#define csr_set(r, v) __asm__ volatile("csrs " #r ", %0" :: "r"((unsigned long)(v)) : "memory")
#define csr_clear(r, v) __asm__ volatile("csrc " #r ", %0" :: "r"((unsigned long)(v)) : "memory")
#define sfence_all() __asm__ volatile("sfence.vma" ::: "memory")
#define sfence_va(va) __asm__ volatile("sfence.vma %0, zero" :: "r"(va) : "memory")
#endif
