// A virtual machine monitor of one page: one vCPU, its memory, and a console, on Linux's KVM for RISC-V.
//
//   vmm MEBIBYTES ENTRY ARGUMENT FILE@ADDRESS...
//
// Every FILE is copied to its guest-physical ADDRESS; the vCPU begins at ENTRY with a0 = 0 and a1 = ARGUMENT (the
// device tree). The kernel's KVM answers most SBI calls by itself; the legacy console calls end KVM_RUN and are
// answered here. Numbers are hexadecimal but for MEBIBYTES. Source: Linux, Documentation/virt/kvm/api.rst.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SBI_PUTCHAR = 1, SBI_GETCHAR = 2 };

static const uint64_t ram_base = 0x80000000;
static char *ram;
static uint64_t ram_size;

static int ask(int fd, unsigned long request, const void *argument, const char *what) {
  int answer = ioctl(fd, request, argument);
  if (answer < 0 && errno != EINTR) err(1, "%s", what);
  return answer;
}

// "FILE@ADDRESS": copy the file into the guest's memory.
static void load(char *spec) {
  char *at = strrchr(spec, '@');
  if (!at) errx(2, "%s: expected FILE@ADDRESS", spec);
  *at = 0;
  uint64_t offset = strtoull(at + 1, NULL, 16) - ram_base;
  if (offset >= ram_size) errx(2, "%s: address %s is not in memory", spec, at + 1);
  FILE *file = fopen(spec, "rb");
  if (!file) err(2, "%s", spec);
  fread(ram + offset, 1, ram_size - offset, file);
  if (!feof(file)) errx(2, "%s: does not fit", spec);
  fclose(file);
}

static void set_register(int vcpu, size_t offset, uint64_t value) {
  struct kvm_one_reg reg = {
      .id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | offset / sizeof(unsigned long),
      .addr = (uintptr_t)&value,
  };
  ask(vcpu, KVM_SET_ONE_REG, &reg, "KVM_SET_ONE_REG");
}

static long read_key(void) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  unsigned char key;
  return poll(&input, 1, 0) == 1 && read(0, &key, 1) == 1 ? key : -1;
}

static void serve_sbi(struct kvm_run *run) {
  char byte = (char)run->riscv_sbi.args[0];
  run->riscv_sbi.ret[0] = 0;
  if (run->riscv_sbi.extension_id == SBI_PUTCHAR) write(1, &byte, 1);
  else if (run->riscv_sbi.extension_id == SBI_GETCHAR) run->riscv_sbi.ret[0] = (unsigned long)read_key();
  else run->riscv_sbi.ret[0] = (unsigned long)-2;  // SBI_ERR_NOT_SUPPORTED
}

int main(int argc, char **argv) {
  if (argc < 5) errx(2, "usage: vmm MEBIBYTES ENTRY ARGUMENT FILE@ADDRESS...");
  ram_size = strtoull(argv[1], NULL, 10) << 20;
  ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (ram == MAP_FAILED) err(1, "mmap");
  for (int i = 4; i < argc; i++) load(argv[i]);

  int kvm = open("/dev/kvm", O_RDWR);
  if (kvm < 0) err(1, "/dev/kvm");
  int vm = ask(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
  struct kvm_userspace_memory_region region = {
      .guest_phys_addr = ram_base, .memory_size = ram_size, .userspace_addr = (uintptr_t)ram};
  ask(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
  int vcpu = ask(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
  size_t size = (size_t)ask(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
  struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (run == MAP_FAILED) err(1, "mmap of the vCPU");
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.pc), strtoull(argv[2], NULL, 16));
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.a0), 0);
  set_register(vcpu, offsetof(struct kvm_riscv_core, regs.a1), strtoull(argv[3], NULL, 16));

  while (1) {
    ask(vcpu, KVM_RUN, NULL, "KVM_RUN");
    switch (run->exit_reason) {
    case KVM_EXIT_RISCV_SBI: serve_sbi(run); break;
    case KVM_EXIT_INTR: break;
    case KVM_EXIT_SYSTEM_EVENT: return 0;
    default: errx(1, "unexpected exit %u", run->exit_reason);
    }
  }
}
