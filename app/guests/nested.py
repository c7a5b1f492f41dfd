"""A nested guest: Linux as a KVM host on the bare machine, our monitor, and a second Linux in its initramfs.

`linux/vmm.c` is the monitor. The nested guest is the same kernel and initramfs again; its device tree has a
CPU and memory only, as the monitor has no devices: console, timer and power are SBI calls.
"""

from app.guests import compiler, cpio
from app.guests.linux import read_own
from emulator.machine.fdt import Node, cells64, flatten
from emulator.machine.host import TIMEBASE_HZ
from emulator.machine.linux import HEADER, bundle, kept_symbols, unbundle
from emulator.state import RAM_BASE

MEMORY_MIB = 40
KERNEL_AT = RAM_BASE + (2 << 20)
TREE_AT, INITRD_AT = RAM_BASE + (31 << 20), RAM_BASE + (32 << 20)
HOST_MEMORY_BYTES = 128 << 20
COMMAND = (
    f"vmm {MEMORY_MIB:x} {KERNEL_AT:x} {TREE_AT:x}"
    f" /guest/Image@{KERNEL_AT:x} /guest/initramfs@{INITRD_AT:x} /guest/tree@{TREE_AT:x}"
)
ENTROPY = bytes(range(32))
HEADERS = ("riscv-linux-any", "any-linux-any")
CPU_PHANDLE = 1


def host_image(image: bytes) -> bytes:
    """Return a FIT image whose Linux can run `COMMAND`, made from one of Linux. Raises GuestError."""
    kernel, initrd = unbundle(image, "linux")
    assert HEADER.unpack_from(kernel)[3] < TREE_AT - KERNEL_AT
    # Linux unpacks archives that stand one behind the other.
    more = cpio.archive(
        [
            cpio.directory("guest"),
            cpio.program("bin/vmm", compile_monitor()),
            cpio.program("guest/Image", kernel),
            cpio.program("guest/initramfs", initrd),
            cpio.program("guest/tree", device_tree(len(initrd))),
        ]
    )
    aligned = initrd + bytes(-len(initrd) % cpio.DATA_ALIGNMENT)
    return bundle(kernel, aligned + more, "Linux as a KVM host, with a guest", kept_symbols(image, "linux"))


def compile_monitor() -> bytes:
    """Compile `vmm.c` against Linux's headers, which the compiler brings. Raises GuestError."""
    headers = compiler.library() / "libc" / "include"
    include = [option for name in HEADERS for option in ("-isystem", str(headers / name))]
    with compiler.workshop() as folder:
        (folder / "vmm.c").write_bytes(read_own("vmm.c"))
        compiler.run([*compiler.FLAGS, *include, "-s", "vmm.c", "-o", "vmm"], folder, [])
        return (folder / "vmm").read_bytes()


def device_tree(initrd_bytes: int) -> bytes:
    """Return the blob that describes the nested guest's machine."""
    root = Node(
        "", {"#address-cells": 2, "#size-cells": 2, "compatible": "vmlab,nested", "model": "nested VM"}
    )
    chosen = root.add("chosen", bootargs="console=hvc0")
    chosen.properties["linux,initrd-start"] = cells64(INITRD_AT)
    chosen.properties["linux,initrd-end"] = cells64(INITRD_AT + initrd_bytes)
    chosen.properties["rng-seed"] = ENTROPY
    root.add(f"memory@{RAM_BASE:x}", device_type="memory", reg=cells64(RAM_BASE, MEMORY_MIB << 20))
    cpus = root.add("cpus", address_cells=1, size_cells=0, timebase_frequency=TIMEBASE_HZ)
    cpu = cpus.add("cpu@0", device_type="cpu", reg=0, status="okay", compatible="riscv")
    cpu.properties |= {"riscv,isa": "rv64imafdc", "mmu-type": "riscv,sv39"}
    cpu.add(
        "interrupt-controller",
        interrupt_cells=1,
        interrupt_controller=None,
        compatible="riscv,cpu-intc",
        phandle=CPU_PHANDLE,
    )
    return flatten(root)
