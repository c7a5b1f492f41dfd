/* plic.c - chapter 8: which device wants attention?
 *
 * The hart has one external interrupt for all devices. The platform-level interrupt controller (RISC-V PLIC 1.0.0)
 * knows which one it stands for: we claim it, serve the device, and say that it is complete. */
#include "kernel.h"

static volatile uint32_t *plic_at(uint64_t offset)
{
    return (volatile uint32_t *)(machine.plic.start + offset);
}

static volatile uint32_t *priority(uint32_t source) { return plic_at(4ul * source); }
static volatile uint32_t *enabled(uint32_t source)
{
    return plic_at(0x2000 + 0x80ul * machine.plic_context + source / 32 * 4);
}
static volatile uint32_t *threshold(void) { return plic_at(0x200000 + 0x1000ul * machine.plic_context); }
static volatile uint32_t *claim(void) { return plic_at(0x200004 + 0x1000ul * machine.plic_context); }

void plic_enable(uint32_t source)
{
    if (!machine.plic.size || !source) return;
    *priority(source) = 1;
    *enabled(source) |= 1u << source % 32;
    *threshold() = 0;
}

/* Return the number of a device that wants attention, or 0. */
uint32_t plic_claim(void)
{
    return machine.plic.size ? *claim() : 0;
}

void plic_complete(uint32_t source)
{
    *claim() = source;
}
