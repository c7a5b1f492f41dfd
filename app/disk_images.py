"""Disk images in files, raw or qcow2, with their chains of backing files.

A backing file's name comes from the image, which may come from anybody. It is followed only to a plain file
in the image's own folder or below, unless the caller trusts the image: otherwise converting a stranger's
image would copy any file of this machine into the result.
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from emulator.errors import VmLabError
from emulator.hypervisor.storage.qcow2 import MAGIC, Image, Qcow2Error, write_image

ImageFormat = Literal["raw", "qcow2"]
FORMATS: tuple[ImageFormat, ...] = ("raw", "qcow2")
CHUNK_BYTES = 64 << 10
MAX_CHAIN = 16


class Layer(Protocol):
    """One image of a chain."""

    path: Path
    size: int
    format: ImageFormat
    backing: str

    def read(self, offset: int, length: int) -> bytes | None:
        """Return bytes within one chunk, None if they are the backing file's. Raises Qcow2Error."""
        ...


class RawLayer:
    """A raw image: the file is the disk, a rest of less than a sector is filled with zeros."""

    format: ImageFormat = "raw"
    backing = ""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """The file is open as long as the layer is used."""
        self.path = path
        self._file = file
        self.size = -(-file.seek(0, os.SEEK_END) // 512) * 512

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes."""
        self._file.seek(offset)
        return self._file.read(length).ljust(length, b"\0")


class Qcow2Layer:
    """A qcow2 image."""

    format: ImageFormat = "qcow2"

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """The file is open as long as the layer is used. Raises Qcow2Error."""
        self.path = path
        self.image = Image(file)
        self.size = self.image.header.size
        self.backing = self.image.header.backing
        self._last: tuple[int, bytes | None] = (-1, None)

    def read(self, offset: int, length: int) -> bytes | None:
        """Return bytes that lie in one cluster, None if they are the backing file's. Raises Qcow2Error."""
        number, start = divmod(offset, self.image.header.cluster_bytes)
        if self._last[0] != number:
            self._last = number, self.image.cluster(number)
        data = self._last[1]
        return None if data is None else data[start : start + length]


class Chain:
    """An image and what it is backed by, top first."""

    def __init__(self, layers: list[Layer]) -> None:
        """At least one layer."""
        self.layers = layers
        self.size = layers[0].size

    @property
    def step(self) -> int:
        """Bytes that lie in one cluster of every layer."""
        sizes = [one.image.header.cluster_bytes for one in self.layers if isinstance(one, Qcow2Layer)]
        return min([*sizes, CHUNK_BYTES])

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes as seen from the top; they lie in one step. Raises Qcow2Error."""
        room = length
        for layer in self.layers:
            room = min(room, layer.size - offset)
            if room <= 0:
                break
            data = layer.read(offset, room)
            if data is not None:
                return data.ljust(length, b"\0")
        return bytes(length)

    def clusters(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield (number, content) of the clusters of `size` bytes that are not all zero."""
        zero, step = bytes(size), min(self.step, size)
        for number in self._touched(size):
            start, end = number * size, min((number + 1) * size, self.size)
            parts = (self.read(at, min(step, end - at)) for at in range(start, end, step))
            data = b"".join(parts)
            if data != zero[: len(data)]:
                yield number, data

    def _touched(self, size: int) -> Iterator[int]:
        """Yield the clusters of `size` bytes, in order, of which any layer says something."""
        last = -1
        for number in heapq.merge(*(_touched_by(layer, size) for layer in self.layers)):
            if number != last and number * size < self.size:
                last = number
                yield number


def _touched_by(layer: Layer, size: int) -> Iterator[int]:
    if not isinstance(layer, Qcow2Layer):
        yield from range(-(-layer.size // size))
        return
    bytes_each = layer.image.header.cluster_bytes
    for cluster in layer.image.mapped():
        yield from range(cluster * bytes_each // size, -(-(cluster + 1) * bytes_each // size))


def probe(path: Path) -> ImageFormat:
    """Return the format that a file's first bytes say."""
    with _open(path) as file:
        return "qcow2" if file.read(len(MAGIC)) == MAGIC else "raw"


@contextmanager
def open_chain(
    path: Path, form: ImageFormat | None = None, backing: bool = True, trusted: bool = False
) -> Generator[Chain]:
    """Open an image with its backing files. Raises VmLabError, which names the file."""
    with ExitStack() as stack:
        layers: list[Layer] = []
        seen: set[Path] = set()
        wanted: tuple[Path, ImageFormat | None] | None = (path, form)
        while wanted:
            here, kind = wanted
            if here.resolve() in seen:
                raise Qcow2Error(f"{path}: the chain of backing files comes back to {here}")
            if len(layers) >= MAX_CHAIN:
                raise Qcow2Error(f"{path}: the chain has more than {MAX_CHAIN} images")
            seen.add(here.resolve())
            layer = _layer(here, stack.enter_context(_open(here)), kind or probe(here))
            layers.append(layer)
            wanted = _below(layer, trusted) if backing and layer.backing else None
        yield Chain(layers)


def _layer(path: Path, file: BinaryIO, form: ImageFormat) -> Layer:
    try:
        return Qcow2Layer(path, file) if form == "qcow2" else RawLayer(path, file)
    except Qcow2Error as error:
        raise Qcow2Error(f"{path}: {error}") from error


def _below(layer: Layer, trusted: bool) -> tuple[Path, ImageFormat | None]:
    """Return the backing file of a layer and its format, if the image says one."""
    assert isinstance(layer, Qcow2Layer)
    name, folder = layer.backing, layer.path.parent.resolve()
    found = (folder / name).resolve()
    if not trusted and not found.is_relative_to(folder):
        raise VmLabError(
            f"{layer.path}: its backing file {name!r} is outside its folder; if you trust the image,"
            " say --trust-backing"
        )
    said = layer.image.header.backing_format
    return found, next((form for form in FORMATS if form == said), None)


@contextmanager
def _open(path: Path) -> Generator[BinaryIO]:
    try:
        if not path.is_file():
            raise VmLabError(f"{path}: there is no such file")
        file = path.open("rb")
    except OSError as error:
        raise VmLabError(f"{path}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def written_whole(path: Path) -> Generator[BinaryIO]:
    """Give a file that takes the place of `path` once everything is written. Raises VmLabError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise VmLabError(f"{path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise VmLabError(f"{path}: {error.strerror}") from error
    finally:
        Path(name).unlink(missing_ok=True)


def convert(
    chain: Chain, target: Path, form: ImageFormat, cluster_bits: int = 16, compress: bool = False
) -> None:
    """Write what a chain reads as into a new image without a backing file. Raises VmLabError."""
    with written_whole(target) as out:
        if form == "qcow2":
            write_image(out, chain.size, chain.clusters(1 << cluster_bits), cluster_bits, compress=compress)
            return
        out.truncate(chain.size)
        for number, data in chain.clusters(CHUNK_BYTES):
            out.seek(number * CHUNK_BYTES)
            out.write(data)
