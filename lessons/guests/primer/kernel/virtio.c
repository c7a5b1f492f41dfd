/* virtio.c - chapter 9: devices that were made to be emulated.
 *
 * A virtio device and its driver share queues in memory (Virtio 1.2, section 2.7 "Split Virtqueues"): the driver
 * describes buffers and puts the number of the first into the ring `available`; the device uses them and puts that
 * number into the ring `used`. Registers (section 4.2 "Virtio Over MMIO") are touched only to set this up, to notify
 * the device, and to acknowledge its interrupt: each touch costs a VM an exit. */
#include "kernel.h"

#define MAGIC 0x74726976
#define VERSION 2
#define F_VERSION_1_HIGH 1u     /* feature bit 32, in the upper half */
enum register_at {
    R_MAGIC = 0x00, R_VERSION = 0x04, R_KIND = 0x08, R_FEATURES_SELECT = 0x24, R_FEATURES = 0x20,
    R_QUEUE_SELECT = 0x30, R_QUEUE_MAX = 0x34, R_QUEUE_SIZE = 0x38, R_QUEUE_READY = 0x44, R_NOTIFY = 0x50,
    R_INTERRUPT = 0x60, R_ACKNOWLEDGE = 0x64, R_STATUS = 0x70, R_DESCRIPTORS = 0x80, R_AVAILABLE = 0x90,
    R_USED = 0xa0, R_CONFIG = 0x100,
};
enum status { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum flags { NEXT = 1, DEVICE_WRITES = 2 };

/* One page holds everything of a queue: the parts that the device sees, and behind them what only we know. */
struct virtqueue {
    struct { uint64_t address; uint32_t size; uint16_t flags, next; } descriptors[QUEUE_SIZE];
    struct { uint16_t flags, index, ring[QUEUE_SIZE]; } available;
    struct { uint16_t flags; volatile uint16_t index; struct { uint32_t first, written; } ring[QUEUE_SIZE]; } used
        __attribute__((aligned(4)));
    uint16_t used_seen, next_descriptor;
};

static volatile uint32_t *reg(uint64_t base, uint32_t offset)
{
    return (volatile uint32_t *)(base + offset);
}

static void set_address(uint64_t base, uint32_t offset, const volatile void *address)
{
    *reg(base, offset) = (uint32_t)(uint64_t)address;
    *reg(base, offset + 4) = (uint32_t)((uint64_t)address >> 32);
}

static struct virtqueue *make_queue(uint64_t base, unsigned index)
{
    struct virtqueue *queue = page_take();
    *reg(base, R_QUEUE_SELECT) = index;
    if (!queue || *reg(base, R_QUEUE_MAX) < QUEUE_SIZE) return NULL;
    *reg(base, R_QUEUE_SIZE) = QUEUE_SIZE;
    set_address(base, R_DESCRIPTORS, queue->descriptors);
    set_address(base, R_AVAILABLE, &queue->available);
    set_address(base, R_USED, &queue->used);
    *reg(base, R_QUEUE_READY) = 1;
    return queue;
}

/* Introduce ourselves (section 3.1.1 "Driver Requirements: Device Initialization"): we want no feature but version 1. */
static bool start(struct device *device, unsigned queues)
{
    uint64_t base = device->base;
    *reg(base, R_STATUS) = 0;
    *reg(base, R_STATUS) = ACKNOWLEDGE | DRIVER;
    for (uint32_t half = 0; half < 2; half++) {
        *reg(base, R_FEATURES_SELECT) = half;
        *reg(base, R_FEATURES) = half ? F_VERSION_1_HIGH : 0;
    }
    *reg(base, R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    if (!(*reg(base, R_STATUS) & FEATURES_OK)) return false;
    for (unsigned i = 0; i < queues; i++)
        if (!(device->queues[i] = make_queue(base, i))) return false;
    *reg(base, R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    return true;
}

/* Look for the first device of a kind in the machine's virtio slots, and start it. */
bool virtio_find(uint32_t kind, unsigned queues, struct device *device, uint32_t *interrupt)
{
    for (unsigned i = 0; i < machine.virtio_count; i++) {
        uint64_t base = machine.virtio[i].base;
        bool modern = *reg(base, R_MAGIC) == MAGIC && *reg(base, R_VERSION) == VERSION;
        if (!modern || *reg(base, R_KIND) != kind) continue;
        device->base = base;
        if (!start(device, queues)) continue;
        *interrupt = machine.virtio[i].interrupt;
        plic_enable(*interrupt);
        return true;
    }
    return false;
}

/* Put a request of n buffers into a queue. The caller sees to it that at most QUEUE_SIZE are on their way. */
void virtio_submit(struct device *device, unsigned index, const struct buffer *buffers, unsigned n)
{
    struct virtqueue *queue = device->queues[index];
    uint16_t first = queue->next_descriptor % QUEUE_SIZE;
    for (unsigned i = 0; i < n; i++) {
        uint16_t at = queue->next_descriptor++ % QUEUE_SIZE;
        queue->descriptors[at].address = (uint64_t)buffers[i].data;
        queue->descriptors[at].size = buffers[i].size;
        queue->descriptors[at].flags =
            (uint16_t)((i + 1 < n ? NEXT : 0) | (buffers[i].device_writes ? DEVICE_WRITES : 0));
        queue->descriptors[at].next = (uint16_t)((at + 1) % QUEUE_SIZE);
    }
    queue->available.ring[queue->available.index % QUEUE_SIZE] = first;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the device must not see the index before what it stands for */
    queue->available.index++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *reg(device->base, R_NOTIFY) = index;
}

/* Has the device finished a request? If so, say with which descriptor it began and how much was written. */
bool virtio_used(struct device *device, unsigned index, uint32_t *first, uint32_t *written)
{
    struct virtqueue *queue = device->queues[index];
    if (queue->used.index == queue->used_seen) return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *first = queue->used.ring[queue->used_seen % QUEUE_SIZE].first % QUEUE_SIZE;
    *written = queue->used.ring[queue->used_seen % QUEUE_SIZE].written;
    queue->used_seen++;
    return true;
}

void virtio_acknowledge(struct device *device)
{
    *reg(device->base, R_ACKNOWLEDGE) = *reg(device->base, R_INTERRUPT);
}

uint64_t virtio_config64(struct device *device)
{
    return *reg(device->base, R_CONFIG) | (uint64_t)*reg(device->base, R_CONFIG + 4) << 32;
}
