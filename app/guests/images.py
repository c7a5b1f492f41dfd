"""Where built guests lie: one file for each name, in the cache directory."""

from pathlib import Path

from app.guests.errors import GuestError
from emulator.build.cache import cache_directory
from emulator.machine.elf import ElfError
from emulator.machine.linux import FIT_MAGIC, kept_symbols, with_symbols

FILES = {"linux": "linux.itb", "primer": "primer.elf"}


def names() -> tuple[str, ...]:
    """Return the names that a lesson may give as a program without bringing the file."""
    return tuple(FILES)


def image_path(name: str) -> Path:
    """Return where the image of a name lies, built or not."""
    return cache_directory() / "guests" / FILES[name]


def what_runs(image: bytes) -> bytes:
    """Return an image without its symbols, which change nothing about a run."""
    if not image.startswith(FIT_MAGIC):
        return image
    try:
        return with_symbols(image, "the guest", b"") if kept_symbols(image, "the guest") else image
    except ElfError:  # whoever loads it says what is wrong
        return image


def read_image(name: str) -> bytes:
    """Return a built guest; raise GuestError with the command that builds it."""
    path = image_path(name)
    if not path.is_file():
        raise GuestError(f"the guest '{name}' is not built on this machine; run `vmlab guests build {name}`")
    return path.read_bytes()
