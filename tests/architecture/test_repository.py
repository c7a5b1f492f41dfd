"""Rules for the files of the repository itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

GENERATED = {".git", ".venv", "__pycache__", "node_modules", "dist", "var", "screenshots", "htmlcov", "build"}
CACHES = re.compile(r"^\.[a-z_]+_cache$|^\.hypothesis$|\.egg-info$|^dist\.")
# Split so that this file does not contain what it forbids.
HOSTS = re.compile(
    "|".join(["py" + r"pi\.org", "python" + r"hosted", r"npm" + r"js\.(?:org|com)", r"debian\.org/debian"])
)
THIRD_PARTY = re.compile(r"\.min\.(?:js|css)$|\.(?:woff2?|ttf|otf|wasm|whl|so|o|elf)$|(?:^|/)vendor/")
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
KIB = 1024


def files(root: Path) -> Iterator[Path]:
    """Yield every file a clone would have, by leaving out what .gitignore leaves out."""
    for path in root.iterdir():
        if (path.name in GENERATED and path != root / "emulator" / "build") or CACHES.search(path.name):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.name not in {".git", ".coverage"}:
            yield path


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def test_no_file_names_a_package_registry(project: Path) -> None:
    naming = [str(path.relative_to(project)) for path in files(project) if HOSTS.search(text_of(path))]
    assert naming == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_a_hash_for_everything_and_no_address(name: str, project: Path) -> None:
    lock = (project / name).read_text(encoding="utf-8")
    requirements = re.findall(r"^(\S+)==\S+[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(requirements) == len(re.findall(r"^[a-z]", lock, re.MULTILINE)) > 0
    assert "://" not in lock


def test_package_lock_has_hashes_and_no_download_addresses(project: Path) -> None:
    lock = json.loads((project / "static/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry or "integrity" not in entry] == []


def test_no_third_party_asset_or_binary_is_committed(project: Path) -> None:
    names = [path.relative_to(project).as_posix() for path in files(project)]
    assert [name for name in names if THIRD_PARTY.search(name)] == []


def test_no_file_is_larger_than_300_kib(project: Path) -> None:
    assert [str(path) for path in files(project) if path.stat().st_size > 300 * KIB] == []


def test_every_package_has_a_readme(project: Path) -> None:
    packages = [path.parent for root in ("app", "emulator") for path in (project / root).rglob("__init__.py")]
    assert [str(path.relative_to(project)) for path in packages if not (path / "README.md").is_file()] == []
