"""Memory as an administrator uses it: only verbs on guests that run, and what is counted afterwards."""

from collections.abc import Callable
from typing import Any

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.errors import LabError
from emulator.lab.memory_observed import HostMemoryView, VmMemoryView
from emulator.lab.programs import Program
from tests.hypervisor.memory.guests import balloon_driver, touch

PAGES = 180
PROGRAMS = {
    "worker": Program("worker", source=touch(PAGES)),
    "giver": Program("giver", source=balloon_driver(150)),
}
HOST = {"memory": "1 MiB", "pcpus": 1, "clock": "100 MHz"}
MS = 1_000_000


class Desk:
    """A lab and what can be read off it."""

    def __init__(self, engine: Any, *vms: dict[str, Any], **host: Any) -> None:
        config = LabConfig.from_dict({"host": HOST | host, "vms": list(vms)})
        self.lab = Lab(config, PROGRAMS, 5, engine)

    def do(self, verb: str, vm: str = "", **arguments: Any) -> None:
        self.lab.apply({"verb": verb, **({"vm": vm} if vm else {}), **arguments})

    def run(self, ms: int) -> None:
        self.lab.advance(self.lab.position_at(self.lab.now_ns + ms * MS))

    def view(self, vm: str) -> Any:
        return next(one for one in self.lab.observe()["vms"] if one["name"] == vm)

    def memory(self, vm: str) -> VmMemoryView:
        return self.view(vm)["memory"]

    def host(self) -> HostMemoryView:
        return self.lab.observe()["host"]["memory"]


def worker(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "memory": "1 MiB", "program": "worker", **keys}


def test_from_a_static_partition_to_every_way_of_overcommitment(engine: Any) -> None:
    desk = Desk(engine, worker("a"), worker("b"), {**worker("g"), "program": "giver", "balloon": True})

    # A static partition: a VM of the host's size does not fit beside its own tables.
    refused = refusal(lambda: desk.do("start", "a"))
    assert (
        "needs 262 host frames (256 for its memory and 6 for its G-stage table) and 256 are free" in refused
    )

    # Overcommit: the same VM starts, and has what it touches. The second one is paused when nothing is
    # left.
    desk.do("set_host", overcommit=3)
    desk.do("start", "a")
    desk.run(10)
    assert desk.memory("a")["resident"] == PAGES + 1
    assert desk.view("a")["exits"]["demand paging"] == PAGES
    desk.do("start", "b")
    desk.run(10)
    assert desk.view("b")["state"] == "paused"
    assert desk.memory("b")["out_of_memory"] == "the host has no free frame"

    # A balloon: what the giver gives, the paused VM gets.
    desk.do("destroy", "a")
    desk.do("resume", "b")
    desk.run(10)
    assert desk.memory("b")["out_of_memory"] == ""
    desk.do("start", "g")
    desk.run(1)
    desk.do("set_balloon", "g", target="400 KiB")
    desk.run(10)
    assert desk.memory("g")["balloon"] == desk.memory("g")["balloon_target"] == 100
    for name in "bg":
        desk.do("destroy", name)

    # Swap: both fit, at the price of a disk.
    desk.do("set_host", swap="2 MiB", swap_policy="lru", swap_interval="200 us", swap_latency="20 us")
    for name in "ab":
        desk.do("start", name)
    desk.run(60)
    assert [desk.view(name)["state"] for name in "ab"] == ["idle", "idle"]
    accounts = [desk.memory(name) for name in "ab"]
    assert [one["resident"] + one["swapped"] for one in accounts] == [PAGES + 1, PAGES + 1]
    blocked = sum(desk.view(name)["vcpus"][0]["blocked_cycles"] for name in "ab")
    assert blocked >= 2_000 * sum(one["swapped_in"] + one["swapped_out"] for one in accounts)
    assert desk.host()["swap_free"] < 512
    assert desk.memory("a")["swapped_in"] + desk.memory("b")["swapped_in"] > 0

    # Merging: the same pages once. With room enough nothing has to go.
    for name in "ab":
        desk.do("destroy", name)
    assert desk.host()["swap_free"] == 512
    desk.do("set_host", ksm=True, ksm_interval="200 us")
    desk.do("start", "a")
    desk.run(30)
    desk.do("start", "b")
    desk.run(100)
    assert desk.host()["pages_sharing"] > 30  # swapped pages are not looked at
    assert desk.memory("a")["shared"] > 30

    # The whole history can be replayed.
    lab = desk.lab
    replayed = Lab.replay(lab.config_at_start, lab.programs, 5, lab.log, lab.position, engine)
    assert replayed.state_hash() == lab.state_hash()


def refusal(act: Callable[[], None]) -> str:
    """Return what an action is refused with."""
    try:
        act()
    except LabError as error:
        return str(error)
    return ""
