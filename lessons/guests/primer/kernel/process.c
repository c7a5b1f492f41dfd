/* process.c - chapter 6: many processes, one hart.
 *
 * A process is an address space, a frame with its registers while it is not running, and a kernel stack on which
 * the kernel works for it. The scheduler has a stack of its own: it picks a process, switches to its stack, and gets
 * the hart back when the process has used up its slice, waits for something, or ends. */
#include "kernel.h"

#define STACK_PAGES 4
#define CONSOLE_POLL_MS 10
#define SLICE_MS 10

struct process processes[MAX_PROCESSES], *current;
uint64_t idle_ticks;
static struct context scheduler_context;
static int last_pid;

void switch_context(struct context *from, struct context *to);
void resume(void) __attribute__((noreturn));

struct process *process_find(int pid)
{
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->state != FREE && p->pid == pid) return p;
    return NULL;
}

/* Forget a process; its memory goes back. */
static void release(struct process *p)
{
    if (p->space) space_free(p->space);
    if (p->kernel_stack) page_give(p->kernel_stack);
    memset(p, 0, sizeof *p);
}

/* A stack at the top of the user half, and at its top the command line, which the runtime splits into words. The
 * page below the stack stays unmapped: a stack that grows too far ends in a page fault. */
static bool make_stack(struct process *p, const char *command)
{
    for (int i = 1; i <= STACK_PAGES; i++)
        if (!space_add(p->space, USER_END - (uint64_t)i * PAGE_BYTES, PTE_R | PTE_W)) return false;
    uint64_t text = USER_END - COMMAND_BYTES;
    p->frame.x[A0] = text;
    p->frame.x[1] = text; /* x2 is sp */
    return copy_to_user(p->space, text, command, strlen(command) + 1);
}

static int fill(struct process *p, const char *command)
{
    const char *space = strchr(command, ' ');
    size_t length = space ? (size_t)(space - command) : strlen(command);
    strlcpy(p->name, command, length < NAME_BYTES ? length + 1 : NAME_BYTES);
    p->space = space_make();
    p->kernel_stack = page_take();
    if (!p->space || !p->kernel_stack) return ERROR_NO_MEMORY;
    if (!load_program(p->space, p->name, &p->frame.pc)) return ERROR_NO_PROGRAM;
    if (!make_stack(p, command)) return ERROR_NO_MEMORY;
    p->frame.kernel_sp = p->context.sp = (uint64_t)p->kernel_stack + PAGE_BYTES;
    p->context.ra = (uint64_t)resume; /* when it is first picked, it goes straight to user mode */
    return 0;
}

/* Make a process from a command line like "spin 3"; return its pid, or an error. */
int process_start(const char *command)
{
    struct process *p = processes;
    while (p < processes + MAX_PROCESSES && p->state != FREE) p++;
    if (p == processes + MAX_PROCESSES) return ERROR_NO_MEMORY;
    int error = fill(p, command);
    if (error) {
        release(p);
        return error;
    }
    p->pid = ++last_pid;
    p->parent = current ? current->pid : 0;
    p->state = READY;
    return p->pid;
}

static void leave(enum state state)
{
    current->state = state;
    switch_context(&current->context, &scheduler_context);
}

void yield(void)
{
    leave(READY);
}

/* Wait until somebody calls wake(event), or it is `until`. False: the process is to end instead. Interrupts are off
 * in the kernel, so nothing can happen between looking for the event and going to sleep. */
bool sleep_on(const void *event, uint64_t until)
{
    if (current->killed) return false;
    current->waits_for = event;
    current->wake_at = until;
    leave(SLEEPING);
    return !current->killed;
}

void wake(const void *event)
{
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->state == SLEEPING && p->waits_for == event) p->state = READY;
}

/* It ends when it next would go to user mode; until then it may finish what it is doing in the kernel. */
bool process_kill(int pid)
{
    struct process *p = process_find(pid);
    if (!p || p->state == ZOMBIE) return false;
    p->killed = true;
    if (p->state == SLEEPING) p->state = READY;
    return true;
}

/* End the current process. What remains is its status, until the parent asks for it; orphans become children of the
 * first process. */
void process_exit(int status)
{
    if (current->pid == 1) panic("the first process has ended with %d", status);
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->parent == current->pid) p->parent = 1;
    current->status = status;
    wake(process_find(current->parent));
    leave(ZOMBIE);
    panic("a process that has ended was run");
}

/* Round robin: the next one that is ready, behind the one that ran last. */
static struct process *pick(void)
{
    static unsigned last;
    for (unsigned i = 1; i <= MAX_PROCESSES; i++) {
        struct process *p = &processes[(last + i) % MAX_PROCESSES];
        if (p->state == SLEEPING && now() >= p->wake_at) p->state = READY;
        if (p->state == READY) {
            last = (last + i) % MAX_PROCESSES;
            return p;
        }
    }
    return NULL;
}

/* Nobody is ready: stop the hart until a device or the clock has something. WFI wakes up for a pending interrupt
 * although interrupts are off. A machine that does nothing costs its host nothing. */
static void idle(void)
{
    uint64_t begun = now(), wake_at = UINT64_MAX;
    if (console_needs_poll()) wake_at = begun + CONSOLE_POLL_MS * machine.ticks_per_second / 1000;
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->state == SLEEPING && p->wake_at < wake_at) wake_at = p->wake_at;
    timer_set(wake_at);
    __asm__ volatile("wfi" ::: "memory");
    interrupts_poll();
    idle_ticks += now() - begun;
}

void schedule(void)
{
    for (;;) {
        current = pick();
        if (!current) {
            idle();
            continue;
        }
        current->state = RUNNING;
        uint64_t begun = now();
        timer_set(begun + SLICE_MS * machine.ticks_per_second / 1000);
        paging_use(current->space);
        switch_context(&scheduler_context, &current->context);
        paging_use(NULL);
        current->cpu_ticks += now() - begun;
    }
}

/* A child that has ended is forgotten as soon as its parent knows its status. */
int process_forget(struct process *child)
{
    int status = child->status;
    release(child);
    return status;
}
