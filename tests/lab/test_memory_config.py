"""The keys that say how memory is given, and the actions that change it."""

from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import HostConfig, LabConfig, VmConfig
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError

VM = {"name": "a", "program": "a.s", "memory": "1 MiB"}


@pytest.mark.parametrize(("value", "percent"), [("off", 0), (False, 0), (1, 100), (1.5, 150), ("250 %", 250)])
def test_overcommit_is_off_or_a_ratio(value: object, percent: int) -> None:
    config = HostConfig.from_dict({"overcommit": value})
    assert config.giving.overcommit == percent
    assert HostConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0.5, "host.overcommit is 50 %; must be from 100 % to 1600 %"),
        (17, "host.overcommit is 1700 %; must be"),
        (1e308, "host.overcommit is 1601 %; must be"),
        (float("nan"), "host.overcommit is 1601 %; must be"),
        (1.001, "host.overcommit is 100.1 %; must be a whole number of percent"),
        ("a lot", "host.overcommit is 'a lot'; expected off, or a ratio such as 1.5"),
        ("²%", "host.overcommit is '²%'; expected off"),
        (True, "host.overcommit is a boolean; expected off"),
    ],
)
def test_any_other_overcommit_is_refused(value: object, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        HostConfig.from_dict({"overcommit": value})


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"memory_reservation": "2 MiB"}, "memory_reservation is more than the VM's memory, 1024 KiB"),
        (
            {"memory_limit": "64 KiB", "memory_reservation": "128 KiB"},
            "memory_reservation is more than its memory_limit, 64 KiB",
        ),
        ({"memory_limit": "5 KiB"}, "memory_limit is 5 KiB; must be a multiple of 4 KiB"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(keys: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        VmConfig.from_dict(VM | keys, "vm")


def test_a_vm_keeps_its_limit_and_reservation_in_its_plain_form() -> None:
    config = VmConfig.from_dict(VM | {"memory_limit": "256 KiB", "memory_reservation": "64 KiB"}, "vm")
    assert (config.ram.limit, config.ram.reservation) == (256 << 10, 64 << 10)
    assert VmConfig.from_dict(config.to_dict(), "vm") == config


def test_a_host_is_switched_to_overcommit_while_all_vms_are_off() -> None:
    config = LabConfig.from_dict({"host": {"memory": "1 MiB"}, "vms": [VM | {"memory": "4 MiB"}]})
    lab = Lab(config, {"a.s": Program("a.s", source="1: wfi\n j 1b")}, 1, load_engine())
    lab.apply({"verb": "set_host", "overcommit": 4})
    lab.apply({"verb": "start", "vm": "a"})
    assert lab.observe()["vms"][0]["frames_ram"] == 1


def balloon_lab(**vm: Any) -> Lab:
    config = LabConfig.from_dict({"host": {"memory": "2 MiB"}, "vms": [VM | vm]})
    return Lab(config, {"a.s": Program("a.s", source="1: wfi\n j 1b")}, 1, load_engine())


def test_a_balloon_gets_its_target_by_hand() -> None:
    lab = balloon_lab(balloon=True)
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "set_balloon", "vm": "a", "target": "64 KiB"})
    result = lab.apply({"verb": "set_balloon", "vm": "a", "target": "128 KiB"})
    assert result == {"vm": "a", "target": "128 KiB", "was": {"target": "64 KiB"}}


@pytest.mark.parametrize(
    ("vm", "action", "error"),
    [
        ({}, {"target": "64 KiB"}, "a has no balloon; add `balloon: true`"),
        ({"balloon": True}, {}, "target is missing"),
        ({"balloon": True}, {"target": "2 MiB"}, "target is 2 MiB; must be from 0 B to 1 MiB"),
        ({"balloon": True}, {"target": "1 MiB", "size": 1}, "size"),
    ],
)
def test_a_wrong_target_is_refused(vm: dict[str, Any], action: dict[str, Any], error: str) -> None:
    lab = balloon_lab(**vm)
    lab.apply({"verb": "start", "vm": "a"})
    with pytest.raises(LabError, match=error):
        lab.apply({"verb": "set_balloon", "vm": "a", **action})


def test_a_host_changes_its_balloon_policy_while_vms_run() -> None:
    lab = balloon_lab(balloon=True)
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "set_host", "balloon_policy": "free-pages", "balloon_interval": "1 ms"})
    lab.advance(lab.position_at(5_000_000))
    assert lab.hypervisor.daemon.chores["balloon"].every == 100_000
    replayed = Lab.replay(lab.config_at_start, lab.programs, 1, lab.log, lab.position, lab.engine)
    assert replayed.state_hash() == lab.state_hash()


def test_swap_reads_back_and_needs_overcommit() -> None:
    keys = {"swap": "1 MiB", "swap_policy": "lru", "swap_latency": "20 us", "swap_interval": "1 ms"}
    config = HostConfig.from_dict({"overcommit": 2, **keys})
    assert HostConfig.from_dict(config.to_dict()) == config
    assert config.giving.settings(100_000_000).swap_latency == 2_000
    with pytest.raises(ConfigError, match=r"host.swap needs overcommit"):
        HostConfig.from_dict(keys)
