/* load.c - programs: ELF files inside the kernel (programs.S), and how one becomes memory.
 *
 * System V ABI, "Object Files": an ELF file begins with a header that says where the program headers are; each one of
 * kind PT_LOAD says which bytes of the file belong at which address, and whether they may be written or executed. */
#include "kernel.h"

#define PT_LOAD 1
#define PF_X 1
#define PF_W 2

struct elf {
    uint8_t identity[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, headers;
    uint8_t unused[16];
    uint16_t header_bytes, header_count;
};
struct header {
    uint32_t type, flags;
    uint64_t offset, address, physical, in_file, in_memory, align;
};
struct program { const char *name; const uint8_t *elf; };
extern const struct program programs[]; /* ends with a name of NULL */

static bool load_segment(pte_t *space, const uint8_t *elf, const struct header *header)
{
    unsigned permissions = PTE_R;
    if (header->flags & PF_W) permissions |= PTE_W;
    if (header->flags & PF_X) permissions |= PTE_X;
    for (uint64_t done = 0; done < header->in_memory;) {
        uint64_t address = header->address + done;
        char *page = space_add(space, address & ~(PAGE_BYTES - 1), permissions);
        if (!page) return false;
        uint64_t offset = address % PAGE_BYTES, room = PAGE_BYTES - offset;
        uint64_t left = done < header->in_file ? header->in_file - done : 0;
        memcpy(page + offset, elf + header->offset + done, left < room ? left : room);
        done += room;
    }
    return true;
}

bool load_program(pte_t *space, const char *name, uint64_t *entry)
{
    const struct program *program = programs;
    while (program->name && strcmp(program->name, name)) program++;
    if (!program->name) return false;
    const struct elf *elf = (const struct elf *)program->elf;
    const struct header *headers = (const struct header *)(program->elf + elf->headers);
    for (int i = 0; i < elf->header_count; i++)
        if (headers[i].type == PT_LOAD && !load_segment(space, program->elf, &headers[i])) return false;
    *entry = elf->entry;
    return true;
}
