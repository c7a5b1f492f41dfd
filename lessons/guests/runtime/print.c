/* print.c - formatted output. */
#include "runtime.h"

struct text { char *to; size_t size, n; };

static void put(struct text *text, char c)
{
    if (text->n + 1 < text->size) text->to[text->n] = c;
    text->n++;
}

/* Put characters, filled up to `width`: on the right if it is negative. */
static void put_padded(struct text *text, const char *s, int n, int width, char fill)
{
    for (int i = n; i < width; i++) put(text, fill);
    for (int i = 0; i < n; i++) put(text, s[i]);
    for (int i = n; i < -width; i++) put(text, ' ');
}

static void put_number(struct text *text, unsigned long value, bool negative, unsigned base, int width, char fill)
{
    char digits[24];
    int at = sizeof digits;
    do digits[--at] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (negative) digits[--at] = '-';
    put_padded(text, digits + at, (int)sizeof digits - at, width, fill);
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
    struct text text = {to, size, 0};
    for (; *format; format++) {
        if (*format != '%') {
            put(&text, *format);
            continue;
        }
        bool left = *++format == '-';
        format += left;
        char fill = *format == '0' ? '0' : ' ';
        int width = 0;
        while (*format >= '0' && *format <= '9') width = width * 10 + *format++ - '0';
        if (left) width = -width;
        bool is_long = *format == 'l';
        format += is_long;
        if (*format == 'd') {
            long value = is_long ? va_arg(arguments, long) : va_arg(arguments, int);
            put_number(&text, value < 0 ? -(unsigned long)value : (unsigned long)value, value < 0, 10, width, fill);
        } else if (*format == 'u' || *format == 'x') {
            unsigned long value = is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned);
            put_number(&text, value, false, *format == 'u' ? 10 : 16, width, fill);
        } else if (*format == 'p') {
            put_padded(&text, "0x", 2, 0, ' ');
            put_number(&text, (unsigned long)va_arg(arguments, void *), false, 16, width, fill);
        } else if (*format == 's') {
            const char *s = va_arg(arguments, const char *);
            put_padded(&text, s, (int)strlen(s), width, ' ');
        } else if (*format == 'c') {
            put(&text, (char)va_arg(arguments, int));
        } else {
            put(&text, '%');
            if (!*format) break;
            if (*format != '%') put(&text, *format);
        }
    }
    if (size) to[text.n < size ? text.n : size - 1] = 0;
    return (int)text.n;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(to, size, format, arguments);
    va_end(arguments);
    return n;
}

int printf(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    console_write(line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
    return n;
}

void puts(const char *line)
{
    printf("%s\n", line);
}
