"""What guests reach by loads and stores in the device window: trap and emulate, interrupts, DMA, refusals."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.hypervisor import lifecycle
from emulator.hypervisor.vm import DiskSettings, Vm, VmState
from tests.hypervisor.bench import Bench

UART, PLIC, FINISHER, VIRTIO = 0x1000_0000, 0xC00_0000, 0x10_0000, 0x1000_1000

# A driver for one virtio queue of 8 entries, and one request through it. Rings and buffers lie in `area`.
VIRTIO_PRELUDE = """
    .macro put register, value
        li t1, \\value
        sw t1, \\register(s0)
    .endm
    .macro setup queue
        put 0x70, 0
        put 0x70, 3
        put 0x24, 1
        put 0x20, 1           # VIRTIO_F_VERSION_1
        put 0x70, 11
        put 0x30, \\queue
        put 0x38, 8
        la t2, area
        sw t2, 0x80(s0)       # descriptors
        addi t3, t2, 128
        sw t3, 0x90(s0)       # driver ring
        addi t3, t2, 256
        sw t3, 0xa0(s0)       # device ring
        put 0x44, 1
        put 0x70, 15
    .endm
    .macro describe index, address, length, flags, next
        la t2, area + \\index * 16
        la t3, \\address
        sd t3, 0(t2)
        li t3, \\length
        sw t3, 8(t2)
        li t3, \\flags | \\next << 16
        sw t3, 12(t2)
    .endm
    .macro kick queue
        la t2, area + 128
        li t3, 1 << 16        # idx 1, ring[0] = 0
        sw t3, 0(t2)
        sw zero, 4(t2)
        put 0x50, \\queue
    .endm
"""
AREA = """
    .data
    .balign 4096
area: .zero 1024
"""


def test_a_guest_prints_on_the_serial_port_and_reads_its_status(bench: Bench) -> None:
    vm = bench.vm(f"li s0, {UART}\nli t0, 'U'\nsb t0, 0(s0)\nlbu a0, 5(s0)\nmv s1, a0\n1: wfi\nj 1b")
    bench.run()
    assert vm.console.since(0)[1] == "U"
    assert vm.vcpus[0].context.x[9] & 0x60 == 0x60  # the transmitter is empty
    assert vm.exits["mmio"] == 2


@pytest.mark.parametrize(
    ("load", "value"),
    [("lw", 0x7472_6976), ("lwu", 0x7472_6976), ("c.lw", 0x7472_6976)],
)
def test_a_load_gets_what_the_device_says(bench: Bench, load: str, value: int) -> None:
    vm = bench.vm(f"li s0, {VIRTIO}\n{load} s1, 0(s0)\n1: wfi\nj 1b")
    bench.run()
    assert vm.vcpus[0].context.x[9] == value


@pytest.mark.parametrize(
    "access",
    [
        "ld t0, 2(s0)",
        "lw t0, 1(s0)",
        "lb t0, 1(s0)",
        "sw t0, 0x72(s0)",
        "sd t0, 0x7fc(s0)",
        "amoadd.w t0, t0, (s0)",
    ],
)
def test_an_access_that_no_device_takes_is_an_access_fault(bench: Bench, access: str) -> None:
    vm = bench.vm(f"""
        la t0, caught
        csrw stvec, t0
        li s0, {VIRTIO}
        {access}
        .balign 4
caught: csrr s1, scause
1:      wfi
        j 1b
    """)
    bench.run()
    assert vm.state is VmState.IDLE
    assert vm.vcpus[0].context.x[9] in (4, 5, 6, 7)


def test_the_test_finisher_shuts_the_vm_off(bench: Bench) -> None:
    vm = bench.vm(f"li s0, {FINISHER}\nli t0, 0x5555\nsw t0, 0(s0)\n1: j 1b")
    bench.run()
    assert vm.lifecycle is VmState.SHUT_OFF


def test_typing_interrupts_a_guest_that_sleeps(bench: Bench) -> None:
    vm = bench.vm(f"""
        la t0, handler
        csrw stvec, t0
        li s0, {UART}
        li s1, {PLIC}
        li t0, 1
        sw t0, 40(s1)          # priority of source 10
        li t1, 0x400
        li t2, {PLIC + 0x2080}
        sw t1, 0(t2)           # enable it in context 1: S-mode of hart 0
        sb t0, 1(s0)           # receive interrupts of the UART
        li t0, 1 << 9
        csrw sie, t0
        csrsi sstatus, 2
1:      wfi
        j 1b
        .balign 4
handler:
        li t2, {PLIC + 0x201004}
        lw s2, 0(t2)           # claim
        lbu s3, 0(s0)
        sb s3, 0(s0)
        sw s2, 0(t2)           # complete
        sret
    """)
    bench.run()
    assert (vm.state, vm.console.since(0)[1]) == (VmState.IDLE, "")
    bench.hypervisor.type(vm, "k")
    bench.run()
    assert (vm.state, vm.console.since(0)[1]) == (VmState.IDLE, "k")
    assert vm.vcpus[0].context.x[18] == 10


DISK_WRITE = f"""
        li s0, {VIRTIO}
        setup 0
        describe 0, request, 16, 1, 1
        describe 1, text, 512, 1, 2
        describe 2, status, 1, 2, 0
        kick 0
        lbu s1, status
        lw s2, 0x70(s0)
1:      wfi
        j 1b
{AREA}
request: .word 1, 0
        .dword 3               # sector
text:   .ascii "written by the guest"
        .zero 492
status: .byte 0xff
"""


def disk_vm(bench: Bench, source: str = DISK_WRITE, **settings: Any) -> Vm:
    """A VM with a disk of 16 sectors and the driver's macros."""
    return bench.vm(VIRTIO_PRELUDE + source, disk=DiskSettings(8192, **settings))


def test_a_guest_writes_to_its_disk_and_the_disk_outlives_it(bench: Bench) -> None:
    vm = disk_vm(bench)
    bench.run()
    assert vm.vcpus[0].context.x[9] == 0  # VIRTIO_BLK_S_OK
    lifecycle.destroy(bench.hypervisor, vm)
    lifecycle.start(bench.hypervisor, vm)
    assert vm.disk().contents()[1536:1556] == b"written by the guest"


def test_a_read_only_disk_refuses(bench: Bench) -> None:
    vm = disk_vm(bench, read_only=True)
    bench.run()
    assert vm.vcpus[0].context.x[9] == 1  # VIRTIO_BLK_S_IOERR
    assert not any(vm.disk().contents())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("la t3, \\address", "li t3, 0x7fffffff"),
        ("la t3, \\address", "li t3, -1"),
        ("li t3, \\length", "li t3, -1"),
        ("\\next << 16", "0 << 16"),  # a chain that never ends
        ("\\next << 16", "77 << 16"),
    ],
)
def test_a_hostile_driver_hurts_only_its_own_device(bench: Bench, before: str, after: str) -> None:
    neighbour = bench.vm('la t0, s\n1: wfi\n j 1b\n.data\ns: .ascii "secret"', "n")
    bench.run(50_000)
    untouched = bench.host.digest_frames(neighbour.frames)
    vm = bench.vm(VIRTIO_PRELUDE.replace(before, after) + DISK_WRITE, "h", disk=DiskSettings(8192))
    bench.run()
    assert vm.state is VmState.IDLE
    assert vm.vcpus[0].context.x[18] & 0x40 or vm.vcpus[0].context.x[9] == 1  # DEVICE_NEEDS_RESET
    assert bench.host.digest_frames(neighbour.frames) == untouched


SENDER = f"""
        li s0, {VIRTIO + 0x1000}
        setup 1
        describe 0, frame, 62, 0, 0
        kick 1
        lw s1, area + 256
1:      wfi
        j 1b
{AREA}
frame:  .zero 12               # virtio_net_hdr
        .byte 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5
        .ascii "over the wire"
        .zero 23
"""
RECEIVER = f"""
        li s0, {VIRTIO + 0x1000}
        setup 0
        describe 0, frame, 2048, 2, 0
        kick 0
1:      lw t0, area + 256
        srli t0, t0, 16
        beqz t0, 1b
        la s1, frame + 26
2:      lbu a0, 0(s1)
        beqz a0, 3f
        putchar
        addi s1, s1, 1
        j 2b
3:      wfi
        j 3b
{AREA}
frame:  .zero 2048
"""


def test_frames_reach_the_vms_on_the_same_switch_and_no_others(bench: Bench) -> None:
    near = bench.vm(VIRTIO_PRELUDE + RECEIVER, "near", network="lan")
    far = bench.vm(VIRTIO_PRELUDE + RECEIVER, "far", network="other")
    bench.run()
    bench.vm(VIRTIO_PRELUDE + SENDER, "sender", network="lan")
    bench.run(2_000_000)
    assert near.console.since(0)[1] == "over the wire"
    assert far.console.since(0)[1] == ""


def test_devices_make_runs_that_are_equal(make_bench: Callable[..., Bench]) -> None:
    def states() -> list[bytes]:
        bench = make_bench()
        bench.vm(VIRTIO_PRELUDE + RECEIVER, "near", network="lan")
        bench.vm(VIRTIO_PRELUDE + SENDER, "sender", network="lan")
        disk_vm(bench)
        found: list[bytes] = []
        for _ in range(20):
            bench.run(20_000)
            found.append(bench.state())
        return found

    assert states() == states()
