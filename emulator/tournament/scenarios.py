"""What policies compete on: for each interface, configurations of a host and VMs with a seed and a length.

`competing` names the VMs among which fairness is measured, `waking` those whose waits are; all if it is
empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.errors import VmLabError
from emulator.tournament import guests

MS = 1_000_000
KIB = 1024


class TournamentError(VmLabError):
    """A tournament cannot be held as asked: 'there is no scenario mixd; scenarios are mixed, ...'."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One seeded workload. `config` is a lab's, `programs` the texts of its guests, `ns` its length."""

    name: str
    interface: str
    title: str
    question: str
    config: Mapping[str, Any]
    programs: Mapping[str, str]
    seed: int = 1
    ns: int = 200 * MS
    competing: tuple[str, ...] = ()
    waking: tuple[str, ...] = ()


def _vm(name: str, program: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "program": program, "memory": "64 KiB", "autostart": True, **keys}


def _host(**keys: Any) -> dict[str, Any]:
    return {"pcpus": 1, "memory": "2 MiB", "clock": "100 MHz", **keys}


def _mixed() -> Scenario:
    sleepers = {f"i{n}.s": guests.interactive(11 + n, 8_000, 3_000) for n in range(3)}
    return Scenario(
        name="mixed",
        interface="scheduler",
        title="Two that compute, three that wait",
        question="Does whoever wakes up get a pCPU soon, and do the others still share alike?",
        config={
            "host": _host(),
            "vms": [_vm("c1", "spin.s"), _vm("c2", "spin.s")] + [_vm(f"i{n}", f"i{n}.s") for n in range(3)],
        },
        programs={"spin.s": guests.SPIN, **sleepers},
        competing=("c1", "c2"),
        waking=("i0", "i1", "i2"),
    )


def _weights() -> Scenario:
    weights = {"w1": 128, "w2": 256, "w4": 512, "w8": 1024}
    return Scenario(
        name="weights",
        interface="scheduler",
        title="Shares by weight on two pCPUs",
        question="Does everybody get what its weight says, beside somebody who works in bursts?",
        config={
            "host": _host(pcpus=2),
            "vms": [
                *(_vm(name, "spin.s", weight=weight) for name, weight in weights.items()),
                _vm("same", "spin.s", weight=1024),
                _vm("burst", "burst.s"),
            ],
        },
        programs={"spin.s": guests.SPIN, "burst.s": guests.bursty(5, 60_000, 20_000)},
        competing=(*weights, "same"),
        waking=("burst",),
    )


def _crowd() -> Scenario:
    sleepers = {f"i{n}.s": guests.interactive(101 + n, 20_000, 12_000) for n in range(10)}
    return Scenario(
        name="crowd",
        interface="scheduler",
        title="Ten that wait on two pCPUs",
        question="How long is the longest wait when many wake up at once?",
        config={
            "host": _host(pcpus=2),
            "vms": [_vm("c1", "spin.s"), _vm("c2", "spin.s")] + [_vm(f"i{n}", f"i{n}.s") for n in range(10)],
        },
        programs={"spin.s": guests.SPIN, **sleepers},
        competing=tuple(f"i{n}" for n in range(10)),
        waking=tuple(f"i{n}" for n in range(10)),
    )


_SWAP = {
    "memory": "1 MiB",
    "overcommit": 2,
    "swap": "2 MiB",
    "swap_interval": "500 us",
    "swap_latency": "20 us",
}


def _hot() -> Scenario:
    return Scenario(
        name="hot-pages",
        interface="replacement",
        title="Few hot pages, many cold ones",
        question="Are the pages that are used all the time still there when they are used?",
        config={
            "host": _host(**_SWAP),
            "vms": [_vm(name, f"{name}.s", memory="640 KiB", memory_limit="240 KiB") for name in ("a", "b")],
        },
        programs={
            "a.s": guests.hot_and_cold(3, 24, 140, 20),
            "b.s": guests.hot_and_cold(4, 40, 140, 6),
        },
        ns=100 * MS,
    )


def _circle() -> Scenario:
    return Scenario(
        name="circle",
        interface="replacement",
        title="Round and round",
        question="What goes when the page that was used longest ago is the next one needed?",
        config={
            "host": _host(**_SWAP),
            "vms": [
                _vm("a", "circle.s", memory="640 KiB", memory_limit="200 KiB"),
                _vm("b", "hot.s", memory="640 KiB", memory_limit="240 KiB"),
            ],
        },
        programs={"circle.s": guests.circle(60), "hot.s": guests.hot_and_cold(9, 30, 120, 12)},
        ns=100 * MS,
    )


def _giver(name: str, willing: int) -> dict[str, Any]:
    return _vm(name, f"giver{willing}.s", memory="1 MiB", balloon=True)


def _memory(name: str, title: str, question: str, willing: tuple[int, int]) -> Scenario:
    host = _host(**_SWAP, balloon_interval="1 ms")
    return Scenario(
        name=name,
        interface="balloon",
        title=title,
        question=question,
        config={
            "host": {**host, "overcommit": 4},
            "vms": [
                *(_giver(f"g{number}", pages) for number, pages in enumerate(willing)),
                _vm("a", "hot.s", memory="1 MiB"),
            ],
        },
        programs={
            **{f"giver{pages}.s": guests.balloon_driver(pages, 90) for pages in willing},
            "hot.s": guests.hot_and_cold(7, 60, 150, 3),
        },
        ns=60 * MS,
    )


def _devices(name: str, title: str, question: str, program: str) -> Scenario:
    return Scenario(
        name=name,
        interface="exits",
        title=title,
        question=question,
        config={
            "host": _host(),
            "vms": [_vm("a", "reader.s", on_fault="skip"), _vm("b", "reader.s", on_fault="skip")],
        },
        programs={"reader.s": program},
        ns=20 * MS,
    )


SCENARIOS: dict[str, Scenario] = {
    one.name: one
    for one in (
        _mixed(),
        _weights(),
        _crowd(),
        _hot(),
        _circle(),
        _memory(
            "givers",
            "One needs memory, two have some to give",
            "Is memory asked back in time, before pages have to go to the swap area?",
            (90, 80),
        ),
        _memory(
            "unwilling",
            "One gives little",
            "What if somebody does not follow?",
            (90, 10),
        ),
        _devices(
            "device",
            "A device in Python",
            "What do the guests' loads and stores find at 0x4000_0000?",
            guests.reader(0x4000_0000, 8),
        ),
        _devices(
            "csr",
            "A hypervisor's CSRs, emulated",
            "What does a guest find that reads htval and writes htimedelta?",
            guests.CSR_READER,
        ),
    )
}


def scenario(name: str) -> Scenario:
    """Return a scenario. Raises TournamentError."""
    if name not in SCENARIOS:
        raise TournamentError(f"there is no scenario {name!r}; scenarios are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
