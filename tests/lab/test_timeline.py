"""The timeline: every window of the past in bounded size, the same however the lab came there."""

import json
import runpy
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.instructions import instructions
from emulator.lab.monitoring.ages import STATES
from emulator.lab.monitoring.timeline import timeline
from emulator.lab.timetravel import Recorder

MakeLab = Callable[..., Lab]
EVERYTHING = 1 << 50
TOLD = ("owners", "pcpus", "vcpus", "events", "actions", "prints")
LONG_NAP = """
        li t0, 1 << 5
        csrs sie, t0
        rdtime a0
        li t0, 5000000000
        add a0, a0, t0
        li a7, 0
        ecall
1:      wfi
        j 1b
"""


def pieces(lane: list[int]) -> list[tuple[int, int, dict[int, int]]]:
    """Return a lane as (start, end, code -> cycles), as a page reads it."""
    found: list[tuple[int, int, dict[int, int]]] = []
    at, rest = lane[0], lane[1:]
    while rest:
        length, code, *rest = rest
        shares = {code: length} if code >= 0 else {}
        if code < -1:
            shares = dict(zip(rest[: -2 * code : 2], rest[1 : -2 * code : 2], strict=True))
            rest = rest[-2 * code :]
        found.append((at, at + length, shares))
        at += length
    return found


def spent(lane: list[int]) -> dict[str, int]:
    """Return the cycles of each state in a vCPU's lane."""
    sums: dict[str, int] = {}
    for _, _, shares in pieces(lane):
        for code, cycles in shares.items():
            sums[STATES[code]] = sums.get(STATES[code], 0) + cycles
    return sums


def shown(lab: Lab) -> list[Any]:
    """Return windows far and near, old and new."""
    end = max(pcpu.hart.clock for pcpu in lab.hypervisor.pcpus)
    windows = [(0, EVERYTHING), (0, end // 3), (end // 2, end // 2 + 20_000), (end - 50_000, end)]
    return [timeline(lab, first, last, 120) for first, last in windows]


@pytest.fixture
def busy(make_lab: MakeLab) -> Lab:
    """Two pCPUs, four VMs: one polls, one naps, one spins, one prints and shuts itself off."""
    lab = make_lab("echo", "nap", "spin", "hello", pcpus=2)
    for vm in "abcd":
        lab.apply({"verb": "start", "vm": vm})
    return lab


def test_lanes_add_up_to_what_each_vcpu_has_counted(busy: Lab) -> None:
    busy.advance(9_000_000)
    busy.apply({"verb": "suspend", "vm": "c"})
    busy.advance(15_000_000)
    assert busy.timeline.ages.rows[1], "old slices have become rows"
    seen = timeline(busy, 0, EVERYTHING, 100)
    lanes = {(one["vm"], one["vcpu"]): spent(one["lane"]) for one in seen["vcpus"]}
    for vm in busy.observe()["vms"]:
        vcpu, mine = vm["vcpus"][0], lanes[vm["name"], 0]
        assert mine.get("run", 0) == vcpu["run_cycles"]
        assert mine.get("exit", 0) == vcpu["hypervisor_cycles"]
        assert abs(mine.get("ready", 0) - vcpu["ready_cycles"]) <= 10_000  # clocks of pCPUs differ
        assert abs(mine.get("idle", 0) - vcpu["idle_cycles"]) <= 10_000
        assert abs(mine.get("off", 0) + mine.get("paused", 0) - vcpu["off_cycles"]) <= 10_000
    for index, lane in enumerate(seen["pcpus"]):
        found = pieces(lane)
        assert (found[0][0], found[-1][1]) == (0, seen["host"]["clocks_cycles"][index])
        assert all(sum(shares.values()) == end - start for start, end, shares in found)


def test_a_window_is_told_in_slices_near_and_in_sums_far_and_is_never_large(busy: Lab) -> None:
    busy.advance(60_000_000)
    end = min(pcpu.hart.clock for pcpu in busy.hypervisor.pcpus)
    near = timeline(busy, end - 20_000, end, 200)
    assert near["precision_cycles"] == 0
    assert all(len(shares) == 1 for lane in near["pcpus"] for _, _, shares in pieces(lane))
    assert [event["kind"] for event in near["events"]].count("exit") > 5
    for first, last in [(0, EVERYTHING), (0, end // 9), (end // 5, end // 2), (end - 2_000_000, end)]:
        far = timeline(busy, first, last, 100)
        lanes = far["pcpus"] + [one["lane"] for one in far["vcpus"]]
        assert all(len(pieces(lane)) <= 230 for lane in lanes)
        assert len(json.dumps(far)) < 60_000
    assert timeline(busy, 0, EVERYTHING, 100)["precision_cycles"] >= end // 100


def test_rows_are_bounded_and_long_idleness_is_one_row(make_lab: MakeLab) -> None:
    lab = make_lab("wait", "echo", pcpus=1)
    lab.apply({"verb": "set_program", "vm": "a", "source": LONG_NAP})
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(2_000_000_000)
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(lab.position + 6_000_000)
    ages = lab.timeline.ages
    assert sum(map(len, ages.rows)) < 200
    found = pieces(timeline(lab, 0, EVERYTHING, 50)["pcpus"][0])
    assert max(end - start for start, end, _ in found) > 1_900_000_000


def test_looking_changes_nothing_and_stopping_anywhere_gives_the_same(make_lab: MakeLab) -> None:
    def run(steps: list[int]) -> Lab:
        lab = make_lab("echo", "nap", "spin", pcpus=2)
        for vm in "abc":
            lab.apply({"verb": "start", "vm": vm})
        for step in steps:
            lab.advance(lab.position + step)
            timeline(lab, 0, EVERYTHING, 40)
        lab.advance(7_000_001)
        return lab

    whole, parts = run([]), run([1, 777, 10_001, 3_333_333, 5, 1_000_000])
    assert whole.state_hash() == parts.state_hash()
    assert json.dumps(shown(whole)) == json.dumps(shown(parts))


def test_a_past_that_is_run_again_is_the_same_past(busy: Lab) -> None:
    busy.recorder = Recorder(busy, spacing=1_000_000)
    busy.recorder.record()
    busy.advance(6_000_000)
    busy.apply({"verb": "console_input", "vm": "a", "text": "hi"})
    busy.advance(12_000_000)
    before, hashed = shown(busy), busy.state_hash()
    busy.rewind(7_000_000)
    ahead = shown(busy)
    assert [one["host"]["position"] for one in ahead] == [7_000_000] * 4
    assert ahead[0]["to_cycles"] == before[0]["to_cycles"], "what lies ahead is told too"
    assert [ahead[0][key] for key in TOLD] == [before[0][key] for key in TOLD]
    busy.advance(12_000_000)
    assert busy.state_hash() == hashed
    for old, new in zip(before, shown(busy), strict=True):
        assert json.dumps(old) == json.dumps(new)


def test_events_prints_and_positions_stand_on_the_axis(busy: Lab) -> None:
    busy.advance(2_000_000)
    busy.apply({"verb": "destroy", "vm": "c"})
    busy.advance(3_000_000)
    seen = timeline(busy, 0, EVERYTHING, 100)
    assert {"vm": "d", "text": "Hello\n"}.items() <= next(p for p in seen["prints"] if p["vm"] == "d").items()
    ended = next(one for one in seen["events"] if one["vm"] == "c" and one["reason"] == "shut off")
    assert 2_000_000 <= ended["position"] < 2_001_000
    done = seen["actions"][-1]
    assert (done["seq"], done["verb"], done["vm"], done["position"]) == (5, "destroy", "c", ended["position"])
    host = seen["host"]
    assert host["base_position"] + sum(host["clocks_cycles"]) == busy.position
    busy.apply({"verb": "reset_lab"})
    busy.advance(busy.position + 1000)
    again = timeline(busy, 0, EVERYTHING, 100)["host"]
    assert again["base_position"] + sum(again["clocks_cycles"]) == busy.position
    assert again["base_position"] >= 3_000_000


def test_other_hardware_goes_on_with_the_same_past(busy: Lab) -> None:
    busy.advance(6_000_000)
    for vm in "abc":
        busy.apply({"verb": "destroy", "vm": vm})
    busy.apply({"verb": "set_host", "pcpus": 1})
    busy.apply({"verb": "start", "vm": "c"})
    busy.advance(busy.position + 500_000)
    seen = timeline(busy, 0, EVERYTHING, 100)
    assert len(seen["pcpus"]) == 1
    assert pieces(seen["pcpus"][0])[0][0] == 0
    lanes = {one["vm"]: one["lane"] for one in seen["vcpus"]}
    assert spent(lanes["b"])["run"] > 0
    assert pieces(lanes["c"])[-1][1] == seen["host"]["clocks_cycles"][0]


def test_a_close_look_tells_every_instruction_and_moves_nothing(busy: Lab) -> None:
    busy.record()
    busy.advance(1_000_000)
    busy.apply({"verb": "console_input", "vm": "a", "text": "x"})
    busy.advance(2_000_000)
    hashed, position, cursor = busy.state_hash(), busy.position, busy.observe()["cursor"]
    seen = instructions(busy, 500_000, 500_400)
    assert (busy.state_hash(), busy.position) == (hashed, position)
    assert not busy.observe(cursor)["full"]
    known = timeline(busy, 500_000, 500_400, 500)
    for steps, lane in zip(seen["pcpus"], known["pcpus"], strict=True):
        assert sum(step["end_cycles"] - step["start_cycles"] for step in steps) >= 390
        for _, _, shares in pieces(lane):
            assert len(shares) == 1
    spinning = [s for steps in seen["pcpus"] for s in steps if s["vm"] == "c" and s["kind"] == "instruction"]
    added = [step for step in spinning if step["text"].split() == ["addi", "s0,s0,1"]]
    assert len(added) > 100
    assert all(step["line"] == 1 and step["source"].startswith("1: addi") for step in added)
    first, second = (int(step["changes"][0]["value"], 16) for step in added[:2])
    assert (added[0]["changes"][0]["name"], second) == ("s0", first + 1)
    busy.rewind(added[0]["position"])
    assert busy.registers("c", 0)["pc"] == added[0]["pc"]


JOIN = """
import { joinWindows, takeWindow } from "./static/js/timeline_data.js";
let told = "";
for await (const chunk of process.stdin) told += chunk;
const [first, ...more] = JSON.parse(told);
let view = takeWindow(first.view);
for (const { view: answer, since } of more) view = joinWindows(view, answer, since, 0);
const sums = (lane) => ({ sums: Object.fromEntries(lane.sums(0, 1e15)) });
const ids = (list) => list.map((one) => one.id ?? one.seq ?? one.text);
console.log(JSON.stringify({
  pcpus: view.pcpus.map(sums),
  vcpus: view.vcpus.map(({ vm, lane }) => [vm, sums(lane)]),
  ...{ events: ids(view.events), actions: ids(view.actions), prints: ids(view.prints) },
}));
"""


def test_a_page_that_asks_for_what_is_new_only_knows_the_same(busy: Lab, project: Path) -> None:
    """The page's own module puts the answers together, as it does while a lab runs."""
    answers: list[dict[str, Any]] = []
    since, joins, step = 0, 12, 60_000
    for number in range(joins):
        busy.advance(2_000_000 * (number + 1))
        if number == 5:
            busy.apply({"verb": "console_input", "vm": "a", "text": "hi"})
        view = timeline(busy, since, EVERYTHING, max(1, (busy.position // 2 - since) // step))
        answers.append({"view": view, "since": since})
        since = min(view["host"]["clocks_cycles"]) - view["host"]["quantum_cycles"]
    node = runpy.run_path(str(project / "static/build_assets.py"))["node_commands"]()[0]
    told = subprocess.run(
        [*node, "--input-type=module", "-e", JOIN],
        cwd=project,
        input=json.dumps(answers),
        capture_output=True,
        text=True,
        check=True,
    )
    joined, whole = json.loads(told.stdout), timeline(busy, 0, EVERYTHING, 100)
    lanes = [*zip(joined["pcpus"], whole["pcpus"], strict=True)]
    lanes += [(dict(joined["vcpus"])[one["vm"]], one["lane"]) for one in whole["vcpus"]]
    for mine, lane in lanes:
        sums: Counter[int] = Counter()
        for _, _, shares in pieces(lane):
            sums.update(shares)
        assert sum(mine["sums"].values()) == pytest.approx(sums.total(), abs=1)
        for code, cycles in sums.items():
            assert mine["sums"].get(str(code), 0) == pytest.approx(cycles, abs=joins * step / 10)
    assert joined["actions"] == [one["seq"] for one in whole["actions"]]
    assert joined["prints"][-20:] == [one["text"] for one in whole["prints"]][-20:]
    marked = [one["id"] for one in whole["events"] if one["kind"] in ("state", "fault")]
    assert set(marked) <= set(joined["events"])
