"""Linux guests on virtual networks, by public verbs: VLANs, DHCP, NAT, links that are slow, lossy or down."""

import struct
from collections.abc import Callable

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine

PROMPT = "~ # "
FAR = 3_000_000_000
NETWORKS = [
    {"name": "lan", "mode": "nat", "address": "10.0.1.1/24", "dhcp": True, "vlan": 10},
    {"name": "servers", "mode": "routed", "address": "10.0.2.1/24"},
]
LEASE = (
    'printf \'#!/bin/sh\\n[ "$1" = bound ] && ifconfig eth0 $ip netmask $subnet && route add default gw'
    " $router\\n' > /tmp/d; chmod +x /tmp/d; ifconfig eth0 up; udhcpc -i eth0 -n -q -s /tmp/d; echo o''k"
)

pytestmark = pytest.mark.slow


@pytest.fixture
def make_lab(engine: Engine, linux_image: bytes) -> Callable[..., Lab]:
    """Make a lab of Linux guests, each with its `network`, that have booted to a shell."""

    def make(**cards: object) -> Lab:
        vms = [
            {"name": name, "memory": "32 MiB", "program": "linux", "autostart": True, "network": card}
            for name, card in cards.items()
        ]
        host = {"pcpus": 2, "memory": f"{16 + 33 * len(vms)} MiB"}
        config = LabConfig.from_dict({"host": host, "networks": NETWORKS, "vms": vms})
        lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
        for name in cards:
            ready = {"kind": "console", "vm": name, "text": PROMPT}
            assert PROMPT in lab.console(name) or lab.run_until(ready, lab.position + FAR)
        return lab

    return make


def shell(lab: Lab, vm: str, line: str, answer: str = "ok\r\n") -> str:
    """Type a line, wait for its answer, and return what came since."""
    before = len(lab.console(vm))
    lab.apply({"verb": "console_input", "vm": vm, "text": line + "\n"})
    shown = lab.run_until({"kind": "console", "vm": vm, "text": answer}, lab.position + FAR)
    assert shown, lab.console(vm)[-500:]
    return lab.console(vm)[before:]


def ping(lab: Lab, vm: str, target: str, count: int = 2) -> str:
    return shell(lab, vm, f"ping -c {count} -i 0.1 -W 1 {target}; echo o''k")


def frames_of(data: bytes) -> list[bytes]:
    """Return the frames of a pcap file."""
    frames, at = [], 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return frames


def test_guests_reach_each_other_within_their_vlan_only_and_get_addresses(make_lab: Callable[..., Lab]):
    lab = make_lab(
        a={"name": "lan", "vlan": 10}, b={"name": "lan", "vlan": 10}, c={"name": "lan", "vlan": 20}
    )
    lab.apply({"verb": "net_capture", "network": "lan"})
    assert "lease of 10.0.1.100 obtained from 10.0.1.1" in shell(lab, "a", LEASE)
    shell(lab, "b", "ifconfig eth0 10.0.1.12 netmask 255.255.255.0; echo o''k")
    shell(lab, "c", "ifconfig eth0 10.0.1.13 netmask 255.255.255.0; echo o''k")
    assert "2 packets received, 0% packet loss" in ping(lab, "a", "10.0.1.12")
    assert "0 packets received, 100% packet loss" in ping(lab, "c", "10.0.1.12")
    assert "2 packets received, 0% packet loss" in ping(lab, "a", "192.0.2.1")
    echoed = shell(lab, "a", "(echo hello; sleep 1) | busybox nc 192.0.2.1 7; echo o''k")
    assert "\nhello\r\n" in echoed
    ports = {port.name: port.counters for port in lab.hypervisor.networks.switch("lan").state.ports.values()}
    assert (ports["c"].sent, ports["c"].received > 0) == (0, True)
    lab.apply({"verb": "net_capture", "network": "lan", "on": False})
    vlans = [frame[14:16] for frame in frames_of(lab.pcap("lan")) if frame[12:14] == b"\x81\0"]
    received = sum(counters.received for counters in ports.values())
    assert (len(vlans), set(vlans)) == (received, {b"\0\x0a", b"\0\x14"})


def test_links_are_slow_lossy_and_down_while_guests_run(make_lab: Callable[..., Lab]):
    lab = make_lab(a="servers", b={"name": "lan", "vlan": 10})
    shell(lab, "a", "ifconfig eth0 10.0.2.12 netmask 255.255.255.0; route add default gw 10.0.2.1; echo o''k")
    shell(lab, "b", "ifconfig eth0 10.0.1.12 netmask 255.255.255.0; route add default gw 10.0.1.1; echo o''k")
    assert "2 packets received" in ping(lab, "b", "10.0.2.12")
    assert "100% packet loss" in ping(lab, "a", "10.0.1.12")  # nobody gets into a NAT network
    lab.apply({"verb": "net_link", "vm": "b", "latency": "20 ms", "rate": "1 Mbit/s"})
    # 98 bytes and 24 around them are 976 us at 1 Mbit/s, each way.
    times = [float(part.split()[0]) for part in ping(lab, "b", "10.0.2.12", 3).split("time=")[1:]]
    assert all(21.9 < time < 22.7 for time in times[1:])
    lab.apply({"verb": "net_link", "vm": "b", "latency": 0, "rate": 0, "loss": "50 %"})
    lost = int(ping(lab, "b", "10.0.2.1", 40).split("% packet loss")[0].split()[-1])
    assert 25 <= lost <= 75
    lab.apply({"verb": "net_link", "vm": "b", "loss": 0, "link": "down"})
    assert "cut" in shell(
        lab, "b", "sleep 0.1; grep -q 0 /sys/class/net/eth0/carrier && echo c''ut; echo o''k"
    )
    assert "100% packet loss" in ping(lab, "b", "10.0.2.12")
    lab.apply({"verb": "net_link", "vm": "b", "link": "up"})
    shell(lab, "b", "sleep 0.1; echo o''k")
    assert "2 packets received" in ping(lab, "b", "10.0.2.12")
