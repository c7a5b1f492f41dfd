/* A supervisor for one program, which has fewer frames than pages: a page comes when it is touched, and the
   oldest goes home for it. The accessed and dirty bits must tell the truth about every page that goes,
   whether hardware sets them (Svadu) or faults ask for them (Svade).

   The program sees page n of the image at virtual address n * 4096; the supervisor sees RAM where it is. */

#include <stdint.h>

#define RAM 0x80000000UL
#define PAGE 4096UL
#define FRAMES 5 /* an instruction needs four at most: two pages of code, two of data */
#define SV39 (8UL << 60)

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
enum { ECALL = 8, FETCH_FAULT = 12, LOAD_FAULT = 13, STORE_FAULT = 15 };
enum { FINISH = 93, SET_HANDLER = 1000, UNEXPECTED = 0x400, BROKEN = 0x500 };
enum { BAD_ADDRESS = 1, FAULT_WITHOUT_REASON, NEVER_ACCESSED, CHANGED_BUT_CLEAN };

extern volatile uint64_t tohost;
extern char test_begin[], test_end[];

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t middle[512] __attribute__((aligned(4096)));
static uint64_t leaf[512] __attribute__((aligned(4096)));
static uint64_t frame[FRAMES][512] __attribute__((aligned(4096)));
static uint64_t page_in[FRAMES]; /* virtual address of the page in each frame; 0 for none */
static unsigned oldest;
static uint64_t registers[32];
static uint64_t handler;

/* What the environment has seen, for the signature. */
struct { uint64_t faults, asked_for_bits, evictions, written_back; } counts
    __attribute__((aligned(64)));

#define csr_read(name) ({ uint64_t value; asm volatile("csrr %0, " #name : "=r"(value)); value; })
#define csr_write(name, value) asm volatile("csrw " #name ", %0" : : "r"(value))

static void finish(uint64_t value)
{
    asm volatile("fence" : : : "memory");
    for (;;)
        tohost = value;
}

static void check(int truth, uint64_t complaint)
{
    if (!truth)
        finish((BROKEN | complaint) << 1 | 1);
}

static void copy(uint64_t *to, const uint64_t *from)
{
    for (unsigned i = 0; i < PAGE / 8; i++)
        to[i] = from[i];
}

static int same(const uint64_t *a, const uint64_t *b)
{
    for (unsigned i = 0; i < PAGE / 8; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

static void forget(uint64_t va)
{
    asm volatile("sfence.vma %0, zero\n\tfence.i" : : "r"(va) : "memory");
}

static void evict(unsigned number)
{
    uint64_t va = page_in[number], *home = (uint64_t *)(va + RAM);
    uint64_t entry = leaf[va / PAGE];

    if (!va)
        return;
    leaf[va / PAGE] = 0;
    forget(va);
    check(entry & A, NEVER_ACCESSED);
    check(entry & D || same(home, frame[number]), CHANGED_BUT_CLEAN);
    if (entry & D) {
        copy(home, frame[number]);
        counts.written_back++;
    }
    page_in[number] = 0;
    counts.evictions++;
}

static void bring(uint64_t va)
{
    unsigned number = oldest;

    oldest = (oldest + 1) % FRAMES;
    evict(number);
    copy(frame[number], (uint64_t *)(va + RAM));
    page_in[number] = va;
    leaf[va / PAGE] = (uint64_t)frame[number] >> 2 | V | R | W | X | U;
    forget(va);
}

static void fault(uint64_t cause, uint64_t address)
{
    uint64_t va = address & -PAGE, *entry = &leaf[va / PAGE];

    check(va >= (uint64_t)test_begin - RAM && va < (uint64_t)test_end - RAM, BAD_ADDRESS);
    counts.faults++;
    if (!(*entry & V)) {
        bring(va);
        return;
    }
    check(!(*entry & A) || (cause == STORE_FAULT && !(*entry & D)), FAULT_WITHOUT_REASON);
    *entry |= cause == STORE_FAULT ? A | D : A;
    forget(va);
    counts.asked_for_bits++;
}

static void call(void)
{
    if (registers[17] == FINISH) {
        for (unsigned number = 0; number < FRAMES; number++)
            evict(number);
        finish(registers[10]);
    }
    check(registers[17] == SET_HANDLER, UNEXPECTED);
    handler = registers[10];
    csr_write(sepc, csr_read(sepc) + 4);
}

/* Machine mode has left everything off; the program begins with its registers zero. */
uint64_t *begin(void)
{
    root[0] = (uint64_t)middle >> 2 | V;
    root[RAM >> 30] = RAM >> 2 | V | R | W | X | A | D;
    middle[0] = (uint64_t)leaf >> 2 | V;
    csr_write(satp, SV39 | (uint64_t)root >> 12);
    asm volatile("sfence.vma" : : : "memory");
    csr_write(sepc, (uint64_t)test_begin - RAM);
    return registers;
}

uint64_t *trap(void)
{
    uint64_t cause = csr_read(scause), value = csr_read(stval), pc = csr_read(sepc);

    if (cause == ECALL)
        call();
    else if (cause == FETCH_FAULT || cause == LOAD_FAULT || cause == STORE_FAULT)
        fault(cause, value);
    else if (handler) {
        registers[10] = cause, registers[11] = value, registers[12] = pc;
        csr_write(sepc, handler);
    } else
        finish((UNEXPECTED + cause) << 1 | 1);
    return registers;
}

asm(".globl begin_signature, end_signature\n"
    ".set begin_signature, counts\n"
    ".set end_signature, counts + 32");
