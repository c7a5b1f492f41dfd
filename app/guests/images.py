"""Where built guests lie: one file for each name, in the cache directory."""

from pathlib import Path

from app.guests.errors import GuestError
from emulator.build.cache import cache_directory

FILES = {"linux": "linux.itb", "primer": "primer.elf"}


def names() -> tuple[str, ...]:
    """Return the names that a lesson may give as a program without bringing the file."""
    return tuple(FILES)


def image_path(name: str) -> Path:
    """Return where the image of a name lies, built or not."""
    return cache_directory() / "guests" / FILES[name]


def read_image(name: str) -> bytes:
    """Return a built guest; raise GuestError with the command that builds it."""
    path = image_path(name)
    if not path.is_file():
        raise GuestError(f"the guest '{name}' is not built on this machine; run `vmlab guests build {name}`")
    return path.read_bytes()
