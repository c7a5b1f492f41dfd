"""The view `layer`: small differences, for whoever still has what they are differences from."""

from typing import Any

import pytest

from app.workers.inspection import ArgumentError
from app.workers.layers import KEPT, Layers
from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.workers.conftest import CONFIG, COUNT
from tests.workers.unpacking import unpacked


@pytest.fixture
def lab() -> Lab:
    built = Lab(LabConfig.from_dict(CONFIG), {"count.s": Program("count.s", COUNT)}, 1, load_engine())
    built.apply({"verb": "start", "vm": "a"})
    return built


def test_a_reader_gets_what_changed_since_its_last_answer(lab: Lab) -> None:
    layers = Layers()
    first = layers.view(lab, {"name": "permissions"})
    assert first["base"] == 0
    lab.apply({"verb": "start", "vm": "b"})
    second = layers.view(lab, {"name": "permissions", "have": str(first["token"])})
    whole = layers.view(lab, {"name": "permissions"})
    assert second["base"] == first["token"]
    assert unpacked(second, unpacked(first)) == unpacked(whole) != unpacked(first)


def test_an_answer_that_is_long_ago_is_forgotten(lab: Lab) -> None:
    layers = Layers()
    first = layers.view(lab, {"name": "sharing"})
    for _ in range(KEPT):
        layers.view(lab, {"name": "sharing"})
    assert layers.view(lab, {"name": "sharing", "have": first["token"]})["base"] == 0


@pytest.mark.parametrize("args", [{}, {"name": "colour"}, {"name": "dirty", "have": "-1"}, {"name": 3}])
def test_arguments_that_make_no_sense_are_refused(lab: Lab, args: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        Layers().view(lab, args)


def test_a_vm_that_is_not_there_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="nobody"):
        Layers().view(lab, {"name": "dirty", "vm": "nobody"})
