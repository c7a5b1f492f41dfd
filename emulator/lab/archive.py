"""One VM as one file: a zip archive of its configuration, program, state, RAM and disk, with checksums.

`manifest.json` names format and version and gives size and SHA-256 of every other member:

- `config.json`: the VM as it would stand in a lesson; `program`: the text or the image that it runs
- `state.json`: plain data (`emulator.hypervisor.plain`), bytes as {"base64": "..."}
- `ram.bin`: for each page that is not zero its number (u32, little-endian) and 4096 bytes
- `clusters.bin`: the same of the volume that is its disk, if it is one (`archive_volume.py`)

The same VM gives the same bytes. What is read may come from anybody: names, sizes, checksums, types, lengths
and ranges are checked before anything changes (`archive_checks.py`), and ArchiveError says what is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from emulator.hypervisor import image
from emulator.hypervisor.image import VmImage
from emulator.hypervisor.plain import Plain, PlainError
from emulator.hypervisor.storage.state import CLUSTER_BYTES
from emulator.hypervisor.vm import HOLDS_MEMORY, Vm, VmState
from emulator.lab import archive_volume, cloning, defining
from emulator.lab.archive_checks import ArchiveError, check_state
from emulator.lab.checkpoint import all_or_nothing
from emulator.lab.config import VmConfig, vm_name
from emulator.lab.errors import LabError
from emulator.lab.programs import MAX_SOURCE_CHARACTERS, Program
from emulator.lab.values import ConfigError
from emulator.machine.pages import Pages
from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

FORMAT, VERSION = "vmlab-vm", 1
MAX_ARCHIVE_BYTES = 256 << 20
BESIDE_MEMORY = 64 << 20  # of what is unpacked: the program, the state
LIMITS = {
    "config.json": 64 << 10,
    "program": 64 << 20,
    "state.json": 32 << 20,
    "ram.bin": (PAGE_BYTES + 4) << 18,
    "clusters.bin": (CLUSTER_BYTES + 4) << 18,
}
EXPECTED = ("manifest.json", *LIMITS)
# What reading data of the wrong shape can raise.
MISSHAPEN = (PlainError, RecursionError, KeyError, TypeError, ValueError, IndexError, AttributeError)
EPOCH = (1980, 1, 1, 0, 0, 0)
NUMBER = struct.Struct("<I")


# Export


def export_vm(lab: Lab, vm: Vm) -> bytes:
    """Return a VM, on or off, as an archive. Raises ImageError."""
    lab.make_room()
    taken = image.take(lab.hypervisor, vm)
    program = lab.program(vm.name)
    pages = taken.pages
    ram = enumerate(pages.page(number) for number in range(len(pages))) if pages else ()
    config = replace(lab.vm_configs[vm.name], uuid=lab.uuid(vm.name))
    members = {
        "config.json": _json(config.to_dict()),
        "program": program.elf if program.elf is not None else (program.source or "").encode(),
        "state.json": _json(_with_text(taken.state)),
        "ram.bin": _pages(ram),
        "clusters.bin": _pages(archive_volume.clusters(vm)),
    }
    listed = {name: _entry(data) for name, data in members.items()}
    kind = "source" if program.elf is None else "image"
    manifest = {"format": FORMAT, "version": VERSION, "program": kind, "members": listed}
    manifest |= archive_volume.described(vm)
    return _zip({"manifest.json": _json(manifest), **members})


def _entry(data: bytes) -> dict[str, object]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _pages(pages: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(NUMBER.pack(number) + data for number, data in pages if any(data))


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _with_text(plain: Plain) -> Plain:
    """Return plain data with bytes as texts."""
    if isinstance(plain, bytes):
        return {"base64": base64.b64encode(plain).decode()}
    if isinstance(plain, list):
        return [_with_text(one) for one in cast("list[Any]", plain)]
    if isinstance(plain, dict):
        return {key: _with_text(one) for key, one in cast("dict[str, Any]", plain).items()}
    return plain


# Import


def import_vm(lab: Lab, data: bytes, name: object = None) -> Vm:
    """Add the VM of an archive, under a new name if one is given. It keeps its UUID if no VM here has it.

    Raises LabError, then nothing has changed.
    """
    members, manifest = _members(data, _room(lab))
    config = _config(members["config.json"], name)
    if config.uuid in map(lab.uuid, lab.hypervisor.vms):
        config = replace(config, uuid="")
    program = _program(config, members["program"], manifest["program"])
    state = _state(members["state.json"], _sized(config, manifest))
    off = VmState(state["lifecycle"]) not in HOLDS_MEMORY
    lab.make_room()
    pages = None if off else _read_ram(lab, members["ram.bin"], config.memory)
    known = config.program in lab.programs
    try:
        with all_or_nothing(lab):
            config = archive_volume.place(lab, config, manifest, members["clusters.bin"])
            if not known:
                lab.programs[config.program] = program
            taken = VmImage(defining.settings_of(lab, config, program), state, pages, None)
            vm = cloning.realize(lab, config, taken, generation=_generation(data))
            if known:
                lab.edited[vm.name] = program
    except MISSHAPEN as error:
        raise ArchiveError(f"state.json: {error}") from error
    return vm


def _generation(data: bytes) -> int:
    """Return where generations of an imported VM begin: elsewhere than those of any other."""
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "little")


def _room(lab: Lab) -> int:
    """Return how many bytes an archive may unpack to: what host and pools could hold, and the rest."""
    pools = lab.hypervisor.storage.state.pools.values()
    return 2 * lab.host_config.memory + sum(pool.capacity for pool in pools) + BESIDE_MEMORY


def _sized(config: VmConfig, manifest: dict[str, Any]) -> VmConfig:
    try:
        return archive_volume.sized(config, manifest)
    except ConfigError as error:
        raise ArchiveError(str(error)) from error


def _members(data: bytes, room: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the checked members, and the manifest. Raises ArchiveError."""
    if len(data) > MAX_ARCHIVE_BYTES:
        raise ArchiveError(f"has {len(data)} bytes; at most {MAX_ARCHIVE_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [one.filename for one in archive.infolist()]
            if sorted(names) != sorted(EXPECTED):
                raise ArchiveError(
                    f"has the members {', '.join(names)[:200]}; expected {', '.join(EXPECTED)}"
                )
            # A member ends at the size that its entry declares, so that this holds of what is unpacked, too.
            unpacked = sum(one.file_size for one in archive.infolist())
            if unpacked > room:
                raise ArchiveError(
                    f"unpacks to {unpacked >> 20} MiB; this host takes at most {room >> 20} MiB"
                )
            manifest = _manifest(_member(archive, "manifest.json", 64 << 10))
            return {name: _checked(archive, name, manifest) for name in LIMITS}, manifest
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        struct.error,
    ) as error:
        raise ArchiveError(f"is no sound zip file: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ArchiveError(f"{name} has more than {limit} bytes")
    return data


def _manifest(data: bytes) -> dict[str, Any]:
    manifest = _parsed(data, "manifest.json")
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise ArchiveError(f"manifest.json: is not {FORMAT} of version {VERSION}")
    members = manifest.get("members")
    if not isinstance(members, dict) or manifest.get("program") not in ("source", "image"):
        raise ArchiveError("manifest.json: has no members, or an unknown kind of program")
    return manifest


def _checked(archive: zipfile.ZipFile, name: str, manifest: dict[str, Any]) -> bytes:
    data = _member(archive, name, LIMITS[name])
    if manifest["members"].get(name) != _entry(data):
        raise ArchiveError(f"{name} is not what manifest.json says: it was damaged or changed")
    return data


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{name}: is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ArchiveError(f"{name}: is no JSON object")
    return cast("dict[str, Any]", value)


def _config(data: bytes, name: object) -> VmConfig:
    try:
        config = VmConfig.from_dict(_parsed(data, "config.json"), "config.json")
        return config if name is None else replace(config, name=vm_name(name, "name"))
    except ConfigError as error:
        raise ArchiveError(str(error)) from error


def _program(config: VmConfig, data: bytes, kind: str) -> Program:
    if kind == "image":
        program = Program(config.program, elf=data)
    elif len(data) > 4 * MAX_SOURCE_CHARACTERS:
        raise ArchiveError(
            f"program has {len(data)} bytes; a text may have {MAX_SOURCE_CHARACTERS} characters"
        )
    else:
        program = Program(config.program, source=data.decode(errors="replace"))
    try:
        _ = program.executable
    except LabError as error:
        raise ArchiveError(f"program: {error}") from error
    return program


def _state(data: bytes, config: VmConfig) -> Plain:
    try:
        state = _with_bytes(_parsed(data, "state.json"))
        check_state(state, config)
    except MISSHAPEN as error:
        raise ArchiveError(f"state.json: {error}") from error
    return state


def _with_bytes(plain: Plain) -> Plain:
    if isinstance(plain, list):
        return [_with_bytes(one) for one in cast("list[Any]", plain)]
    if isinstance(plain, dict):
        table = cast("dict[str, Any]", plain)
        if set(table) == {"base64"}:
            return base64.b64decode(str(table["base64"]), validate=True)
        return {key: _with_bytes(one) for key, one in table.items()}
    return plain


def _read_ram(lab: Lab, data: bytes, memory: int) -> Pages:
    host, count = lab.hypervisor.host, memory // PAGE_BYTES
    if len(data) % (PAGE_BYTES + 4):
        raise ArchiveError("ram.bin is cut off")
    if host.record.free_count < host.frames + len(data) // (PAGE_BYTES + 4):
        raise ArchiveError("the host has no room for its memory; delete a snapshot")
    slots, last = array("I", bytes(4 * count)), -1
    pages = Pages(host, slots)
    for start in range(0, len(data), PAGE_BYTES + 4):
        (number,) = NUMBER.unpack_from(data, start)
        if not last < number < count:
            raise ArchiveError(f"ram.bin has page {number} after {last}; pages ascend and there are {count}")
        slots[number] = host.keep(data[start + 4 : start + 4 + PAGE_BYTES])
        last = number
    return pages


# Files


def save(path: Path, data: bytes, write: Callable[[int, bytes], int] = os.write) -> None:
    """Put an archive into a file: whole and durable when this returns, else the file is as it was.

    Raises OSError. `write` is `os.write`, whose short writes are gone on with.
    """
    temporary = path.with_name(path.name + ".part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[write(descriptor, bytes(rest[: 1 << 20])) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
