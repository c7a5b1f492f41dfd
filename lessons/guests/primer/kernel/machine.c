/* machine.c - chapter 2: what machine is this?
 *
 * A kernel that runs on many machines must not know addresses by heart. Firmware hands over a device tree: nodes
 * with properties, flattened into one block (Devicetree Specification 0.4, chapter 5). We walk it once and keep
 * what we need. Left out: cells of other sizes than 2 for addresses below the root, as on all machines of this kind. */
#include "kernel.h"

#define MAGIC 0xd00dfeed
enum token { BEGIN_NODE = 1, END_NODE, PROPERTY, NOP, END };
#define S_MODE_EXTERNAL 9   /* the interrupt by which the PLIC reaches a hart's S-mode */
#define MAX_DEPTH 8

struct machine machine;

struct property { const uint8_t *data; uint32_t size; };
struct node { const char *name; struct property reg, compatible, interrupts, wires; };

/* The tree is big-endian. */
static uint32_t be32(const void *at)
{
    const uint8_t *b = at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t be64(const uint8_t *at)
{
    return (uint64_t)be32(at) << 32 | be32(at + 4);
}

/* Is this text one of those that a property lists, or part of one? */
static bool mentions(struct property list, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= list.size; i++)
        if (!memcmp(list.data + i, text, n)) return true;
    return false;
}

static struct range range_of(const struct node *node)
{
    if (node->reg.size < 16) return (struct range){0, 0};
    return (struct range){be64(node->reg.data), be64(node->reg.data + 8)};
}

/* A PLIC has a context for each mode of each hart, listed as pairs (hart's controller, interrupt): find ours. */
static unsigned context_of(struct property wires, unsigned hart)
{
    for (uint32_t i = 0; i * 8 + 8 <= wires.size; i++)
        if (be32(wires.data + i * 8 + 4) == S_MODE_EXTERNAL && hart-- == 0) return i;
    return 0;
}

/* A node is complete: do we know what it describes? */
static void node_end(const struct node *node, const struct node *parent, unsigned hart)
{
    if (!strncmp(node->name, "memory@", 7)) {
        machine.memory = range_of(node);
    } else if (!strcmp(parent->name, "reserved-memory") && machine.reserved_count < 4) {
        machine.reserved[machine.reserved_count++] = range_of(node);
    } else if (mentions(node->compatible, "plic")) {
        machine.plic = range_of(node);
        machine.plic_context = context_of(node->wires, hart);
    } else if (mentions(parent->compatible, "gpio-keys") && !strcmp(node->name, "power") && node->interrupts.size == 4) {
        machine.power_button = be32(node->interrupts.data);
    } else if (mentions(node->compatible, "virtio,mmio") && node->interrupts.size == 4 && machine.virtio_count < 8) {
        machine.virtio[machine.virtio_count++] =
            (struct virtio_slot){range_of(node).start, be32(node->interrupts.data)};
    }
}

static void property(struct node *node, const char *name, struct property value)
{
    if (!strcmp(name, "reg")) node->reg = value;
    else if (!strcmp(name, "compatible")) node->compatible = value;
    else if (!strcmp(name, "interrupts")) node->interrupts = value;
    else if (!strcmp(name, "interrupts-extended")) node->wires = value;
    else if (!strcmp(name, "timebase-frequency")) machine.ticks_per_second = be32(value.data);
    else if (!strncmp(name, "riscv,isa", 9)) machine.has_sstc |= mentions(value, "sstc");
}

void machine_read(const void *device_tree, unsigned hart)
{
    const uint8_t *tree = device_tree;
    if (!tree || be32(tree) != MAGIC) panic("there is no device tree at %p", device_tree);
    const uint8_t *at = tree + be32(tree + 8);
    const char *names = (const char *)tree + be32(tree + 12);
    struct node nodes[MAX_DEPTH] = {{.name = ""}}; /* nodes[0] is nobody: the parent of the root */
    for (unsigned depth = 0;;) {
        enum token token = be32(at);
        at += 4;
        if (token == BEGIN_NODE) {
            if (++depth == MAX_DEPTH) panic("the device tree is deeper than %d nodes", MAX_DEPTH - 1);
            nodes[depth] = (struct node){.name = (const char *)at};
            at += (strlen((const char *)at) + 4) & ~3ul;
        } else if (token == END_NODE) {
            node_end(&nodes[depth], &nodes[depth - 1], hart);
            if (--depth == 0) return;
        } else if (token == PROPERTY) {
            uint32_t size = be32(at);
            property(&nodes[depth], names + be32(at + 4), (struct property){at + 8, size});
            at += 8 + ((size + 3) & ~3u);
        } else if (token != NOP) {
            panic("the device tree is broken at offset %ld", at - tree);
        }
    }
}
