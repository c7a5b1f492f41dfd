"""Domain XML: out and in again without loss, and nothing dropped in silence."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import VmLabError
from emulator.lab import Lab
from emulator.lab.config import VmConfig
from emulator.libvirt import domain_xml, execute, read_domain
from tests.libvirt.conftest import Type

PROGRAMS = ["spin.s", "guest/spin.s", "linux"]

FOREIGN = """<?xml version='1.0'?>
<domain type='kvm'>
  <name>fedora</name>
  <title>A machine</title>
  <memory unit='MiB'>4</memory>
  <currentMemory unit='MiB'>2</currentMemory>
  <vcpu placement='static' cpuset='1' current='2'>4</vcpu>
  <cputune>
    <shares>2048</shares>
    <period>100000</period>
    <quota>25000</quota>
    <emulatorpin cpuset='0'/>
  </cputune>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <kernel>/var/lib/images/linux</kernel>
    <initrd>/var/lib/images/initrd</initrd>
    <cmdline>console=hvc0</cmdline>
  </os>
  <features><acpi/></features>
  <on_crash>restart</on_crash>
  <devices>
    <disk type='file' device='disk'><source file='/x.img'/><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='file' device='cdrom'/>
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/><source network='lan'/><model type='e1000'/>
    </interface>
    <graphics type='vnc'/>
    <memballoon model='virtio'><stats period='5'/></memballoon>
  </devices>
</domain>"""

IDENTITY = "12345678-9abc-4def-8123-456789abcdef"
configs = st.builds(
    lambda base, disk: VmConfig.from_dict({**base, **({"disk": disk} if disk else {})}, "vm"),
    st.fixed_dictionaries(
        {
            "name": st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
            "program": st.sampled_from(PROGRAMS),
        },
        optional={
            "vcpus": st.integers(1, 8),
            "memory": st.integers(16, 4096).map(lambda pages: pages * 4096),
            "autostart": st.booleans(),
            "on_fault": st.sampled_from(["crash", "skip", "inject"]),
            "append": st.from_regex(r"[a-z=<>&'\"]{1,20}", fullmatch=True),
            "network": st.sampled_from(["", "lan", {"name": "wan-2", "vlan": 7}]),
            "console": st.sampled_from(["sbi", "virtio"]),
            "rng": st.booleans(),
            "balloon": st.booleans(),
            "vmgenid": st.booleans(),
            "weight": st.integers(1, 65_535),
            "cap": st.integers(0, 800),
            "reservation": st.integers(0, 10**9),
            "period": st.sampled_from(["", "20 ms"]),
            "affinity": st.sampled_from(["", "0-1", "3,5-7"]),
        },
    ),
    st.sampled_from([None, "16 MiB", {"size": "64 KiB", "read_only": True}]),
)


@given(config=configs)
def test_what_is_written_is_read_back_whole(config: VmConfig) -> None:
    imported = read_domain(domain_xml(config, IDENTITY, 7), PROGRAMS)
    assert imported.config == replace(config, uuid=IDENTITY)
    assert imported.left_out == []


def test_a_foreign_domain_is_taken_as_far_as_it_goes_and_the_rest_is_named() -> None:
    imported = read_domain(FOREIGN, PROGRAMS)
    config = imported.config
    assert (config.name, config.program, config.memory, config.vcpus) == ("fedora", "linux", 4 << 20, 2)
    assert (config.cpu.weight, config.cpu.cap, config.cpu.affinity) == (512, 50, (1,))
    assert (config.network, config.balloon, config.append) == ("lan", True, "console=hvc0")
    assert config.disk is not None
    assert config.disk.read_only
    assert {place.removeprefix("domain/") for place, _ in imported.left_out} == {
        *("title", "currentMemory", "vcpu", "cputune/emulatorpin", "features", "on_crash"),
        *("os/type@arch", "os/type@machine", "os/initrd"),
        *("devices/disk/source", "devices/disk/target@bus", "devices/disk", "devices/graphics"),
        *("devices/interface/mac", "devices/interface/model@type", "devices/memballoon/stats"),
    }


def test_define_in_the_console_prints_what_was_left_out(lab: Lab, virsh: Type) -> None:
    answer = virsh("define " + FOREIGN.replace("/var/lib/images/linux", "spin.s").replace("console=hvc0", ""))
    assert "warning: left out domain/devices/graphics: there is nothing like it here\n" in answer
    assert answer.endswith("Domain 'fedora' defined\n\n")
    assert lab.vm_configs["fedora"].vcpus == 2


def test_a_dump_defines_the_same_vm_again(lab: Lab, virsh: Type) -> None:
    before = lab.vm_configs["db"]
    dump = virsh("dumpxml db")
    virsh("undefine db")
    assert "defined" in execute(lab, f"define {dump}")
    assert lab.vm_configs["db"] == before


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><domain><name>&b;</name></domain>'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not XML"),
        ("<domain>", "not XML"),
        ("<network/>", "outermost element is <network>"),
        (BOMB, "document type declaration"),
        ("<domain/>", "the domain has no name"),
        ("<domain><name>a</name></domain>", "no program"),
        ("<domain>" + "<a>" * 100 + "</a>" * 100 + "</domain>", "nested more than 32 deep"),
        (" " * (300 << 10), "at most 262144 are read"),
        ("<domain><memory>lots</memory></domain>", "expected a whole number"),
        ("<domain><memory unit='parsec'>1</memory></domain>", "expected one of b, bytes"),
        ("<domain><name>A B</name><os><kernel>spin.s</kernel></os></domain>", "expected a name"),
        ("<domain><name>a</name><os><kernel>spim.s</kernel></os></domain>", "did you mean `spin.s`?"),
        (
            "<domain><memory>99999999999999999</memory><name>a</name><os><kernel>linux</kernel></os></domain>",
            "must be",
        ),
    ],
)
def test_hostile_or_wrong_xml_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(VmLabError, match=problem.replace("?", r"\?")):
        read_domain(text, PROGRAMS)


@given(text=st.text(max_size=200), cut=st.integers(0, len(FOREIGN)))
def test_no_text_does_worse_than_an_error(text: str, cut: int) -> None:
    with suppress(VmLabError):
        assert read_domain(FOREIGN[:cut] + text + FOREIGN[cut:], PROGRAMS).config.program in PROGRAMS
