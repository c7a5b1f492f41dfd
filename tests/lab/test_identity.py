"""Who a VM is: its UUID stays, a clone has another, its generation changes when it is made of an image."""

import base64
from collections.abc import Callable

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

# Reads its generation, waits for source 13 of the PLIC, prints "!" and reads it again, for ever.
LISTENER = """
        li s0, 0x0c000034       # priority of source 13
        li t0, 1
        sw t0, (s0)
        li s0, 0x0c002080       # what the S-mode context of hart 0 enables
        li t0, 1 << 13
        sw t0, (s0)
        li s1, 0x0c201004       # claim and complete
        li t0, 1 << 9
        csrw sie, t0
look:   li s2, 0x102000
        li s3, 0x80008000
        ld t0, (s2)
        ld t1, 8(s2)
        sd t0, (s3)
        sd t1, 8(s3)
wait:   wfi
        lw s4, (s1)
        li t0, 13
        bne s4, t0, wait
        sw s4, (s1)
        li a0, '!'
        li a7, 1
        ecall
        j look
"""
KINDS = {"listener.s": Program("listener.s", source=LISTENER)}
UUID = "deadbeef-0000-4000-8000-00000000cafe"


@pytest.fixture
def make() -> Callable[..., Lab]:
    def made(**extra: object) -> Lab:
        vm = {"name": "a", "program": "listener.s", "vmgenid": True, **extra}
        config = {"host": {"pcpus": 1, "memory": "16 MiB"}, "vms": [vm]}
        return Lab(LabConfig.from_dict(config), KINDS, 1, load_engine())

    return made


def seen(lab: Lab, vm: str) -> bytes:
    """Return the generation that a guest read last."""
    machine = lab.vm(vm)
    return lab.hypervisor.read_guest(machine, 0x8000_8000, 16)


def settle(lab: Lab) -> None:
    """Let the guests do what they have to."""
    lab.advance(lab.position + 200_000)


def test_a_guest_is_told_of_each_new_generation_and_never_sees_one_twice(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    ids = [seen(lab, "a")]
    assert any(ids[0])
    assert lab.console("a") == ""
    lab.apply({"verb": "clone", "vm": "a", "name": "b"})
    for count in (1, 2):
        lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
        settle(lab)
        ids.append(seen(lab, "a"))
        assert lab.console("a") == "!", f"revert {count}"
    assert lab.console("b") == "!"
    ids.append(seen(lab, "b"))
    archive = base64.b64encode(lab.export_vm("a")).decode()
    lab.apply({"verb": "import_vm", "archive": archive, "name": "c"})
    settle(lab)
    assert lab.console("c") == "!!"
    ids.append(seen(lab, "c"))
    assert len(set(ids)) == len(ids) == 5
    again = Lab.replay(lab.config_at_start, KINDS, 1, lab.log, lab.position, load_engine())
    assert again.state_hash() == lab.state_hash()


def test_a_paused_vm_hears_of_it_when_it_goes_on(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    settle(lab)
    assert lab.console("a") == ""
    lab.apply({"verb": "resume", "vm": "a"})
    settle(lab)
    assert lab.console("a") == "!"


def test_a_vm_that_was_off_starts_with_its_new_generation(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    first = seen(lab, "a")
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    assert seen(lab, "a") == first  # a start alone is no new generation
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "off"})
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "off"})
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    assert seen(lab, "a") != first


def test_nothing_can_be_written_to_the_generation_and_it_is_there_only_if_asked_for(
    make: Callable[..., Lab],
) -> None:
    lab = make(vmgenid=False)
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    assert lab.vm("a").state.value == "crashed"
    assert "vmgenid" not in lab.config.vms[0].to_dict()
    writer = Program("listener.s", source="li t0, 0x102000\n sd t0, (t0)\n1: j 1b")
    config = LabConfig.from_dict({"vms": [{"name": "a", "program": "listener.s", "vmgenid": True}]})
    lab = Lab(config, {"listener.s": writer}, 1, load_engine())
    lab.apply({"verb": "start", "vm": "a"})
    settle(lab)
    events = [event["text"] for event in lab.observe(0)["events"]]
    assert any("no device takes this access" in text for text in events)


def test_the_uuid_stays_when_a_vm_is_renamed_and_a_clone_has_another(make: Callable[..., Lab]) -> None:
    lab = make()
    first = lab.uuid("a")
    lab.apply({"verb": "set_vm", "vm": "a", "name": "web"})
    assert lab.uuid("web") == first
    lab.apply({"verb": "clone", "vm": "web", "name": "other"})
    assert lab.uuid("other") != first
    shown = {vm["name"]: vm["uuid"] for vm in lab.observe(0)["vms"]}
    assert shown == {"web": first, "other": lab.uuid("other")}


def test_two_vms_never_have_one_uuid(make: Callable[..., Lab]) -> None:
    lab = make(uuid=UUID.upper())
    assert lab.uuid("a") == UUID
    with pytest.raises(LabError, match=f"the UUID {UUID} is that of a already"):
        lab.apply({"verb": "define", "vm": {"name": "b", "program": "listener.s", "uuid": UUID}})
    with pytest.raises(LabError, match="expected a UUID"):
        lab.apply({"verb": "define", "vm": {"name": "b", "program": "listener.s", "uuid": "7"}})
    lab.apply({"verb": "define", "vm": {"name": "b", "program": "listener.s"}})
    with pytest.raises(LabError, match="is that of a already"):
        lab.apply({"verb": "set_vm", "vm": "b", "uuid": UUID})


def test_an_exported_vm_keeps_its_uuid_where_nobody_has_it(make: Callable[..., Lab]) -> None:
    lab, other = make(), make()
    archive = base64.b64encode(lab.export_vm("a")).decode()
    lab.apply({"verb": "import_vm", "archive": archive, "name": "twin"})
    assert lab.uuid("twin") != lab.uuid("a")
    other.apply({"verb": "undefine", "vm": "a"})
    other.apply({"verb": "import_vm", "archive": archive, "name": "moved"})
    assert other.uuid("moved") == lab.uuid("a")


def test_a_clone_has_another_mac_address(make: Callable[..., Lab]) -> None:
    lab = make(network="lan")
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "clone", "vm": "a", "name": "b"})
    boards = [lab.vm(name).board for name in "ab"]
    addresses = [board.card.config()[:6] for board in boards if board and board.card]
    assert len(set(addresses)) == 2
