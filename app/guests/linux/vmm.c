// A virtual machine monitor of one page: one vCPU, its memory and its console, on Linux's KVM for RISC-V.
//
//   vmm MEBIBYTES ENTRY ARGUMENT FILE@ADDRESS...
//
// Every FILE is copied to its guest-physical ADDRESS; the vCPU begins at ENTRY with a0 = 0 and a1 = ARGUMENT (the
// device tree). KVM answers most SBI calls in the kernel; the legacy console calls end KVM_RUN and are answered here.
// All numbers are hexadecimal. No C library: system calls are made directly. Source: Linux,
// Documentation/virt/kvm/api.rst.
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/kvm.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <stdint.h>

enum { SBI_PUTCHAR = 1, SBI_GETCHAR = 2, SBI_ERR_NOT_SUPPORTED = -2 };

static const uint64_t ram_base = 0x80000000;
static char *ram;
static uint64_t ram_size;
static struct termios cooked;

static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d,
                a4 __asm__("a4") = e, a5 __asm__("a5") = f, a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
  return a0;
}

static long ioctl(long fd, long request, const void *argument) {
  return call(__NR_ioctl, fd, request, (long)argument, 0, 0, 0);
}

static void print(const char *text) {
  long length = 0;
  while (text[length]) length++;
  call(__NR_write, 1, (long)text, length, 0, 0, 0);
}

static _Noreturn void leave(int status) {
  if (cooked.c_lflag) ioctl(0, TCSETS, &cooked);
  call(__NR_exit_group, status, 0, 0, 0, 0, 0);
  __builtin_unreachable();
}

// Return what a system call gave, or end with the name of what failed.
static long need(long answer, const char *what) {
  if (answer >= 0) return answer;
  print("vmm: ");
  print(what);
  print(" failed\n");
  leave(1);
}

static uint64_t number(const char *text) {
  uint64_t value = 0;
  for (; *text; text++) value = value << 4 | (uint64_t)(*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
  return value;
}

// "FILE@ADDRESS": copy the file into the guest's memory.
static void load(char *spec) {
  char *at = spec;
  while (*at && *at != '@') at++;
  uint64_t offset = *at ? number(at + 1) - ram_base : ram_size;
  need(offset < ram_size ? 0 : -1, "an argument FILE@ADDRESS with an address in memory");
  *at = 0;
  long file = need(call(__NR_openat, AT_FDCWD, (long)spec, O_RDONLY, 0, 0, 0), spec), count;
  while ((count = need(call(__NR_read, file, (long)ram + offset, ram_size - offset, 0, 0, 0), spec))) offset += count;
}

static void set_register(long vcpu, size_t offset, uint64_t value) {
  struct kvm_one_reg reg = {
      .id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | offset / sizeof(unsigned long),
      .addr = (uintptr_t)&value,
  };
  need(ioctl(vcpu, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static long read_key(void) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  struct __kernel_timespec no_time = {0};
  unsigned char key;
  if (call(__NR_ppoll, (long)&input, 1, (long)&no_time, 0, 0, 0) != 1) return -1;
  return call(__NR_read, 0, (long)&key, 1, 0, 0, 0) == 1 ? key : -1;
}

static void serve_sbi(struct kvm_run *run) {
  char text[2] = {(char)run->riscv_sbi.args[0], 0};
  long answer = SBI_ERR_NOT_SUPPORTED;
  if (run->riscv_sbi.extension_id == SBI_PUTCHAR) {
    print(text);
    answer = 0;
  } else if (run->riscv_sbi.extension_id == SBI_GETCHAR) {
    answer = read_key();
  }
  run->riscv_sbi.ret[0] = (unsigned long)answer;
}

// Hand on keys and output as they are; the guest's own terminal echoes keys and ends lines.
static void make_terminal_raw(void) {
  if (ioctl(0, TCGETS, &cooked) < 0) return;
  struct termios raw = cooked;
  raw.c_iflag &= ~(tcflag_t)ICRNL;
  raw.c_oflag &= ~(tcflag_t)OPOST;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  ioctl(0, TCSETS, &raw);
}

static void *map(long size, int flags, long file) {
  long made = call(__NR_mmap, 0, size, PROT_READ | PROT_WRITE, flags, file, 0);
  return (void *)need(made, "mmap");
}

static long make_vcpu(char **argv, struct kvm_run **run) {
  long kvm = need(call(__NR_openat, AT_FDCWD, (long)"/dev/kvm", O_RDWR, 0, 0, 0), "opening /dev/kvm");
  long vm = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  struct kvm_userspace_memory_region region = {
      .guest_phys_addr = ram_base, .memory_size = ram_size, .userspace_addr = (uintptr_t)ram};
  need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  long vcpu = need(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
  *run = map(need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED, vcpu);
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.pc), number(argv[2]));
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.a0), 0);
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.a1), number(argv[3]));
  return vcpu;
}

__attribute__((used)) static _Noreturn void begin(long *stack) {
  char **argv = (char **)(stack + 1);
  need(stack[0] >= 5 ? 0 : -1, "usage: vmm MEBIBYTES ENTRY ARGUMENT FILE@ADDRESS...; that");
  ram_size = number(argv[1]) << 20;
  ram = map((long)ram_size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  for (char **spec = argv + 4; *spec; spec++) load(*spec);
  struct kvm_run *run;
  long vcpu = make_vcpu(argv, &run);
  make_terminal_raw();
  while (1) {
    long answer = ioctl(vcpu, KVM_RUN, 0);
    if (answer != -EINTR) need(answer, "KVM_RUN");
    if (run->exit_reason == KVM_EXIT_RISCV_SBI) serve_sbi(run);
    else if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT) leave(0);
    else if (run->exit_reason != KVM_EXIT_INTR) need(-1, "an exit that this monitor does not know: KVM_RUN");
  }
}

__asm__(".globl _start\n_start:\n  mv a0, sp\n  tail begin\n");
