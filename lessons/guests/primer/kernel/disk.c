/* disk.c - chapter 11: sectors of 512 bytes (Virtio 1.2, section 5.2 "Block Device").
 *
 * A request is three buffers: what to do, the data, and a byte for how it went. A process that needs the disk sleeps
 * until the interrupt says that the device is done; the others run meanwhile. */
#include "kernel.h"

#define READ 0
#define WRITE 1

struct request { uint32_t kind, reserved; uint64_t sector; };

uint32_t disk_irq;
static struct device disk;
static uint64_t sectors;
static bool busy, done;

void disk_init(void)
{
    if (virtio_find(DEVICE_DISK, 1, &disk, &disk_irq)) sectors = virtio_config64(&disk);
}

uint64_t disk_sectors(void)
{
    return sectors;
}

void disk_interrupt(void)
{
    uint32_t first, written;
    virtio_acknowledge(&disk);
    if (virtio_used(&disk, 0, &first, &written)) {
        done = true;
        wake(&disk);
    }
}

/* Let others run until the disk is done. Even a process that was killed must wait: the device writes into its
 * buffers. */
static void wait_for(const bool *flag, bool value)
{
    while (*flag != value) {
        if (sleep_on(&disk, UINT64_MAX)) continue;
        interrupts_poll(); /* killed, so it cannot sleep: if nobody else runs, nobody else looks */
        yield();
    }
}

/* Read or write one sector; false if there is no disk or it reports an error. */
bool disk_move(uint64_t sector, void *data, bool write)
{
    if (sector >= sectors) return false;
    wait_for(&busy, false); /* one request at a time */
    busy = true;
    done = false;
    struct request request = {write ? WRITE : READ, 0, sector};
    volatile uint8_t status = 255;
    struct buffer buffers[] = {
        {&request, sizeof request, false}, {data, SECTOR_BYTES, !write}, {(void *)&status, 1, true}};
    virtio_submit(&disk, 0, buffers, 3);
    wait_for(&done, true);
    busy = false;
    wake(&disk);
    return status == 0;
}
