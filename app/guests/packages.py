"""Debian's packages by name, of this or another architecture, without touching the system's own.

Uses apt-get and dpkg-deb. Mirrors come from the machine's own apt sources, signatures are checked by apt.
A foreign package is looked up in a package index of its own, below `workspace`.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.guests.errors import GuestError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SHOWN_LINES = 8


def require_tools(tools: Mapping[str, str]) -> None:
    """Raise GuestError unless every command is there; `tools` maps it to its Debian package."""
    missing = [command for command in tools if shutil.which(command) is None]
    if missing:
        packages = " ".join(dict.fromkeys(tools[command] for command in missing))
        raise GuestError(f"not installed: {', '.join(missing)}; run `apt-get install {packages}`")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command in a folder; return what it printed. Raises GuestError with its last lines."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        shown = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        raise GuestError(f"`{' '.join(map(str, command[:4]))} ...` failed:\n{shown}")
    return done.stdout


def download(package: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """Fetch a package's newest .deb into a folder that holds no other version of it; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        run(["apt-get", *options, "download", package], folder)
        found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise GuestError(f"apt-get did not download {package}; run `apt-get update` and try again")
    return found[-1]


def unpack(package: Path, folder: Path) -> None:
    """Unpack the files of a .deb below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "--extract", package, folder], folder)


def foreign_options(architecture: str, suite: str, workspace: Path) -> list[str]:
    """Return apt options for another architecture, with its package index fetched below `workspace`."""
    for part in ("state/lists/partial", "cache/archives/partial", "etc"):
        (workspace / part).mkdir(parents=True, exist_ok=True)
    (workspace / "status").touch()
    sources = workspace / "etc/sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror(workspace)} {suite} main\n", encoding="utf-8")
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": workspace / "state",
        "Dir::State::status": workspace / "status",
        "Dir::Cache": workspace / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
    }
    options = [text for key, value in settings.items() for text in ("-o", f"{key}={value}")]
    run(["apt-get", *options, "update"], workspace)
    return options


def _mirror(folder: Path) -> str:
    """Return the address of the Debian mirror that this machine uses."""
    form = ["--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    for line in run(["apt-get", "indextargets", *form], folder).splitlines():
        origin, label, address = line.split("|", 2)
        if origin == label == "Debian":
            return address
    raise GuestError("apt knows no Debian mirror; name one in /etc/apt/sources.list and run `apt-get update`")
