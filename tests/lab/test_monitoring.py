"""Metrics in virtual time, alarms, and rules that change a VM: all a function of configuration and log."""

import csv
import io
import itertools
from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.monitoring.export import to_csv, to_prometheus
from emulator.lab.monitoring.series import series
from emulator.lab.monitoring.signals import SIGNALS
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError
from tests.hypervisor.memory.guests import churn

PROGRAMS = {"spin.s": "1: addi s0, s0, 1\n j 1b", "wait.s": "1: wfi\n j 1b"}
HUNGRY = {"name": "hungry", "when": "ready > 40 %", "for": "50 ms", "vms": ["web"], "then": {"weight": "x2"}}
WAITING = {"name": "waiting", "when": "ready >= 10 %", "for": "20 ms"}


def make_lab(*rules: dict[str, Any], seed: int = 1) -> Lab:
    """Two VMs that compete for one pCPU, by weight."""
    config = {
        "host": {"pcpus": 1, "scheduler": "stride"},
        "vms": [{"name": name, "program": "spin.s", "memory": "64 KiB"} for name in ("web", "db")],
        "rules": list(rules),
    }
    programs = {name: Program(name, source=text) for name, text in PROGRAMS.items()}
    lab = Lab(LabConfig.from_dict(config), programs, seed, load_engine())
    for name in ("web", "db"):
        lab.apply({"verb": "start", "vm": name})
    return lab


def run(lab: Lab, ms: int) -> None:
    lab.advance(lab.position_at(lab.now_ns + ms * 1_000_000))


def alarms(lab: Lab) -> list[tuple[str, str | None]]:
    return [(one["reason"], one["vm"]) for one in lab.observe(None)["events"] if one["kind"] == "alarm"]


def signal(lab: Lab, name: str, vm: str) -> float:
    samples = lab.monitor.samples
    return SIGNALS[name].value(samples[-2], samples[-1], vm)


def test_samples_are_taken_at_fixed_instants_of_virtual_time() -> None:
    lab = make_lab()
    run(lab, 55)
    assert [one.at_ns // 1_000_000 for one in lab.monitor.samples] == [0, 10, 20, 30, 40, 50]


def test_two_who_share_a_pcpu_each_hold_half_and_wait_half() -> None:
    lab = make_lab()
    run(lab, 100)
    for vm in ("web", "db"):
        assert signal(lab, "cpu", vm) == pytest.approx(50, abs=6)
        assert signal(lab, "ready", vm) == pytest.approx(50, abs=6)
        assert signal(lab, "instructions", vm) == pytest.approx(50e6, rel=0.12)
    total = sum(signal(lab, part, vm) for part in ("cpu",) for vm in ("web", "db"))
    assert total == pytest.approx(100, abs=0.5)


def test_an_alarm_is_raised_once_and_cleared_when_it_is_over() -> None:
    lab = make_lab(WAITING)
    run(lab, 100)
    assert alarms(lab) == [("raised", "web"), ("raised", "db")]
    assert lab.monitor.raised() == [("waiting", "web"), ("waiting", "db")]
    lab.apply({"verb": "suspend", "vm": "db"})
    run(lab, 50)
    assert alarms(lab)[2:] == [("cleared", "web"), ("cleared", "db")]


def test_an_alarm_waits_for_as_long_as_it_says() -> None:
    lab = make_lab({**WAITING, "for": "60 ms"})
    run(lab, 59)
    assert alarms(lab) == []
    run(lab, 2)
    assert alarms(lab) == [("raised", "web"), ("raised", "db")]


def test_a_rule_gives_weight_until_its_condition_is_over() -> None:
    lab = make_lab(HUNGRY)
    run(lab, 300)
    assert lab.vm_configs["web"].cpu.weight == 512, "with two shares of three it waits a third of the time"
    assert signal(lab, "ready", "web") < 40
    assert alarms(lab) == [("acted", "web")]


def test_what_rules_do_is_replayed_and_not_logged() -> None:
    lab = make_lab(HUNGRY)
    for ms in (7, 50, 3, 140):
        run(lab, ms)
    assert [entry["action"]["verb"] for entry in lab.log] == ["start", "start"]
    again = Lab.replay(lab.config_at_start, lab.programs, 1, lab.log, lab.position, lab.engine)
    assert again.vm_configs["web"].cpu.weight == 512
    assert again.state_hash() == lab.state_hash()


def test_going_back_takes_back_what_rules_did() -> None:
    lab = make_lab(HUNGRY)
    lab.record()
    run(lab, 40)
    before, position = lab.state_hash(), lab.position
    run(lab, 100)
    after, later = lab.state_hash(), lab.position
    lab.rewind(position)
    assert lab.vm_configs["web"].cpu.weight == 256
    assert lab.state_hash() == before
    lab.advance(later)
    assert lab.state_hash() == after


def test_a_rule_that_the_host_refuses_says_so_and_changes_nothing() -> None:
    lab = make_lab({**HUNGRY, "then": {"weight": 10**9}})
    run(lab, 100)
    assert alarms(lab)[0] == ("failed", "web")
    assert lab.vm_configs["web"].cpu.weight == 256


def test_rules_can_be_changed_while_it_runs() -> None:
    lab = make_lab()
    lab.apply({"verb": "set_rules", "rules": [WAITING], "sampling": "5 ms"})
    run(lab, 60)
    assert ("raised", "web") in alarms(lab)
    assert lab.config == LabConfig.from_dict(lab.config.to_dict())
    assert lab.apply({"verb": "set_rules", "rules": []})["was"] == {
        "rules": [WAITING | {"when": "ready >= 10 %"}]
    }
    assert lab.monitor.raised() == []


@pytest.mark.parametrize(
    ("rule", "where", "problem"),
    [
        ({"name": "a"}, "rules[0]", "has no when"),
        ({"name": "a", "when": "reddy > 1 %"}, "rules[0].when", "did you mean `ready`?"),
        ({"name": "a", "when": "ready"}, "rules[0].when", "expected a comparison"),
        ({"name": "a", "when": "ready > 1 MiB"}, "rules[0].when", "this signal is in %"),
        ({"name": "a", "when": "resident > 1 parsec"}, "rules[0].when", "expected a comparison"),
        (
            {"name": "a", "when": "ready > 1", "then": {"memory": 1}},
            "rules[0].then.memory",
            "not a known key",
        ),
        ({"name": "a", "when": "ready > 1", "for": "1 fortnight"}, "rules[0].for", "is wrong"),
        ({"name": "A!", "when": "ready > 1"}, "rules[0].name", "expected a name"),
    ],
)
def test_a_wrong_rule_says_where_and_why(rule: dict[str, Any], where: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("?", r"\?")) as caught:
        LabConfig.from_dict({"rules": [rule]})
    assert caught.value.path == where
    with pytest.raises(LabError):
        make_lab().apply({"verb": "set_rules", "rules": [rule]})


def test_bytes_have_units() -> None:
    lab = make_lab({"name": "big", "when": "resident > 32 KiB", "for": "10 ms"})
    run(lab, 30)
    assert alarms(lab) == [("raised", "web"), ("raised", "db")]


def test_csv_has_a_line_for_each_sample_and_a_column_for_each_series() -> None:
    lab = make_lab()
    run(lab, 45)
    head, *rows = csv.reader(io.StringIO(to_csv(lab.monitor.samples)))
    assert head[0] == "time_ns"
    assert len(rows) == 5
    column = head.index('vmlab_vcpu_seconds_total{vm="web",vcpu="0",section="run"}')
    times = [float(row[column]) for row in rows]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(0.02, rel=0.2)


def test_the_prometheus_text_is_what_its_parser_reads() -> None:
    lab = make_lab()
    run(lab, 45)
    text = to_prometheus(lab.monitor.samples[-1])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert 'vmlab_vm_up{vm="web"} 1' in lines
    assert lines[-1] == "vmlab_time_seconds 0.04"
    assert all(float(line.rpartition(" ")[2]) >= 0 for line in lines)
    assert text.count("# TYPE vmlab_vcpu_seconds_total counter") == 1
    assert to_prometheus(None).endswith("vmlab_time_seconds 0.0\n")


def test_the_working_set_is_what_a_guest_used_where_the_host_looks() -> None:
    sizes: dict[str, float] = {}
    for swap in ({}, {"swap": "1 MiB", "swap_policy": "lru", "swap_interval": "1 ms"}):
        host = {"pcpus": 1, "memory": "1 MiB", "overcommit": 2, **swap}
        vm = {"name": "web", "program": "churn", "memory": "512 KiB", "autostart": True}
        lab = Lab(
            LabConfig.from_dict({"host": host, "vms": [vm]}),
            {"churn": Program("churn", source=churn(30))},
            1,
            load_engine(),
        )
        run(lab, 50)
        values = lab.monitor.samples[-1].values
        sizes[str(bool(swap))] = values.get(("vmlab_vm_working_set_bytes", (("vm", "web"),)), -1)
    assert sizes == {"False": -1, "True": 31 * 4096}  # its pages, and the one with its code
    assert SIGNALS["working-set"].value(lab.monitor.samples[-2], lab.monitor.samples[-1], "web") == 31 * 4096


def test_series_for_plots_are_what_rules_watch() -> None:
    lab = make_lab(WAITING)
    run(lab, 45)
    lab.apply({"verb": "destroy", "vm": "db"})
    run(lab, 20)
    names = [name for name in SIGNALS if name != "host-free"]
    shown = series(lab, [*names, "pcpu", "host-free"])
    samples = list(lab.monitor.samples)
    assert shown["at_ns"] == [one.at_ns for one in samples[1:]]
    for place, (old, new) in enumerate(itertools.pairwise(samples)):
        for name in names:
            for vm, values in shown["series"][name].items():
                up = new.values.get(("vmlab_vm_up", (("vm", vm),)))
                want = pytest.approx(SIGNALS[name].value(old, new, vm), rel=1e-3) if up else None
                assert values[place] == want, (name, vm, place)
    assert shown["series"]["ready"]["db"][-1] is None
    assert shown["series"]["pcpu"]["0"] == pytest.approx([100] * len(samples[1:]), abs=0.1)
    free = lab.hypervisor.partition.free_count * 4096
    assert shown["series"]["host-free"]["host"][-1] == pytest.approx(free, rel=1e-3)
    assert (shown["rules"][0]["name"], shown["alarms"]) == ("waiting", [])


def test_series_since_an_instant_go_on_where_the_last_ones_ended() -> None:
    lab = make_lab()
    run(lab, 35)
    first = series(lab, ["cpu"])
    run(lab, 30)
    rest = series(lab, ["cpu"], first["at_ns"][-1])
    whole = series(lab, ["cpu"])
    assert first["at_ns"] + rest["at_ns"] == whole["at_ns"]
    assert first["series"]["cpu"]["web"] + rest["series"]["cpu"]["web"] == whole["series"]["cpu"]["web"]
    assert series(lab, ["cpu"], whole["at_ns"][-1])["at_ns"] == []
