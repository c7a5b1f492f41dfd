"""Linux, built from Debian's source, boots to a shell as a VM's guest, and two of them side by side."""

from collections.abc import Callable

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine
from emulator.machine.linux import kept_symbols

PROMPT = "~ # "
BOOT_CYCLES = 100_000_000
PAUSE_CYCLES = 2_000_000_000
TARGET_INSTRUCTIONS = 45_000_000

pytestmark = pytest.mark.slow


@pytest.fixture
def make_lab(engine: Engine, linux_image: bytes) -> Callable[..., Lab]:
    """Make a lab whose VMs are Linux guests that have been started."""

    def make(*names: str, pcpus: int = 1, seed: int = 1) -> Lab:
        vms = [{"name": name, "memory": "32 MiB", "program": "linux", "autostart": True} for name in names]
        config = {"host": {"pcpus": pcpus, "memory": "80 MiB"}, "vms": vms}
        return Lab(LabConfig.from_dict(config), {"linux": Program("linux", elf=linux_image)}, seed, engine)

    return make


def _run_to_prompt(lab: Lab, *names: str) -> None:
    for name in names:
        condition = {"kind": "console", "vm": name, "text": PROMPT}
        there = PROMPT in lab.console(name) or lab.run_until(condition, lab.position + BOOT_CYCLES)
        assert there, lab.console(name)[-500:]


def _type(lab: Lab, name: str, line: str, answer: str) -> None:
    lab.apply({"verb": "console_input", "vm": name, "text": line + "\n"})
    shown = lab.run_until({"kind": "console", "vm": name, "text": answer}, lab.position + BOOT_CYCLES)
    assert shown, lab.console(name)[-500:]


def test_linux_boots_to_a_shell_within_the_target(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    vm = lab.vm("a")
    assert "Linux version 6.1." in lab.console("a")
    assert vm.vcpus[0].retired < TARGET_INSTRUCTIONS
    assert not vm.faults


def test_linux_stops_at_its_functions_by_name_before_and_after_paging(
    make_lab: Callable[..., Lab], linux_image: bytes
) -> None:
    lab = make_lab("a")
    if not kept_symbols(linux_image, "linux"):  # built when symbols were not kept, and its build is gone
        assert not lab.cpu("a", 0)["code"]["named"]
        return
    for name, paged in (("relocate_enable_mmu", False), ("start_kernel", True), ("rest_init", True)):
        stop = lab.settled_stop({"kind": "breakpoint", "vm": "a", "address": name})
        assert lab.run_until_any([stop], lab.position + BOOT_CYCLES) == [0]
        code = lab.cpu("a", 0)["code"]
        assert (code["where"], int(code["pc"], 16) > 1 << 63) == (name, paged)
        assert any(line["label"] == name for line in code["lines"])


def test_linux_boots_under_shadow_paging_and_is_told_apart_by_its_counts(
    engine: Engine, linux_image: bytes
) -> None:
    counted = {}
    for paging in ("nested", "shadow"):
        vm = {"name": "a", "memory": "32 MiB", "program": "linux", "autostart": True, "paging": paging}
        config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "80 MiB"}, "vms": [vm]})
        lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
        _run_to_prompt(lab, "a")
        _type(lab, "a", "echo answer=$((6*7))", "answer=42\r\n")
        counted[paging] = lab.observe()["vms"][0]
    nested, shadow = counted["nested"], counted["shadow"]
    assert shadow["exits"]["shadow miss"] > 10_000
    assert shadow["exits_total"] > 3 * nested["exits_total"]
    assert shadow["translations"]["walk_references"] < nested["translations"]["walk_references"] / 2


def test_what_is_typed_reaches_the_shell(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    _type(lab, "a", "echo answer=$((6*7))", "answer=42\r\n")
    _type(lab, "a", "awk 'BEGIN { print 1 / 8 }'", "0.125\r\n")
    _type(lab, "a", "cat /proc/cmdline", "console=hvc0\r\n")


def test_the_shell_can_switch_the_machine_off(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    lab.apply({"verb": "console_input", "vm": "a", "text": "poweroff -f\n"})
    lab.advance(lab.position + BOOT_CYCLES)
    assert lab.vm("a").state.value == "shut off"


def test_the_power_button_switches_a_guest_off_and_starts_it_again(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    lab.apply({"verb": "reboot", "vm": "a"})
    lab.advance(lab.position + BOOT_CYCLES)
    assert lab.vm("a").starts == 2
    _run_to_prompt(lab, "a")
    lab.apply({"verb": "shutdown", "vm": "a"})
    lab.advance(lab.position + BOOT_CYCLES)
    assert "reboot: Power down" in lab.console("a")
    assert lab.vm("a").state.value == "shut off"


def test_two_linux_guests_side_by_side_are_the_same_in_every_run(make_lab: Callable[..., Lab]):
    hashes: set[str] = set()
    for _ in range(2):
        lab = make_lab("a", "b", pcpus=2)
        _run_to_prompt(lab, "a", "b")
        _type(lab, "b", "hostname second", "second")
        _type(lab, "a", "cat /proc/sys/kernel/hostname", "linux\r\n")
        lab.advance(lab.position + 1_000_000)
        hashes.add(lab.state_hash())
    assert len(hashes) == 1


def test_another_seed_gives_the_guests_other_random_numbers(make_lab: Callable[..., Lab]):
    answers: list[str] = []
    for seed in (1, 2):
        lab = make_lab("a", seed=seed)
        _run_to_prompt(lab, "a")
        _type(lab, "a", "cat /proc/sys/kernel/random/uuid; echo; echo done", "\r\ndone\r\n")
        answers.append(lab.console("a")[-60:])
    assert answers[0] != answers[1]


def test_two_guests_use_their_disks_and_reach_each_other_over_a_switch(engine: Engine, linux_image: bytes):
    devices = {"disk": "4 MiB", "network": "lan", "rng": True, "balloon": True}
    vms = [
        {"name": name, "vcpus": vcpus, "memory": "32 MiB", "program": "linux", "autostart": True, **devices}
        for name, vcpus in (("a", 2), ("b", 1))
    ]
    config = LabConfig.from_dict({"host": {"pcpus": 2, "memory": "80 MiB"}, "vms": vms})
    hashes: set[str] = set()
    for _ in range(2):
        lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
        _run_to_prompt(lab, "a", "b")
        _type(lab, "a", "nproc", "2\r\n")
        _type(
            lab,
            "a",
            "mke2fs /dev/vda > /dev/null; mount /dev/vda /mnt; echo kept > /mnt/it; umount /mnt; echo ok",
            "ok\r\n",
        )
        _type(lab, "a", "ifconfig eth0 10.0.0.1; echo up", "up\r\n")
        _type(
            lab,
            "b",
            "ifconfig eth0 10.0.0.2; ping -c 2 -i 0.1 10.0.0.1",
            "2 packets received, 0% packet loss",
        )
        _type(lab, "b", "head -c 4 /dev/hwrng | wc -c", "4\r\n")
        assert b"kept" in lab.vm("a").disk().contents()
        assert not any(lab.vm("b").disk().contents())
        hashes.add(lab.state_hash())
    assert len(hashes) == 1


def test_a_file_on_its_disk_survives_a_guests_reboot(engine: Engine, linux_image: bytes):
    vm = {"name": "a", "memory": "32 MiB", "program": "linux", "disk": "4 MiB", "autostart": True}
    config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "40 MiB"}, "vms": [vm]})
    lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
    _run_to_prompt(lab, "a")
    _type(
        lab, "a", "mke2fs /dev/vda > /dev/null; mount /dev/vda /mnt; seq 9999 > /mnt/n; echo o''k", "ok\r\n"
    )
    lab.apply({"verb": "console_input", "vm": "a", "text": "umount /mnt; reboot -f\n"})
    lab.advance(lab.position + BOOT_CYCLES)
    assert lab.vm("a").starts == 2
    _type(lab, "a", "mount /dev/vda /mnt; tail -n 1 /mnt/n", "\n9999\r\n")


def test_a_timer_costs_the_guest_no_exit(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    _type(lab, "a", "sleep 0.2; echo slept", "slept\r\n")
    assert "timer" not in lab.vm("a").exits


@pytest.mark.parametrize(("console", "limit_ms"), [("sbi", 2_100), ("virtio", 100)])
def test_a_key_after_a_long_pause_is_echoed(
    engine: Engine, linux_image: bytes, console: str, limit_ms: int
) -> None:
    """Linux looks for SBI input ever more seldom, down to every 2 s; virtio input interrupts it."""
    vm = {"name": "a", "memory": "32 MiB", "program": "linux", "autostart": True, "console": console}
    config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "48 MiB"}, "vms": [vm]})
    lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
    _run_to_prompt(lab, "a")
    lab.advance(lab.position + PAUSE_CYCLES)
    typed = lab.now_ns
    _type(lab, "a", "echo $((6*7))", "42\r\n")
    assert lab.now_ns - typed < limit_ms * 1_000_000
