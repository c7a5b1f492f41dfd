"""The host console's commands about pools, volumes and backing chains."""

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.libvirt import execute
from tests.libvirt.conftest import SPIN, Type

CONFIG = {
    "host": {"pcpus": 1, "memory": "8 MiB"},
    "pools": [
        {"name": "shelf", "capacity": "64 KiB", "volumes": [{"name": "golden", "capacity": "32 KiB"}]},
    ],
    "vms": [{"name": "web", "program": "spin.s"}],
}


@pytest.fixture
def lab() -> Lab:
    """A lab with a pool."""
    return Lab(LabConfig.from_dict(CONFIG), {"spin.s": Program("spin.s", source=SPIN)}, 1, load_engine())


@pytest.fixture
def virsh(lab: Lab) -> Type:
    """Type a line into the lab's host console."""
    return lambda line: execute(lab, line)


def test_a_chain_is_made_committed_and_pulled_by_typing(lab: Lab, virsh: Type) -> None:
    storage = lab.hypervisor.storage
    storage.write("golden", 0, b"old" * 2000)
    made = virsh("vol-create-as shelf desk 32KiB --format qcow2 --backing-vol golden")
    assert made == "Vol desk created\n\n"
    lab.apply({"verb": "set_vm", "vm": "web", "disk": {"volume": "desk"}})
    assert virsh("domblklist web").splitlines()[2] == " vda      /shelf/desk"
    storage.write("desk", 0, b"new")
    assert virsh("blockcommit web vda --active") == "Block commit complete\n\n"
    assert storage.read("golden", 0, 3) == b"new"
    assert virsh("vol-info desk").splitlines()[2:4] == [
        "Capacity:       32.00 KiB",
        "Allocation:     0.00 KiB",
    ]
    assert "it backs desk" in virsh("vol-delete golden")
    assert virsh("blockpull web vda") == "Block Pull complete\n\n"
    assert (storage.volume("desk").backing, storage.volume("desk").allocation) == ("", 8192)
    assert virsh("vol-delete golden --pool shelf") == "Vol golden deleted\n\n"
    assert virsh("vol-list shelf") == " Name   Path\n---------------------\n desk   /shelf/desk\n\n"


def test_a_raw_volume_is_thick_as_in_virsh_unless_it_is_told_not_to_be(lab: Lab, virsh: Type) -> None:
    virsh("vol-create-as shelf thick 16384")
    virsh("vol-create-as shelf thin 16KiB --allocation 0")
    sizes = {one.name: one.allocation for one in lab.hypervisor.storage.state.volumes.values()}
    assert sizes == {"golden": 0, "thick": 16384, "thin": 0}
    assert "Available:      48.00 KiB" in virsh("pool-info shelf")
    assert "Failed to create vol much\nerror: " in virsh("vol-create-as shelf much 64KiB")
    assert virsh("vol-resize thin 64KiB").startswith("Size of volume 'thin' successfully changed")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vol-create-as shelf one 16XB", "'16XB' is no size"),
        ("vol-create-as shelf one 16KiB --allocation 4KiB", "an allocation is 0"),
        ("vol-create-as attic one 16KiB", "there is no pool 'attic'"),
        ("blockpull web vda", "domain 'web' has no disk 'vda' in a pool"),
        ("vol-info attic", "there is no volume 'attic'"),
    ],
)
def test_what_cannot_be_is_an_error(lab: Lab, virsh: Type, line: str, message: str) -> None:
    assert message in virsh(line)
    assert lab.log == []
