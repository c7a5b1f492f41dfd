"""Bridges: a host that is run by virsh commands alone, and domains that leave and come as libvirt XML."""

from emulator.libvirt import execute, read_domain
from tests.scenarios.desk import Desk

SPIN = {"spin": "1: addi s0, s0, 1\n j 1b"}
FOREIGN = """
<domain type='kvm'>
  <name>guest</name>
  <uuid>6b2a1c1e-0000-4000-8000-0123456789ab</uuid>
  <memory unit='KiB'>1024</memory>
  <vcpu>1</vcpu>
  <cputune><shares>2048</shares></cputune>
  <os><type arch='riscv64'>hvm</type><kernel>/boot/spin</kernel></os>
  <devices><graphics type='vnc'/></devices>
</domain>
"""


def test_a_day_with_virsh() -> None:
    vms = [{"name": "web", "program": "spin", "memory": "1 MiB"}]
    desk = Desk(SPIN, vms, {"memory": "8 MiB", "scheduler": "stride"})
    lab = desk.lab

    def virsh(line: str) -> str:
        return execute(lab, line)

    answer = virsh(f"define {FOREIGN}")
    assert "left out domain/devices/graphics" in answer
    assert "Domain 'guest' defined" in answer
    assert virsh("domuuid guest").strip() == "6b2a1c1e-0000-4000-8000-0123456789ab"
    for name in ("web", "guest"):
        assert f"Domain '{name}' started" in virsh(f"start {name}")
    held = desk.gained(200, "web", "guest")
    assert 1.9 < held["guest"] / held["web"] < 2.1
    virsh("schedinfo web --set weight=1024")
    held = desk.gained(200, "web", "guest")
    assert 1.9 < held["web"] / held["guest"] < 2.1
    stats = dict(line.strip().split("=") for line in virsh("domstats web").splitlines()[1:] if line)
    assert int(stats["cpu.time"]) == desk.held("web")["web"] * 10
    virsh("setvcpus web 2")
    assert len(desk.see("web")["vcpus"]) == 2

    virsh("snapshot-create-as web before")
    retired = desk.see("web")["vcpus"][0]["retired"]
    desk.run(20)
    virsh("suspend guest")
    assert "paused" in virsh("domstate guest")
    virsh("snapshot-revert web before")
    assert desk.see("web")["vcpus"][0]["retired"] == retired
    virsh("resume guest")

    dump = virsh("dumpxml guest")
    imported = read_domain(dump, ["spin"])
    assert imported.left_out == []
    virsh("destroy guest")
    before = lab.vm_configs["guest"]
    assert "undefined" in virsh("undefine guest")
    assert "error" in virsh("start guest")
    virsh(f"define {dump}")
    assert lab.vm_configs["guest"] == before == imported.config
    virsh("start guest")
    assert [one for one in virsh("list --name").split() if one] == ["web", "guest"]
    desk.run(5)
    desk.replays()
