"""Volumes as image files: a volume goes out as qcow2 or raw, and a qcow2 or raw image comes in as one.

An image that comes in is hostile: its size is bounded by what a volume may have and its contents by what is
free in the pool, before any of it is kept.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.storage import CLUSTER_BYTES, PoolFullError, StorageError
from emulator.hypervisor.storage import chain as chains
from emulator.hypervisor.storage.qcow2 import MAGIC, Image, Qcow2Error, write_image
from emulator.hypervisor.storage.state import VolumeFormat
from emulator.lab.errors import LabError
from emulator.lab.storage_config import MAX_DISK_BYTES, MAX_VOLUMES, resource_name

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

CLUSTER_BITS = CLUSTER_BYTES.bit_length() - 1


def volume_image(lab: Lab, name: str, form: VolumeFormat = "qcow2", flat: bool = True) -> bytes:
    """Return a volume as an image; one that is not `flat` names its backing volume as `NAME.qcow2`.

    Raises LabError.
    """
    storage = lab.hypervisor.storage
    try:
        layers = storage.chain(name)
    except StorageError as error:
        raise LabError(str(error), "volume") from error
    if form == "raw":
        return storage.read(name, 0, layers[0].capacity)
    shown = layers if flat else layers[:1]
    numbers = sorted({number for layer in shown for number in layer.clusters})
    contents = ((number, chains.cluster(layers, number)) for number in numbers)
    backing = "" if flat else layers[0].backing
    out = io.BytesIO()
    write_image(
        out,
        layers[0].capacity,
        contents,
        CLUSTER_BITS,
        backing and f"{backing}.qcow2",
        "qcow2" if backing else "",
    )
    return out.getvalue()


def import_volume(lab: Lab, name: str, pool: str, data: bytes) -> dict[str, Any]:
    """Make a volume of an image. Raises LabError or StorageError; then nothing has changed."""
    storage = lab.hypervisor.storage
    resource_name(name, "volume")
    if len(storage.state.volumes) >= MAX_VOLUMES:
        raise LabError(f"a lab holds at most {MAX_VOLUMES} volumes; delete one first", "volume")
    room = storage.free(pool)
    form: VolumeFormat = "qcow2" if data.startswith(MAGIC) else "raw"
    try:
        size, clusters = _read_qcow2(data, room) if form == "qcow2" else _read_raw(data, room)
    except Qcow2Error as error:
        raise LabError(f"the image cannot be imported: {error}", "data") from error
    volume = storage.create(name, pool, size, form)
    volume.clusters.update(clusters)
    return {"volume": name, "capacity": size, "format": form, "allocation": volume.allocation}


def _read_raw(data: bytes, room: int) -> tuple[int, dict[int, bytes]]:
    size = -(-len(data) // 512) * 512
    clusters: dict[int, bytes] = {}
    for number in range(-(-size // CLUSTER_BYTES)):
        part = data[number * CLUSTER_BYTES : (number + 1) * CLUSTER_BYTES]
        _keep(clusters, number, part, room)
    return size, clusters


def _read_qcow2(data: bytes, room: int) -> tuple[int, dict[int, bytes]]:
    image = Image(io.BytesIO(data))
    header = image.header
    if header.backing:
        raise Qcow2Error(f"it has the backing file {header.backing!r}; convert it into one image first")
    if not 0 < header.size <= MAX_DISK_BYTES or header.size % 512:
        raise Qcow2Error(f"it has {header.size} bytes; a volume has 512 bytes to {MAX_DISK_BYTES}")
    clusters: dict[int, bytes] = {}
    pieces: dict[int, bytearray] = {}
    for cluster in image.mapped():
        content = image.cluster(cluster) or b""
        start = cluster * header.cluster_bytes
        for at in range(0, min(len(content), header.size - start), min(header.cluster_bytes, CLUSTER_BYTES)):
            number, skip = divmod(start + at, CLUSTER_BYTES)
            part = content[at : at + CLUSTER_BYTES - skip]
            if header.cluster_bytes >= CLUSTER_BYTES:
                _keep(clusters, number, part, room)
            elif part.strip(b"\0"):
                piece = pieces.setdefault(number, bytearray(CLUSTER_BYTES))
                piece[skip : skip + len(part)] = part
    for number, piece in pieces.items():
        _keep(clusters, number, bytes(piece), room)
    return header.size, clusters


def _keep(clusters: dict[int, bytes], number: int, part: bytes, room: int) -> None:
    """Keep a cluster that is not all zero. Raises PoolFullError."""
    if part.count(0) == len(part):
        return
    if (len(clusters) + 1) * CLUSTER_BYTES > room:
        raise PoolFullError(f"the image needs more than the {room} bytes that are free; extend the pool")
    clusters[number] = part.ljust(CLUSTER_BYTES, b"\0")
