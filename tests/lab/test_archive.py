"""A VM in a file: the same VM elsewhere; damage and malice are refused; faults of the disk lose nothing."""

import io
import json
import os
import zipfile
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator.hypervisor.image import REGISTERS
from emulator.lab import Lab, LabError
from emulator.lab.archive import import_vm, save
from emulator.lab.archive_checks import ArchiveError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.lab.disk_writer import writer
from tests.lab.test_snapshots import look

JUNK = [None, -1, 1 << 63, 1 << 64, 1 << 300, "x", [], {}, [[]], True, 0.5, {"base64": "AA=="}, 3, 255]


@pytest.fixture
def lab(full_lab: Callable[[], Lab]) -> Lab:
    made = full_lab()
    for name in "abcd":
        made.apply({"verb": "start", "vm": name})
    made.advance(300_000)
    return made


def rewrite(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Return an archive with other members, and a manifest that fits them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members)
    listed = {one: {"bytes": len(text), "sha256": sha256(text).hexdigest()} for one, text in members.items()}
    manifest["members"] = listed
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for one, text in members.items():
            archive.writestr(one, text)
    return buffer.getvalue()


@pytest.mark.parametrize("name", list("abcd"))
def test_an_imported_vm_is_the_vm_that_was_exported(lab: Lab, full_lab: Callable[[], Lab], name: str) -> None:
    data = lab.export_vm(name)
    assert lab.export_vm(name) == data
    other = full_lab()
    other.advance(5_000_000)
    other.apply({"verb": "undefine", "vm": name})
    other.apply({"verb": "import_vm", "archive": b64encode(data).decode()})
    mine, theirs = look(lab, name), look(other, name)
    assert mine[:3] == theirs[:3]
    before = other.vm(name).vcpus[0].retired
    other.advance(8_000_000)
    assert other.vm(name).state.value in ("running", "idle")
    assert other.vm(name).vcpus[0].retired > before
    assert (
        Lab.replay(
            other.config_at_start, other.programs, other.seed, other.log, other.position, other.engine
        ).state_hash()
        == other.state_hash()
    )


def test_a_vm_that_is_off_keeps_its_disk(lab: Lab) -> None:
    lab.vm("a").disk().state.changed[7] = b"z" * 512
    lab.apply({"verb": "destroy", "vm": "a"})
    vm = import_vm(lab, lab.export_vm("a"), "copy")
    assert vm.state.value == "shut off"
    assert vm.disk().state.changed == {7: b"z" * 512}
    lab.apply({"verb": "start", "vm": "copy"})


@given(data=st.data())
@settings(
    max_examples=60,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_stands_in_an_archive_the_lab_goes_on(lab: Lab, data: Any) -> None:
    """Change one value of the state anywhere: it is refused by name, or the VM is there and runs."""
    archive = lab.export_vm("a")

    def change(members: dict[str, bytes]) -> None:
        state = json.loads(members["state.json"])
        place: Any = state
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(sorted(keys)))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.integers(0, 5)):
                place = place[key]
                continue
            junk = [
                None,
                -1,
                1 << 63,
                1 << 64,
                1 << 300,
                "x",
                [],
                {},
                [[]],
                True,
                0.5,
                {"base64": "AA=="},
                3,
                255,
            ]
            place[key] = data.draw(st.sampled_from(junk))
            break
        members["state.json"] = json.dumps(state).encode()

    try:
        vm = import_vm(lab, rewrite(archive, change), "copy")
    except LabError:
        assert "copy" not in lab.hypervisor.vms
        assert "copy" not in lab.vm_configs
        return
    lab.advance(lab.position + 60_000)
    lab.observe()
    lab.apply({"verb": "console_input", "vm": "copy", "text": "x"}) if lab.is_on(vm) else None
    if vm.state.value != "shut off":
        lab.apply({"verb": "destroy", "vm": "copy"})
    lab.apply({"verb": "undefine", "vm": "copy"})


def test_damage_and_malice_are_named(lab: Lab) -> None:
    good = lab.export_vm("a")

    def state(**changes: Any) -> Callable[[dict[str, bytes]], None]:
        def change(members: dict[str, bytes]) -> None:
            members["state.json"] = json.dumps(json.loads(members["state.json"]) | changes).encode()

        return change

    def member(name: str, text: bytes) -> bytes:
        return rewrite(good, lambda members: members.update({name: text}))

    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in ("manifest.json", "config.json", "program", "state.json", "ram.bin", "clusters.bin"):
            archive.writestr(one, bytes(1 << 22))
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for data, match in [
        (b"", "no sound zip"),
        (good[:-40], "no sound zip"),
        (bytes(flipped), "sound zip|not what manifest"),
        (bomb.getvalue(), "manifest.json has more than"),
        (member("../../etc/passwd", b"x"), "has the members"),
        (member("config.json", b'{"name": "a"}'), "has no program"),
        (member("config.json", b"[" * 60_000), "is no JSON"),
        (member("state.json", b"[" * 100_000), "is no JSON"),
        (member("program", b"nonsense here"), "program:"),
        (member("ram.bin", b"abc"), "cut off"),
        (member("ram.bin", b"\xff\xff\xff\xff" + bytes(4096)), "pages ascend"),
        (rewrite(good, state(vcpus=[])), "has 0 vCPUs"),
        (rewrite(good, state(lifecycle="flying")), "flying"),
        (rewrite(good, state(console=3)), "console"),
    ]:
        before = lab.state_hash()
        with pytest.raises(ArchiveError, match=match):
            import_vm(lab, data, "copy")
        assert lab.state_hash() == before


def test_registers_that_are_the_hypervisors_are_not_taken_from_an_archive(lab: Lab) -> None:
    def change(members: dict[str, bytes]) -> None:
        state = json.loads(members["state.json"])
        state["vcpus"][0]["registers"] |= {
            "hedeleg": (1 << 64) - 1,
            "hideleg": (1 << 64) - 1,
            "hcounteren": 0,
        }
        members["state.json"] = json.dumps(state).encode()

    vm = import_vm(lab, rewrite(lab.export_vm("b"), change), "copy")
    mine, theirs = lab.vm("b").vcpus[0].context, vm.vcpus[0].context
    assert (theirs.hedeleg, theirs.hideleg) == (mine.hedeleg, mine.hideleg)
    assert theirs.hgatp == vm.hgatp


def test_faults_while_writing_a_file_lose_nothing(tmp_path: Path) -> None:
    path, old, new = tmp_path / "vm.zip", b"old" * 1000, b"new" * 700_000
    save(path, old)
    for failing in range(3):
        calls = 0

        def full(descriptor: int, data: bytes, failing: int = failing) -> int:
            nonlocal calls
            calls += 1
            if calls > failing:
                raise OSError(28, "No space left on device")
            return len(data)

        with pytest.raises(OSError, match="No space"):
            save(path, new, full)
        assert path.read_bytes() == old
        assert [one.name for one in tmp_path.iterdir()] == ["vm.zip"]

    def short(descriptor: int, data: bytes) -> int:
        return os.write(descriptor, data[:100_001])

    save(path, new, short)
    assert path.read_bytes() == new


@pytest.mark.parametrize("value", [(1 << 64) - 1, 1 << 63, 0x5555_5555_5555_5555, 0xF << 60, 7])
def test_whatever_stands_in_a_register_the_machine_goes_on(lab: Lab, value: int) -> None:
    """Modes of translation that do not exist, odd addresses, bits of CSRs that are reserved."""
    archive = lab.export_vm("a")

    def change(members: dict[str, bytes], name: str) -> None:
        state = json.loads(members["state.json"])
        registers = state["vcpus"][0]["registers"]
        held = registers[name]
        registers[name] = [value] * len(held) if isinstance(held, list) else value
        members["state.json"] = json.dumps(state).encode()

    for name in REGISTERS:
        before = lab.state_hash()
        try:
            import_vm(lab, rewrite(archive, lambda members, name=name: change(members, name)), "copy")
        except ArchiveError:
            assert lab.state_hash() == before
            continue
        lab.advance(lab.position + 20_000)
        lab.registers("copy", 0)
        lab.walk("copy", 0, 0x8000_0000)
        if lab.vm("copy").state.value != "shut off":
            lab.apply({"verb": "destroy", "vm": "copy"})
        lab.apply({"verb": "undefine", "vm": "copy"})


POOL: dict[str, Any] = {
    "name": "fast",
    "capacity": "1 MiB",
    "volumes": [{"name": "golden", "capacity": "64 KiB"}],
}


def with_volume(engine: Any, *overlays: str) -> Lab:
    """Return a lab with a pool, and a guest that writes to each of these volumes over a golden one."""
    volumes: Any = [*POOL["volumes"], *({"name": one, "backing": "golden"} for one in overlays)]
    vms = [
        {"name": f"vm-{one}", "program": "w", "memory": "64 KiB", "disk": {"volume": one}} for one in overlays
    ]
    config = LabConfig.from_dict(
        {"host": {"memory": "2 MiB"}, "pools": [POOL | {"volumes": volumes}], "vms": vms}
    )
    return Lab(config, {"w": Program("w", source=writer(15))}, 7, engine)


def test_a_disk_on_a_volume_moves_with_its_vm_in_the_middle_of_its_work(engine: Any) -> None:
    lab, other = with_volume(engine, "one"), with_volume(engine)
    lab.apply({"verb": "start", "vm": "vm-one"})
    assert lab.run_until({"kind": "console", "vm": "vm-one", "text": "...."}, 100_000_000)
    data = lab.export_vm("vm-one")
    other.apply({"verb": "import_vm", "archive": b64encode(data).decode()})
    assert other.hypervisor.storage.volume("one").backing == ""
    for one in (lab, other):
        assert one.run_until(
            {"kind": "console", "vm": "vm-one", "text": "." * 11}, one.position + 100_000_000
        )
        one.advance(one.position + 1_000_000)
    assert other.console("vm-one") == lab.console("vm-one") == "." * 15
    assert other.volume_image("one", "raw") == lab.volume_image("one", "raw")
    again = Lab.replay(
        other.config_at_start, other.programs, other.seed, other.log, other.position, other.engine
    )
    assert again.state_hash() == other.state_hash()


def test_an_imported_volume_takes_no_name_of_another_and_needs_room(engine: Any) -> None:
    lab = with_volume(engine, "one")
    lab.apply({"verb": "start", "vm": "vm-one"})
    lab.advance(2_000_000)
    archive = b64encode(lab.export_vm("vm-one")).decode()
    lab.apply({"verb": "import_vm", "archive": archive, "name": "twin"})
    assert lab.vm_configs["twin"].disk is not None
    assert lab.vm_configs["twin"].disk.volume == "twin-disk"
    assert lab.volume_image("twin-disk", "raw") == lab.volume_image("one", "raw")
    before = lab.state_hash()
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": lab.hypervisor.storage.allocation("fast")})
    changed = lab.state_hash()
    with pytest.raises(LabError, match=r"its disk finds no place: .*pool fast"):
        lab.apply({"verb": "import_vm", "archive": archive, "name": "third"})
    assert lab.state_hash() == changed != before
    bare = Lab(LabConfig.from_dict({}), {}, 1, engine)
    with pytest.raises(LabError, match="this host has no pool; create one first"):
        bare.apply({"verb": "import_vm", "archive": archive})


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        (b"x", "clusters.bin is cut off"),
        ((1 << 20).to_bytes(4, "little") + bytes(4096), r"cluster 1048576 after -1"),
        (2 * (bytes(4) + bytes(4096)), "cluster 0 after 0"),
    ],
)
def test_a_volume_of_a_hostile_archive_is_refused(engine: Any, clusters: bytes, message: str) -> None:
    lab = with_volume(engine, "one")
    data = rewrite(lab.export_vm("vm-one"), lambda members: members.update({"clusters.bin": clusters}))
    before = lab.state_hash()
    with pytest.raises(ArchiveError, match=message):
        import_vm(lab, data, "copy")
    assert lab.state_hash() == before
