"""CPU time in configuration and actions: read, changed while VMs run, refused, undone, replayed."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.lab import Lab
from emulator.lab.config import HostConfig, VmConfig
from emulator.lab.cpu import CpuConfig, format_pcpus, pcpu_set
from emulator.lab.errors import LabError
from emulator.lab.values import ConfigError

MakeLab = Callable[..., Lab]
BASE = {"name": "a", "program": "spin.s"}


def started(make_lab: MakeLab, count: int = 3, **host: Any) -> Lab:
    """Return a lab with so many spinning VMs that are on."""
    lab = make_lab(*["spin"] * count, **host)
    for name in "abcdefgh"[:count]:
        lab.apply({"verb": "start", "vm": name})
    return lab


def gained(lab: Lab, ns: int) -> dict[str, int]:
    """Run on for a time; return what each VM's first vCPU has held pCPUs for, from what is observed."""
    before = _held(lab)
    lab.advance(lab.position_at(lab.now_ns + ns))
    return {name: held - before[name] for name, held in _held(lab).items()}


def _held(lab: Lab) -> dict[str, int]:
    return {
        vm["name"]: sum(vcpu["run_cycles"] + vcpu["hypervisor_cycles"] for vcpu in vm["vcpus"])
        for vm in lab.observe()["vms"]
    }


def test_what_a_vm_may_have_is_read_and_written_back() -> None:
    keys = {"weight": 512, "cap": 50, "reservation": "30 MHz", "period": "20 ms", "affinity": "0-1,3"}
    config = VmConfig.from_dict({**BASE, **keys}, "vm")
    assert config.cpu == CpuConfig(512, 50, 30_000_000, 20_000_000, (0, 1, 3))
    assert {key: config.to_dict()[key] for key in keys} == keys
    assert VmConfig.from_dict(config.to_dict(), "vm") == config
    assert not keys.keys() & VmConfig.from_dict(BASE, "vm").to_dict().keys()


def test_how_a_host_shares_its_pcpus_is_read_and_written_back() -> None:
    keys = {"scheduler": "credit", "period": "30 ms", "offline": "1"}
    host = HostConfig.from_dict(keys)
    assert (host.scheduler, host.period, host.offline) == ("credit", 30_000_000, (1,))
    assert {key: host.to_dict()[key] for key in keys} == keys
    assert not keys.keys() & HostConfig().to_dict().keys()


@given(st.sets(st.integers(0, 7)))
def test_sets_of_pcpus_read_back(pcpus: set[int]) -> None:
    assert pcpu_set(format_pcpus(sorted(pcpus))) == tuple(sorted(pcpus))


@pytest.mark.parametrize(
    ("keys", "path", "words"),
    [
        ({"weight": 0}, "vm.weight", "must be from 1 to 65535"),
        ({"cap": -1}, "vm.cap", "must be from 0 to 800"),
        ({"cap": "half"}, "vm.cap", "expected a whole number"),
        ({"reservation": "9 apples"}, "vm.reservation", "unknown unit 'apples'"),
        ({"period": "1 us"}, "vm.period", "must be from 1 ms to 1 s"),
        ({"affinity": "0-"}, "vm.affinity", "expected numbers of pCPUs, e.g. `0-1,3`"),
        ({"affinity": [0, True]}, "vm.affinity", "expected numbers of pCPUs"),
        ({"affinity": 8}, "vm.affinity", "numbers from 0 to 7"),
        ({"affinity": "0-999"}, "vm.affinity", "numbers from 0 to 7"),
        ({"affinity": {}}, "vm.affinity", "expected numbers of pCPUs"),
    ],
)
def test_mistakes_about_a_vm_are_located(keys: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_dict({**BASE, **keys}, "vm")
    assert caught.value.path == path
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "path", "words"),
    [
        ({"scheduler": "fare"}, "host.scheduler", "did you mean `fair`?"),
        ({"scheduler": []}, "host.scheduler", "expected one of round-robin, stride"),
        ({"offline": "2"}, "host.offline", "names pCPU 2, and the host has 2"),
        ({"offline": "0-1"}, "host.offline", "at least one has to stay online"),
        ({"period": "2 s"}, "host.period", "must be from 1 ms to 1 s"),
    ],
)
def test_mistakes_about_a_host_are_located(keys: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HostConfig.from_dict(keys)
    assert caught.value.path == path
    assert words in str(caught.value)


def test_weights_change_while_vms_run_and_can_be_undone_and_replayed(make_lab: MakeLab) -> None:
    lab = started(make_lab, scheduler="stride", pcpus=1)
    gained(lab, 5_000_000)
    result = lab.apply({"verb": "set_vm", "vm": "a", "weight": 512})
    assert result["was"] == {"weight": 256}
    shares = gained(lab, 200_000_000)
    assert shares["a"] / shares["b"] == pytest.approx(2, rel=0.05)
    assert lab.observe()["vms"][0]["weight"] == 512
    lab.apply({"verb": "set_vm", "vm": "a", **result["was"]})
    shares = gained(lab, 200_000_000)
    assert shares["a"] / shares["b"] == pytest.approx(1, rel=0.05)
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()


def test_a_host_changes_its_scheduler_while_vms_run(make_lab: MakeLab) -> None:
    lab = started(make_lab, pcpus=1)
    lab.apply({"verb": "set_vm", "vm": "a", "weight": 768})
    even = gained(lab, 50_000_000)
    result = lab.apply({"verb": "set_host", "scheduler": "fair"})
    assert result["was"] == {"scheduler": "round-robin"}
    fair = gained(lab, 100_000_000)
    assert even["a"] / even["b"] == pytest.approx(1, rel=0.05)
    assert fair["a"] / fair["b"] == pytest.approx(3, rel=0.05)
    assert lab.observe()["host"]["scheduler"] == "fair"
    lab.apply({"verb": "reset_lab"})
    assert lab.observe()["host"]["scheduler"] == "round-robin"


def test_one_host_with_every_control_keeps_all_of_them(make_lab: MakeLab) -> None:
    """The scenario of a course: each VM another promise, a pCPU that fails, and counted results."""
    lab = started(make_lab, 4, scheduler="edf", pcpus=2)
    lab.apply({"verb": "set_vm", "vm": "a", "reservation": "60 MHz"})
    lab.apply({"verb": "set_vm", "vm": "b", "cap": 20})
    lab.apply({"verb": "set_vm", "vm": "c", "affinity": 0})
    gained(lab, 20_000_000)
    held = gained(lab, 100_000_000)  # 10 million cycles of each pCPU
    assert held["a"] >= 6_000_000
    assert 1_800_000 < held["b"] <= 2_000_000
    lab.apply({"verb": "set_host", "offline": "1"})
    with pytest.raises(LabError, match=r"reserves 40\.0 % of a pCPU") as caught:
        lab.apply({"verb": "set_vm", "vm": "d", "reservation": "40 MHz"})
    assert caught.value.path == "reservation"
    held = gained(lab, 100_000_000)
    assert held["a"] >= 6_000_000
    assert held["b"] <= 2_000_000
    assert [pcpu["online"] for pcpu in lab.observe()["host"]["pcpus"]] == [True, False]
    lab.apply({"verb": "set_host", "offline": ""})
    lab.apply({"verb": "set_vm", "vm": "d", "reservation": "40 MHz"})
    held = gained(lab, 100_000_000)
    assert held["a"] >= 6_000_000
    assert held["d"] >= 4_000_000
    for vm in lab.observe()["vms"]:
        for vcpu in vm["vcpus"]:
            parts = ("run_cycles", "hypervisor_cycles", "ready_cycles", "idle_cycles", "off_cycles")
            age = lab.hypervisor.mean_clock - lab.vm(vm["name"]).vcpus[vcpu["index"]].born
            # Clocks of pCPUs differ by up to one quantum.
            assert abs(sum(vcpu[part] for part in parts) - age) <= 10_000  # type: ignore[literal-required]


def test_a_reservation_is_not_promised_where_it_cannot_be_kept(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "spin", pcpus=1)
    lab.apply({"verb": "set_vm", "vm": "a", "reservation": "50 MHz"})
    with pytest.raises(LabError, match="round-robin cannot guarantee one; choose the scheduler edf"):
        lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "set_host", "scheduler": "edf"})
    lab.apply({"verb": "start", "vm": "a"})
    with pytest.raises(LabError, match="a has a reservation"):
        lab.apply({"verb": "set_host", "scheduler": "fair"})
    lab.apply({"verb": "set_vm", "vm": "b", "reservation": "50 MHz"})
    with pytest.raises(LabError, match=r"vCPU b\.0 reserves 50\.0 %"):
        lab.apply({"verb": "start", "vm": "b"})


def test_only_what_can_change_while_a_vm_runs_does(make_lab: MakeLab) -> None:
    lab = started(make_lab, 1)
    with pytest.raises(
        LabError, match="cannot change console of a: it is running; force it to shut down first"
    ):
        lab.apply({"verb": "set_vm", "vm": "a", "weight": 10, "console": "virtio"})
    with pytest.raises(
        LabError, match="128 KiB are more than its max_memory, 64 KiB; force it to shut down first"
    ):
        lab.apply({"verb": "set_vm", "vm": "a", "weight": 10, "memory": "128 KiB"})
    assert lab.observe()["vms"][0]["weight"] == 256
    lab.apply({"verb": "set_vm", "vm": "a", "vcpus": 3})
    assert [vcpu["state"] for vcpu in lab.observe()["vms"][0]["vcpus"]][1:] == ["stopped", "stopped"]
    lab.apply({"verb": "set_vm", "vm": "a", "vcpus": 1})
    assert len(lab.observe()["vms"][0]["vcpus"]) == 1


def test_a_paused_vm_keeps_its_reservation_and_its_time_is_off(make_lab: MakeLab) -> None:
    lab = started(make_lab, 1, scheduler="edf", pcpus=1)
    lab.apply({"verb": "set_vm", "vm": "a", "reservation": "90 MHz"})
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.apply({"verb": "define", "name": "b", "program": "wait.s", "reservation": "50 MHz"})
    with pytest.raises(LabError, match=r"vCPU b\.0 reserves"):
        lab.apply({"verb": "start", "vm": "b"})
    lab.apply({"verb": "define", "name": "c", "program": "nap.s"})
    lab.apply({"verb": "start", "vm": "c"})
    lab.advance(lab.position_at(50_000_000))
    assert lab.observe()["vms"][0]["vcpus"][0]["off_cycles"] > 4_900_000
    lab.apply({"verb": "resume", "vm": "a"})
    assert gained(lab, 50_000_000)["a"] > 4_500_000
