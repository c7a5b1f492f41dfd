/* files.c - chapter 12: names for data that outlives the power switch.
 *
 * The disk's first sectors say where everything is; the rest belongs to files:
 *
 *   sector 0    "PRIMERFS", and nothing else
 *   sector 1    the directory: 16 entries of 32 bytes
 *   sector 2    the table: for each data sector the number of the one that follows it in its file, or LAST, or 0 if
 *               it is free
 *   sector 3..  data; number 1 in the table is sector 3
 *
 * A file is written by taking new sectors first and changing directory and table last. Left out: folders, owners,
 * dates, and a way to survive a power cut between writing the table and the directory. */
#include "kernel.h"

#define MARK "PRIMERFS"
#define FILES 16
#define ENTRIES (SECTOR_BYTES / sizeof(uint16_t))
#define LAST 0xffff
#define FIRST_DATA 2    /* data number n is sector n + 2 */

struct entry { char name[NAME_BYTES]; uint32_t size; uint16_t first, unused[3]; };
struct index { struct entry files[FILES]; uint16_t next[ENTRIES]; };
_Static_assert(sizeof(struct entry) * FILES == SECTOR_BYTES, "the directory fills a sector");

/* One process at a time works on files: whoever waits for the disk must not find the index changed under it. */
static bool locked;
static struct index *index;

static bool move_index(bool write)
{
    return disk_move(1, index->files, write) && disk_move(2, index->next, write);
}

static long unlock(long result)
{
    page_give(index);
    locked = false;
    wake(&locked);
    return result;
}

/* Become the one that works on files, with directory and table read; else return an error. */
static long lock(bool formatted)
{
    char mark[SECTOR_BYTES];
    while (locked)
        if (!sleep_on(&locked, UINT64_MAX)) return ERROR_KILLED;
    if (disk_sectors() <= FIRST_DATA + 1) return ERROR_NO_DISK;
    locked = true;
    if (!(index = page_take())) {
        locked = false;
        return ERROR_NO_MEMORY;
    }
    if (!formatted) return 0;
    if (!disk_move(0, mark, false) || !move_index(false)) return unlock(ERROR_NO_DISK);
    return memcmp(mark, MARK, sizeof MARK) ? unlock(ERROR_NOT_FORMATTED) : 0;
}

static struct entry *find(const char *name)
{
    for (struct entry *file = index->files; file < index->files + FILES; file++)
        if (file->name[0] && !strncmp(file->name, name, NAME_BYTES)) return file;
    return NULL;
}

/* The disk may hold anything, so a number from it is checked before it is used. */
static bool is_data(unsigned number)
{
    return number > 0 && number < ENTRIES && number + FIRST_DATA < disk_sectors();
}

static void release(struct entry *file)
{
    for (unsigned at = file->first, next; is_data(at); at = next) {
        next = index->next[at];
        index->next[at] = 0;
    }
    memset(file, 0, sizeof *file);
}

static unsigned take_sector(void)
{
    unsigned number = 1;
    while (is_data(number) && index->next[number]) number++;
    if (!is_data(number)) return 0;
    index->next[number] = LAST;
    return number;
}

/* Return 1 and the file in place `nth` of the directory, or 0 behind the last. */
long file_list(unsigned nth, struct file_info *info)
{
    long error = lock(true);
    if (error) return error;
    for (struct entry *file = index->files; file < index->files + FILES; file++) {
        if (!file->name[0] || nth--) continue;
        memcpy(info->name, file->name, NAME_BYTES);
        info->name[NAME_BYTES - 1] = 0;
        info->size = file->size;
        return unlock(1);
    }
    return unlock(0);
}

/* Read a file into a page; return its size. */
long file_read(const char *name, void *to, size_t size)
{
    long error = lock(true);
    if (error) return error;
    struct entry *file = find(name);
    if (!file) return unlock(ERROR_NO_FILE);
    size_t bytes = file->size < size ? file->size : size;
    unsigned at = file->first;
    for (size_t done = 0; done < bytes; done += SECTOR_BYTES, at = index->next[at])
        if (!is_data(at) || !disk_move(at + FIRST_DATA, (char *)to + done, false)) return unlock(ERROR_NO_DISK);
    return unlock((long)bytes);
}

static bool write_data(struct entry *file, char *from, size_t size)
{
    uint16_t *link = &file->first;
    for (size_t done = 0; done < size; done += SECTOR_BYTES, from += SECTOR_BYTES) {
        unsigned at = take_sector();
        if (!at || !disk_move(at + FIRST_DATA, from, true)) return false;
        *link = (uint16_t)at;
        link = &index->next[at];
    }
    return true;
}

/* Make a file, or replace it, with what is in a page. */
long file_write(const char *name, const void *from, size_t size)
{
    long error = lock(true);
    if (error) return error;
    struct entry made = {.size = (uint32_t)size}, *file = find(name);
    strlcpy(made.name, name, NAME_BYTES);
    if (!name[0]) return unlock(ERROR_ARGUMENT);
    for (struct entry *free = index->files; !file && free < index->files + FILES; free++)
        if (!free->name[0]) file = free;
    if (!file || !write_data(&made, (char *)from, size)) return unlock(ERROR_DISK_FULL);
    release(file);
    *file = made;
    return unlock(move_index(true) ? 0 : ERROR_NO_DISK);
}

long file_remove(const char *name)
{
    long error = lock(true);
    if (error) return error;
    struct entry *file = find(name);
    if (!file) return unlock(ERROR_NO_FILE);
    release(file);
    return unlock(move_index(true) ? 0 : ERROR_NO_DISK);
}

/* Make an empty directory and table: the page that lock() took is full of zeros. */
long disk_format(void)
{
    char mark[SECTOR_BYTES] = MARK;
    long error = lock(false);
    if (error) return error;
    return unlock(move_index(true) && disk_move(0, mark, true) ? 0 : ERROR_NO_DISK);
}
