"""Exits counted and timed by reason, what they cost, and what tagged TLBs are worth: on running guests."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.errors import LabError
from emulator.lab.observation import VmView
from emulator.lab.programs import Program
from tests.hypervisor.test_devices import AREA, VIRTIO_PRELUDE

MakeLab = Callable[..., Lab]
TEXT = "The same sixty-four bytes of text, by one way and by the other.\n"
TIMES = 16
# For each byte: ask whether the transmitter is empty, then store the byte.
BY_UART = f"""
        li s1, {TIMES}
1:      la s2, text
2:      lbu t0, (s2)
        beqz t0, 4f
        li t1, 0x10000000
3:      lbu t2, 5(t1)
        andi t2, t2, 0x20
        beqz t2, 3b
        sb t0, (t1)
        addi s2, s2, 1
        j 2b
4:      addi s1, s1, -1
        bnez s1, 1b
5:      wfi
        j 5b
text:   .asciz {TEXT[:-1]!r}
""".replace("'", '"').replace("other.", "other.\\n")
# For each text: one buffer in the transmit queue, and one notification.
BY_VIRTIO = (
    VIRTIO_PRELUDE
    + f"""
        li s0, 0x10003000
        setup 1
        describe 0, text, {len(TEXT)}, 0, 0
        li s1, 0
1:      addi s1, s1, 1
        la t2, area + 128
        sh s1, 2(t2)
        put 0x50, 1
        li t0, {TIMES}
        bne s1, t0, 1b
5:      wfi
        j 5b
text:   .asciz "{TEXT[:-1]}\\n"
"""
    + AREA
)
# Touches 48 pages again and again. Two guests use other pages, so that they do not share places in the TLB.
TOUCH = """
        li s0, 0x80002000 + SKIP * 4096
1:      li t0, 48
        mv t1, s0
2:      ld t2, (t1)
        li t3, 4096
        add t1, t1, t3
        addi t0, t0, -1
        bnez t0, 2b
        j 1b
"""


@pytest.fixture
def of_programs(engine: Any) -> Callable[..., Lab]:
    """Make a lab whose VMs run these programs, by name, and start them all."""

    def make(host: dict[str, Any], vms: dict[str, dict[str, Any]], **programs: str) -> Lab:
        entries = [{"name": name, "memory": "512 KiB", "autostart": True, **vm} for name, vm in vms.items()]
        config = LabConfig.from_dict({"host": {"memory": "4 MiB", **host}, "vms": entries})
        sources = {f"{name}.s": Program(f"{name}.s", source=text) for name, text in programs.items()}
        return Lab(config, sources, 7, engine)

    return make


def view(lab: Lab, name: str) -> VmView:
    """Return what an observation shows of a VM."""
    return next(vm for vm in lab.observe()["vms"] if vm["name"] == name)


def test_a_serial_port_exits_twice_a_byte_and_virtio_once_a_text(of_programs: MakeLab) -> None:
    vms = {"uart": {"program": "uart.s"}, "virtio": {"program": "virtio.s", "console": "virtio"}}
    lab = of_programs({"pcpus": 2}, vms, uart=BY_UART, virtio=BY_VIRTIO)
    lab.advance(lab.position_at(1_000_000_000))
    uart, virtio = view(lab, "uart"), view(lab, "virtio")
    assert lab.console("uart") == lab.console("virtio") == TEXT * TIMES
    assert uart["exits"]["mmio"] == 2 * len(TEXT) * TIMES
    setup = 12
    assert virtio["exits"]["mmio"] == setup + TIMES
    assert uart["exit_cycles"]["mmio"] == 1500 * uart["exits"]["mmio"]
    assert uart["exit_cycles"]["mmio"] > 70 * virtio["exit_cycles"]["mmio"]


def test_all_hypervisor_time_of_a_vcpu_has_a_reason(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "nap", "spin", "spin", "probe", timeslice="100 us")
    for name in "abcde":
        lab.apply({"verb": "start", "vm": name})
    for moment in range(1, 12):
        lab.advance(lab.position_at(moment * 777_777))
        for vm in lab.observe()["vms"]:
            for vcpu in vm["vcpus"]:
                spent = sum(vcpu["exit_cycles"].values()) + vcpu["switch_cycles"]
                assert spent == vcpu["hypervisor_cycles"], vm["name"]
                assert list(vcpu["exits"]) == list(vcpu["exit_cycles"])
            assert sum(sum(vcpu["exits"].values()) for vcpu in vm["vcpus"]) == vm["exits_total"]
            assert sum(vcpu["switches"] for vcpu in vm["vcpus"]) == vm["switches"]


def test_counts_of_a_vcpu_that_is_taken_away_stay_with_its_vm(make_lab: MakeLab) -> None:
    lab = make_lab("nap")
    lab.apply({"verb": "set_vm", "vm": "a", "vcpus": 2})
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(lab.position_at(5_000_000))
    before = view(lab, "a")
    lab.apply({"verb": "set_vm", "vm": "a", "vcpus": 1})
    assert view(lab, "a")["exit_cycles"] == before["exit_cycles"]


def test_costs_are_set_while_vms_run_and_charged_from_then_on(make_lab: MakeLab) -> None:
    lab = make_lab("nap", pcpus=1, costs={"sbi": 900})
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(lab.position_at(4_000_000))
    first = view(lab, "a")
    assert first["exit_cycles"]["sbi"] == 900 * first["exits"]["sbi"]
    result = lab.apply({"verb": "set_host", "costs": "sbi=50,world_switch=1000"})
    assert result["was"] == {"costs": {"sbi": 900}}
    assert lab.observe()["host"]["costs"]["sbi"] == 50
    lab.advance(lab.position_at(8_000_000))
    second = view(lab, "a")
    calls = second["exits"]["sbi"] - first["exits"]["sbi"]
    assert second["exit_cycles"]["sbi"] - first["exit_cycles"]["sbi"] == 50 * calls > 0
    switches = second["switches"] - first["switches"]
    assert second["switch_cycles"] - first["switch_cycles"] == 1000 * switches > 0
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"sbi": 0}, r"host\.costs\.sbi is 0; must be from 1 to 100000"),
        ({"smi": 5}, r"host\.costs\.smi is not a known key; did you mean `sbi`\?"),
        ("sbi", r"host\.costs has 'sbi'; expected a name and cycles"),
        ([], r"host\.costs is a list; expected a mapping"),
    ],
)
def test_mistakes_about_costs_are_located(make_lab: MakeLab, costs: object, message: str) -> None:
    lab = make_lab("nap")
    with pytest.raises(LabError, match=message):
        lab.apply({"verb": "set_host", "costs": costs})


def test_a_cap_that_dearer_exits_would_break_refuses_them(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    lab.apply({"verb": "set_vm", "vm": "a", "cap": 5})
    lab.apply({"verb": "start", "vm": "a"})
    with pytest.raises(LabError, match=r"a cannot be capped at 5 %: .* can take 10\d{4}"):
        lab.apply({"verb": "set_host", "costs": {"mmio": 100_000}})
    assert lab.observe()["host"]["costs"]["mmio"] == 1500


def test_without_vmids_every_world_switch_costs_a_flush_and_misses(of_programs: MakeLab) -> None:
    counted: dict[str, VmView] = {}
    progress: dict[str, int] = {}
    for vmid in ("on", "off"):
        host = {"pcpus": 1, "timeslice": "100 us", "vmid": vmid}
        vms = {"a": {"program": "low.s"}, "b": {"program": "high.s"}}
        lab = of_programs(host, vms, low=TOUCH.replace("SKIP", "0"), high=TOUCH.replace("SKIP", "64"))
        lab.advance(lab.position_at(20_000_000))
        counted[vmid] = view(lab, "a")
        progress[vmid] = counted[vmid]["vcpus"][0]["retired"]
    tagged, flushed = counted["on"], counted["off"]
    assert (tagged["vmid"], flushed["vmid"]) == (1, 0)
    assert tagged["translations"]["tlb_flushes"] == 0
    assert flushed["translations"]["tlb_flushes"] == flushed["switches"] > 90
    assert tagged["translations"]["dtlb_misses"] == 48
    assert flushed["translations"]["dtlb_misses"] >= 48 * flushed["switches"] * 0.9
    assert flushed["translations"]["walk_references"] > 20 * tagged["translations"]["walk_references"]
    assert flushed["switch_cycles"] == 500 * flushed["switches"]
    assert tagged["switch_cycles"] == 300 * tagged["switches"]
    assert progress["on"] > progress["off"]


def test_vmids_are_turned_off_and_on_while_vms_run(make_lab: MakeLab) -> None:
    lab = make_lab("count", "count", pcpus=1, timeslice="100 us")
    for name in "ab":
        lab.apply({"verb": "start", "vm": name})
    for vmid in ("off", "on", "off"):
        lab.advance(lab.position + 1_000_000)
        before = view(lab, "b")["translations"]["tlb_flushes"]
        assert lab.apply({"verb": "set_host", "vmid": vmid})["was"] == {
            "vmid": "off" if vmid == "on" else "on"
        }
        lab.advance(lab.position + 1_000_000)
        assert (view(lab, "b")["translations"]["tlb_flushes"] > before) == (vmid == "off")
        assert view(lab, "b")["vmid"] == (0 if vmid == "off" else 2)
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()
