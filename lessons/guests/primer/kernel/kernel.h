/* kernel.h - what the chapters of the kernel know of each other. */
#ifndef KERNEL_H
#define KERNEL_H
#include "runtime.h"
#include "../system.h"

#define PAGE_BYTES 4096ul
#define ROUND_UP(x) (((x) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1))

/* 2. The machine, as the device tree describes it (machine.c). */
struct range { uint64_t start, size; };
struct virtio_slot { uint64_t base; uint32_t interrupt; };
struct machine {
    struct range memory, reserved[4], plic;
    struct virtio_slot virtio[8];
    unsigned reserved_count, virtio_count, plic_context;
    uint64_t ticks_per_second;
    uint32_t power_button;          /* an interrupt, 0 if there is none */
    bool has_sstc;
};
extern struct machine machine;
void machine_read(const void *device_tree, unsigned hart);

/* 3. Physical pages (pages.c). */
struct page_count { size_t total, free; };
extern struct page_count pages;
void pages_init(void);
void *page_take(void);              /* a page of zeros, or NULL */
void page_give(void *page);

/* 4. Address spaces (paging.c). */
typedef uint64_t pte_t;
#define PTE_V 1u
#define PTE_R 2u
#define PTE_W 4u
#define PTE_X 8u
#define PTE_U 16u
#define PTE_A 64u
#define PTE_D 128u
#define USER_START 0x40000000ul     /* the second gigabyte belongs to the process */
#define USER_END 0x80000000ul
void paging_init(void);
void paging_use(pte_t *table);      /* NULL: the kernel's own */
pte_t *space_make(void);
void space_free(pte_t *table);
void *space_add(pte_t *table, uint64_t address, unsigned permissions);
size_t space_pages(pte_t *table);
bool copy_from_user(pte_t *table, void *to, uint64_t from, size_t n);
bool copy_to_user(pte_t *table, uint64_t to, const void *from, size_t n);

/* 5. Traps and time (trap.c, entry.S). */
struct frame { uint64_t pc, x[31], kernel_sp; }; /* x[0] is ra, x[9] is a0; entry.S knows this layout */
#define A0 9
#define A1 10
#define A2 11
#define A7 16
void traps_init(void);
uint64_t now(void);                 /* in ticks */
uint64_t now_ms(void);
void timer_set(uint64_t when);      /* UINT64_MAX: never */
void interrupts_poll(void);
void return_to_user(struct frame *frame) __attribute__((noreturn));
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* 6. Processes (process.c, load.c). */
struct context { uint64_t ra, sp, s[12]; };
struct process {
    struct frame frame;
    struct context context;
    char *kernel_stack;
    pte_t *space;
    int pid, parent, status;
    enum state { FREE, READY, RUNNING, SLEEPING, ZOMBIE } state;
    bool killed;
    const void *waits_for;
    uint64_t wake_at, cpu_ticks;
    char name[NAME_BYTES];
};
#define MAX_PROCESSES 16
extern struct process processes[MAX_PROCESSES], *current;
int process_start(const char *command);
void process_exit(int status) __attribute__((noreturn));
bool process_kill(int pid);
struct process *process_find(int pid);
bool sleep_on(const void *event, uint64_t until);
void wake(const void *event);
void yield(void);
void schedule(void) __attribute__((noreturn));
bool load_program(pte_t *space, const char *name, uint64_t *entry);

/* 7. System calls (syscall.c). */
uint64_t syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2);

/* 8. Devices (plic.c, virtio.c). */
#define QUEUE_SIZE 8
#define DEVICE_CONSOLE 3
#define DEVICE_DISK 2
struct buffer { void *data; uint32_t size; bool device_writes; };
struct virtqueue;
struct device { uint64_t base; struct virtqueue *queues[2]; };
void plic_enable(uint32_t interrupt);
uint32_t plic_claim(void);
void plic_complete(uint32_t interrupt);
bool virtio_find(uint32_t kind, unsigned queues, struct device *device, uint32_t *interrupt);
void virtio_submit(struct device *device, unsigned queue, const struct buffer *buffers, unsigned n);
bool virtio_used(struct device *device, unsigned queue, uint32_t *first, uint32_t *written);
void virtio_acknowledge(struct device *device);
uint64_t virtio_config64(struct device *device);

/* 9. The console (console.c). */
void console_init(void);
void console_poll(void);            /* is there input? */
bool console_needs_poll(void);
void console_interrupt(void);
extern uint32_t console_irq, disk_irq; /* 0: there is none */
long console_read_line(uint64_t user_address, size_t size);
extern int foreground;              /* the process that Ctrl-C ends */

/* 10. The disk, and files on it (disk.c, files.c). */
#define SECTOR_BYTES 512
void disk_init(void);
void disk_interrupt(void);
uint64_t disk_sectors(void);
bool disk_move(uint64_t sector, void *data, bool write);
long file_list(unsigned index, struct file_info *info);
long file_read(const char *name, void *to, size_t size);
long file_write(const char *name, const void *from, size_t size);
long file_remove(const char *name);
long disk_format(void);
#endif
