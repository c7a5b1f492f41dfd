"""A lab becomes what a configuration describes, by a plan that can be read before, and only once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.lab.provisioning import plan, provision

LAN = {"name": "lan", "mode": "nat", "address": "10.0.1.1/24"}
NOW: dict[str, Any] = {
    "host": {"pcpus": 2, "memory": "4 MiB"},
    "pools": [
        {
            "name": "fast",
            "capacity": "8 MiB",
            "volumes": [{"name": "golden", "capacity": "1 MiB"}, {"name": "copy", "backing": "golden"}],
        }
    ],
    "networks": [LAN],
    "vms": [{"name": "web", "program": "spin.s", "weight": 256}, {"name": "old", "program": "spin.s"}],
}
WANTED: dict[str, Any] = {
    "host": {"pcpus": 2, "memory": "4 MiB", "scheduler": "stride"},
    "pools": [{"name": "fast", "capacity": "16 MiB", "volumes": [{"name": "golden", "capacity": "2 MiB"}]}],
    "networks": [LAN, {"name": "dmz", "mode": "routed", "address": "10.0.2.1/24"}],
    "vms": [
        {"name": "web", "program": "spin.s", "weight": 512},
        {"name": "db", "program": "spin.s", "disk": {"volume": "golden"}, "network": "dmz"},
    ],
    "rules": [{"name": "busy", "when": "ready > 10 %"}],
}


def make_lab(config: dict[str, Any]) -> Lab:
    programs = {"spin.s": Program("spin.s", source="1: j 1b")}
    return Lab(LabConfig.from_dict(config), programs, 1, load_engine())


def test_the_plan_can_be_read() -> None:
    steps = plan(LabConfig.from_dict(NOW), LabConfig.from_dict(WANTED))
    assert [step.text for step in steps] == [
        "- vm old",
        "- volume copy",
        "+ network dmz",
        "~ host: scheduler round-robin -> stride",
        "~ pool fast: capacity 8 MiB -> 16 MiB",
        "~ volume golden: capacity 1 MiB -> 2 MiB",
        "~ vm web: weight 256 -> 512",
        "+ vm db",
        "~ rules: busy",
    ]


def test_a_lab_becomes_what_is_described_and_stays_it() -> None:
    lab = make_lab(NOW)
    wanted = LabConfig.from_dict(WANTED)
    done = provision(lab, wanted)
    assert len(done) == len(lab.log)
    assert plan(lab.config, wanted) == []
    assert provision(lab, wanted) == []
    assert {vm.name for vm in lab.config.vms} == {"web", "db"}
    assert [pool.capacity for pool in lab.config.pools] == [16 << 20]


def test_running_vms_go_on_while_what_can_change_changes() -> None:
    lab = make_lab(NOW)
    lab.apply({"verb": "start", "vm": "web"})
    lab.advance(1_000_000)
    provision(lab, LabConfig.from_dict(WANTED))
    assert lab.vm("web").starts == 1
    assert lab.vm("web").settings.cpu.weight == 512


def test_a_refusal_says_which_step_and_how_far_it_came() -> None:
    lab = make_lab(NOW)
    lab.apply({"verb": "start", "vm": "web"})
    wanted = LabConfig.from_dict({**NOW, "vms": [{"name": "web", "program": "spin.s", "memory": "64 KiB"}]})
    with pytest.raises(
        LabError, match=r"~ vm web: memory 1 MiB -> 64 KiB: .*\(1 of 2 steps were done\)"
    ) as caught:
        provision(lab, wanted)
    assert caught.value.path
    lab.apply({"verb": "destroy", "vm": "web"})
    assert [step.text for step in provision(lab, wanted)] == ["~ vm web: memory 1 MiB -> 64 KiB"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"host": {**NOW["host"], "clock": "50 MHz"}}, "host.clock belongs to the lesson"),
        (
            {"networks": [{"name": "lan", "mode": "nat", "address": "10.0.9.1/24"}]},
            "network lan cannot be changed in place",
        ),
    ],
)
def test_what_cannot_be_changed_is_refused_before_anything_is_done(
    change: dict[str, Any], problem: str
) -> None:
    lab = make_lab(NOW)
    with pytest.raises(LabError, match=problem):
        provision(lab, LabConfig.from_dict({**NOW, "vms": [], **change}))
    assert lab.log == []


names = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=4)
labs = names.flatmap(
    lambda chosen: st.fixed_dictionaries(
        {
            "host": st.fixed_dictionaries(
                {
                    "pcpus": st.integers(1, 4),
                    "scheduler": st.sampled_from(["stride", "credit", "round-robin"]),
                }
            ),
            "vms": st.tuples(
                *(
                    st.fixed_dictionaries(
                        {
                            "name": st.just(name),
                            "program": st.just("spin.s"),
                            "vcpus": st.integers(1, 3),
                            "weight": st.integers(1, 9),
                            "rng": st.booleans(),
                        }
                    )
                    for name in chosen
                )
            ).map(list),
        }
    )
)


@settings(max_examples=25)
@given(first=labs, second=labs)
def test_from_any_lab_to_any_other_and_then_nothing_is_left_to_do(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    lab, wanted = make_lab(first), LabConfig.from_dict(second)
    provision(lab, wanted)
    assert plan(lab.config, wanted) == []
    assert set(lab.config.vms) == set(wanted.vms)
    assert lab.config.host == wanted.host
