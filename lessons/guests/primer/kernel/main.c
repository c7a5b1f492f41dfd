/* main.c - the kernel's first minute, and the order in which its parts come to life. */
#include "kernel.h"

void kernel_main(unsigned hart, const void *device_tree)
{
    machine_read(device_tree, hart);
    traps_init();
    pages_init();
    paging_init();
    console_init();
    disk_init();
    printf("\nPrimer, a small operating system\n");
    printf("hart %u, %lu KiB of memory, %lu pages free, %s timer, %s console, ", hart, machine.memory.size >> 10,
           pages.free, machine.has_sstc ? "Sstc" : "SBI", console_irq ? "virtio" : "SBI");
    if (disk_sectors()) printf("disk of %lu KiB\n", disk_sectors() * SECTOR_BYTES >> 10);
    else printf("no disk\n");
    if (process_start("shell") < 0) panic("there is no room for the first process");
    schedule();
}
