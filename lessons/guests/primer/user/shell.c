/* shell.c - chapter 13: the first process. It reads a line, does it or starts a program for it, and asks again. */
#include "calls.h"

#define MAX_WORDS 8

struct command { const char *name, *help; void (*run)(int count, char **words); };

static void report(const char *what, long error)
{
    if (error < 0) printf("%s: %s\n", what, error_text(error));
}

static void show_processes(int count, char **words)
{
    static const char *const states[] = {"free", "ready", "running", "sleeping", "ended"};
    struct process_info info;
    puts("PID PARENT STATE     CPU ms PAGES NAME");
    for (long i = 0; process_info(i, &info) == 1; i++)
        printf("%3d %6d %-8s %7lu %5lu %s\n", info.pid, info.parent, states[info.state], info.cpu_ms, info.pages,
               info.name);
}

static void show_memory(int count, char **words)
{
    struct system_info info;
    system_info(&info);
    printf("%lu of %lu KiB free\n", info.free_pages * 4, info.total_pages * 4);
}

static void show_uptime(int count, char **words)
{
    struct system_info info;
    system_info(&info);
    printf("up %lu.%03lu s, idle %lu.%03lu s\n", info.uptime_ms / 1000, info.uptime_ms % 1000, info.idle_ms / 1000,
           info.idle_ms % 1000);
}

static void list_files(int count, char **words)
{
    struct file_info info;
    long found = 0;
    for (long i = 0; (found = file_list(i, &info)) == 1; i++) printf("%5u %s\n", info.size, info.name);
    report("ls", found);
}

static void show_file(int count, char **words)
{
    static char data[FILE_BYTES];
    long n = file_read(words[1], data, sizeof data);
    report(words[1], n);
    if (n > 0) console_write(data, (size_t)n);
}

/* The words behind the name become the file's only line. */
static void write_file(int count, char **words)
{
    char text[COMMAND_BYTES * 2];
    int n = 0;
    for (int i = 2; i < count; i++) n += snprintf(text + n, sizeof text - (size_t)n, i > 2 ? " %s" : "%s", words[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "\n");
    report(words[1], file_write(words[1], text, (size_t)n));
}

static void remove_file(int count, char **words) { report(words[1], file_remove(words[1])); }
static void format(int count, char **words) { report("format", format_disk()); }
static void end_process(int count, char **words) { report(words[1], kill(atol(words[1]))); }
static void shut_down(int count, char **words) { report("shutdown", power(false)); }
static void reboot(int count, char **words) { report("reboot", power(true)); }
static void show_help(int count, char **words);

static const struct command commands[] = {
    {"help", "this list", show_help},
    {"ps", "processes, with the CPU time each has had", show_processes},
    {"mem", "free memory", show_memory},
    {"uptime", "time since the start, and how much of it nobody had anything to do", show_uptime},
    {"ls", "files on the disk", list_files},
    {"cat", "NAME: show a file", show_file},
    {"write", "NAME TEXT: make a file of one line", write_file},
    {"rm", "NAME: remove a file", remove_file},
    {"format", "make the disk empty", format},
    {"kill", "PID: end a process", end_process},
    {"shutdown", "switch the machine off", shut_down},
    {"reboot", "start the machine again", reboot},
};

static void show_help(int count, char **words)
{
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("%-9s %s\n", commands[i].name, commands[i].help);
    puts("count N   count to N, a number every 100 ms\nspin [S]  compute for S seconds, or for ever");
    puts("crash HOW do what is forbidden; without HOW it says what there is");
    puts("A program with & behind it runs in the background. Ctrl-C ends the one in front.");
}

/* Start a program; wait for it, unless the line ends in &. */
static void run_program(const char *line, bool background)
{
    long pid = start(line);
    if (pid < 0) {
        printf("%s: %s\n", line, error_text(pid));
    } else if (background) {
        printf("[%ld] %s\n", pid, line);
    } else {
        long status = wait(pid);
        if (status) printf("%s: ended with %ld\n", line, status);
    }
}

/* A word with more behind it needs an argument; `cat` without a name must not reach words[1]. */
static bool complete(const struct command *command, int count)
{
    int needed = command->help[0] >= 'A' && command->help[0] <= 'Z' ? 2 : 1;
    if (count < needed) printf("%s %s\n", command->name, command->help);
    return count >= needed;
}

static void run_line(char *line)
{
    char copy[COMMAND_BYTES], *words[MAX_WORDS + 1] = {0};
    int count = 0;
    size_t n = strlcpy(copy, line, sizeof copy);
    if (n >= sizeof copy) {
        printf("a line has at most %d characters\n", COMMAND_BYTES - 1);
        return;
    }
    bool background = n && copy[n - 1] == '&';
    if (background) copy[n - 1] = line[n - 1] = 0;
    for (char *at = copy; *at && count < MAX_WORDS;) {
        while (*at == ' ') *at++ = 0;
        if (*at) words[count++] = at;
        while (*at && *at != ' ') at++;
    }
    if (!count) return;
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, words[0])) continue;
        if (complete(&commands[i], count)) commands[i].run(count, words);
        return;
    }
    run_program(line + (words[0] - copy), background);
}

/* Say which programs in the background have ended meanwhile. */
static void report_ended(void)
{
    struct process_info info;
    while (reap(&info) > 0) printf("[%d] %s ended with %d\n", info.pid, info.name, info.status);
}

int main(void)
{
    char line[2 * COMMAND_BYTES];
    puts("Type `help` for the commands.");
    for (;;) {
        report_ended();
        console_write("$ ", 2);
        long n = read_line(line, sizeof line - 1);
        if (n < 1) continue;
        line[n - 1] = 0;
        run_line(line);
    }
}
