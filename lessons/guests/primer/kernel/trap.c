/* trap.c - chapter 5: how the hart gets from a process into the kernel.
 *
 * Three things bring it here (Privileged ISA, "Supervisor Cause Register"): the process asks (ecall), the process
 * does something it may not (an exception), or a device or the clock wants attention (an interrupt). */
#include "kernel.h"

#define INTERRUPT (1ul << 63)
#define CAUSE_ECALL 8
#define TIMER (1ul << 5)
#define EXTERNAL (1ul << 9)
#define SPP (1ul << 8)      /* sstatus: sret goes to S-mode */
#define SPIE (1ul << 5)     /* sstatus: sret switches interrupts on */
#define NEVER UINT64_MAX

extern char trap_entry[];

static const char *const causes[] = {
    "misaligned instruction address", "instruction access fault", "illegal instruction", "breakpoint",
    "misaligned load", "load access fault", "misaligned store", "store access fault", "system call", "?", "?", "?",
    "instruction page fault", "load page fault", "?", "store page fault",
};

static const char *cause_name(uint64_t cause)
{
    return cause < sizeof causes / sizeof *causes ? causes[cause] : "unknown cause";
}

void panic(const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("\nkernel panic: %s\n", text);
    exit(1);
}

/* entry.S comes here when the trap was taken inside the kernel. */
void trap_from_kernel(uint64_t cause, uint64_t value, uint64_t pc)
{
    panic("%s, address %p, pc %p", cause_name(cause), (void *)value, (void *)pc);
}

uint64_t now(void)
{
    return read_csr(time);
}

uint64_t now_ms(void)
{
    return now() * 1000 / machine.ticks_per_second;
}

/* With the extension Sstc the hart compares time with stimecmp itself; without it we ask the firmware. */
void timer_set(uint64_t when)
{
    if (machine.has_sstc) write_csr(0x14D, when);
    else sbi_call(SBI_TIME, 0, (long)when, 0, 0);
}

void traps_init(void)
{
    write_csr(sscratch, 0);
    write_csr(stvec, trap_entry);
    timer_set(NEVER);
    write_csr(sie, TIMER | EXTERNAL);
    plic_enable(machine.power_button);
}

/* Somebody has pressed the power button. Files are on the disk as soon as they are written, so there is nothing to
 * save. */
static void switch_off(void)
{
    printf("\npower button: switching off\n");
    exit(0);
}

/* Serve what is pending. In the kernel interrupts are off; whoever waits there calls this. */
void interrupts_poll(void)
{
    uint64_t pending = read_csr(sip);
    if (pending & TIMER) timer_set(NEVER);
    if (pending & EXTERNAL) {
        for (uint32_t source; (source = plic_claim()); plic_complete(source)) {
            if (source == console_irq) console_interrupt();
            if (source == disk_irq) disk_interrupt();
            if (source == machine.power_button) switch_off();
        }
    }
    console_poll();
}

/* What a faulting process touched, in words. */
static const char *place(uint64_t address)
{
    if (address < PAGE_BYTES) return "a null pointer";
    if (address >= (uint64_t)machine.memory.start) return "the kernel's memory";
    return address >= USER_START ? "its own half, but not for this" : "the devices";
}

/* The process has done what it may not: it ends, everybody else goes on. */
static void fault(struct process *process, uint64_t cause, uint64_t value)
{
    printf("%s[%d]: %s", process->name, process->pid, cause_name(cause));
    if (cause == 2) printf(" 0x%lx", value);
    else printf(" at %p (%s)", (void *)value, place(value));
    printf(", pc %p; killed\n", (void *)process->frame.pc);
    process_exit(128 + (int)cause);
}

static void serve_call(struct frame *frame)
{
    frame->pc += 4; /* go on behind the ecall */
    frame->x[A0] = syscall(frame->x[A7], frame->x[A0], frame->x[A1], frame->x[A2]);
}

/* Go back into the process, unless it is to end. */
void resume(void)
{
    if (current->killed) process_exit(STATUS_KILLED);
    write_csr(sstatus, (read_csr(sstatus) & ~SPP) | SPIE);
    return_to_user(&current->frame);
}

/* entry.S comes here with every register of the process saved in its frame. */
void trap_from_user(struct frame *frame, uint64_t cause, uint64_t value)
{
    if (cause == CAUSE_ECALL) {
        serve_call(frame);
    } else if (cause & INTERRUPT) {
        interrupts_poll();
        yield(); /* the slice is used up, or somebody may have been woken: the others first */
    } else {
        fault(current, cause, value);
    }
    resume();
}
