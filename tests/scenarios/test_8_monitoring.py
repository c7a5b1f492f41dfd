"""Monitoring and policy: time series, an alarm, a rule that acts, and a description that is applied once."""

import csv
import io

from emulator.lab.config import LabConfig
from emulator.lab.monitoring.export import to_csv, to_prometheus
from emulator.lab.provisioning import plan, provision
from tests.scenarios.desk import Desk

SPIN = {"spin": "1: addi s0, s0, 1\n j 1b"}
RULES = [
    {"name": "hungry", "when": "ready > 40 %", "for": "50 ms", "vms": ["web"], "then": {"weight": "x2"}},
    {"name": "waiting", "when": "ready >= 10 %", "for": "20 ms"},
]


def vm(name: str) -> dict[str, object]:
    return {"name": name, "program": "spin", "memory": "64 KiB", "autostart": True}


def test_a_host_is_watched_acts_by_its_rules_and_becomes_what_is_described() -> None:
    host = {"memory": "2 MiB", "scheduler": "stride"}
    desk = Desk(SPIN, [vm("web"), vm("db")], host, rules=RULES)
    lab = desk.lab
    desk.run(300)
    assert ("acted", "web") in desk.events("alarm")
    assert {("raised", "web"), ("raised", "db")} <= set(desk.events("alarm"))
    assert desk.see("web")["weight"] == 512
    held = desk.gained(100, "web", "db")
    assert 1.9 < held["web"] / held["db"] < 2.1

    rows = list(csv.DictReader(io.StringIO(to_csv(lab.monitor.samples))))
    assert len(rows) == len(lab.monitor.samples) == 41
    retired = [float(row['vmlab_vcpu_instructions_total{vm="web",vcpu="0"}'] or 0) for row in rows]
    assert retired == sorted(retired)
    assert retired[-1] <= desk.see("web")["vcpus"][0]["retired"]
    text = to_prometheus(lab.monitor.samples[-1])
    assert 'vmlab_vm_up{vm="db"} 1' in text
    assert "# TYPE vmlab_vm_exits_total counter" in text

    desk.do("suspend", "db")
    desk.run(50)
    assert ("cleared", "web") in desk.events("alarm")
    wanted = LabConfig.from_dict(
        {
            "host": {**lab.config.host.to_dict(), "timeslice": "2 ms"},
            "vms": [{**vm("web"), "weight": 1024}, {**vm("cache"), "cap": 10}],
            "rules": RULES[:1],
        }
    )
    desk.do("destroy", "db")
    before = [step.text for step in plan(lab.config, wanted)]
    assert "- vm db" in before
    assert any(step.startswith("~ vm web: weight") for step in before)
    assert [step.text for step in provision(lab, wanted)] == before
    assert plan(lab.config, wanted) == []
    desk.do("start", "cache")
    desk.run(20)
    assert desk.gained(100, "cache")["cache"] <= 1_000_000
    desk.replays()
