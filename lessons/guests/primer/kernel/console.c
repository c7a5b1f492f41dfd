/* console.c - chapter 10: characters out, lines in.
 *
 * Two ways lead to a terminal. A virtio console takes whole texts and interrupts when something was typed. Without
 * one we use the firmware's; it never interrupts us, so from time to time we have to ask whether something was typed. */
#include "kernel.h"

#define RECEIVE 0
#define TRANSMIT 1
#define RECEIVE_BYTES 64
#define LINE_BYTES 128
#define CTRL_C 3
#define CTRL_U 21
#define BACKSPACE 8
#define DELETE 127

int foreground;
uint32_t console_irq;
static struct device virtio;
static bool has_virtio;
static char received[QUEUE_SIZE][RECEIVE_BYTES];

/* Lines that are complete and not yet read, and the one that is being typed behind them. */
static char line[LINE_BYTES];
static size_t typed, complete;

static void offer(unsigned buffer)
{
    virtio_submit(&virtio, RECEIVE, &(struct buffer){received[buffer], RECEIVE_BYTES, true}, 1);
}

void console_init(void)
{
    has_virtio = virtio_find(DEVICE_CONSOLE, 2, &virtio, &console_irq);
    for (unsigned i = 0; has_virtio && i < QUEUE_SIZE; i++) offer(i); /* buffer i is descriptor i, for ever */
}

static void write_virtio(const char *text, size_t n)
{
    uint32_t first, written;
    virtio_submit(&virtio, TRANSMIT, &(struct buffer){(char *)text, (uint32_t)n, false}, 1);
    while (!virtio_used(&virtio, TRANSMIT, &first, &written)) {} /* the text is the caller's: wait until it is read */
}

/* A terminal goes down a line for \n and to its beginning for \r: processes need to write only \n. */
void console_write(const char *text, size_t n)
{
    char out[128];
    size_t filled = 0;
    for (; n; n--, text++) {
        if (*text == '\n') out[filled++] = '\r';
        out[filled++] = *text;
        if (n > 1 && filled < sizeof out - 1) continue;
        (has_virtio ? write_virtio : sbi_console_write)(out, filled);
        filled = 0;
    }
}

static void rub_out(void)
{
    if (typed == complete) return;
    typed--;
    console_write("\b \b", 3);
}

/* Take one typed character: show it, and wake whoever waits for a line when there is one. */
static void take(char c)
{
    if (c == '\r') c = '\n';
    if (c == CTRL_C) {
        console_write("^C\n", 3);
        typed = complete;
        process_kill(foreground);
        c = '\n';
        if (foreground) return;
    } else if (c == BACKSPACE || c == DELETE) {
        rub_out();
        return;
    } else if (c == CTRL_U) {
        while (typed > complete) rub_out();
        return;
    } else if ((c < ' ' && c != '\n') || typed >= LINE_BYTES - (c == '\n' ? 0 : 1)) {
        return; /* the last place is for the end of the line */
    } else {
        console_write(&c, 1);
    }
    line[typed++] = c;
    if (c == '\n') {
        complete = typed;
        wake(line);
    }
}

/* Hand the first complete line to the process. */
long console_read_line(uint64_t to, size_t size)
{
    while (!complete)
        if (!sleep_on(line, UINT64_MAX)) return ERROR_KILLED;
    size_t n = (size_t)(strchr(line, '\n') - line) + 1;
    size_t given = n < size ? n : size;
    if (!copy_to_user(current->space, to, line, given)) return ERROR_ADDRESS;
    memmove(line, line + n, typed - n);
    typed -= n;
    complete -= n;
    return (long)given;
}

/* The device has filled a buffer: take what is in it, and offer it again. */
void console_interrupt(void)
{
    uint32_t buffer, n;
    virtio_acknowledge(&virtio);
    while (virtio_used(&virtio, RECEIVE, &buffer, &n)) {
        for (uint32_t i = 0; i < n && i < RECEIVE_BYTES; i++) take(received[buffer][i]);
        offer(buffer);
    }
}

bool console_needs_poll(void)
{
    return !has_virtio;
}

void console_poll(void)
{
    if (has_virtio) return;
    for (int c; (c = sbi_console_read()) >= 0;) take((char)c);
}
