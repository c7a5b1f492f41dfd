/* string.c - memory and text. The compiler may call memcpy, memmove, memset and memcmp on its own: it turns the
 * copying of a structure into a call. */
#include "runtime.h"

/* Eight bytes at a time where both sides allow it: an instruction of a guest is what a lab pays for. */
static bool words(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 7) == 0;
}

void *memcpy(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (words(t, f))
        for (; n >= 8; n -= 8, t += 8, f += 8) *(uint64_t *)t = *(const uint64_t *)f;
    while (n--) *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if (to <= from) return memcpy(to, from, n); /* memcpy goes upwards */
    while (n--) ((uint8_t *)to)[n] = ((const uint8_t *)from)[n];
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    uint8_t *t = to;
    if (words(t, t))
        for (; n >= 8; n -= 8, t += 8) *(uint64_t *)t = 0x0101010101010101u * (uint8_t)byte;
    while (n--) *t++ = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n]) n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n--; a++, b++)
        if (*a != *b || !*a) return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    while (*s && *s != (char)c) s++;
    return *s == (char)c ? (char *)s : NULL;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t n = strlen(from);
    if (size) {
        size_t kept = n < size ? n : size - 1;
        memcpy(to, from, kept);
        to[kept] = 0;
    }
    return n;
}

long atol(const char *s)
{
    bool hexadecimal = s[0] == '0' && s[1] == 'x', negative = s[0] == '-';
    unsigned long value = 0;
    for (s += hexadecimal ? 2 : negative; *s; s++) {
        unsigned digit = *s <= '9' ? (unsigned)*s - '0' : ((unsigned)*s | 32) - 'a' + 10;
        if (digit >= (hexadecimal ? 16u : 10u)) break;
        value = value * (hexadecimal ? 16 : 10) + digit;
    }
    return (long)(negative ? -value : value);
}
