"""The recipe for a Linux guest: Debian's kernel source and busybox, and three small files of ours.

A kernel is configured by Linux's own tools from `tinyconfig` and our fragment, compiled by a cross compiler,
and bundled with an initramfs into one FIT image. Everything is made below the cache directory; a build that
was interrupted goes on where it stopped.
"""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

from app.guests import cpio, packages
from app.guests.errors import GuestError
from app.guests.system_map import table as system_map_table
from emulator.build.cache import write_whole
from emulator.machine.linux import bundle, kept_symbols, unbundle, with_symbols

Progress = Callable[[str, float], None]

SOURCE_PACKAGE = "linux-source-6.1"
USERLAND_PACKAGE = "busybox-static"
USERLAND_SUITES = ("trixie", "forky", "sid")  # the next is asked when a mirror cannot serve one
CROSS_COMPILE = "riscv64-linux-gnu-"
FRAGMENT = "linux.config"
IMAGE = "arch/riscv/boot/Image"
OUTPUT_LINES = 1040  # of a build, about; only the progress bar depends on it
NICE = 10
TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "tar": "tar",
    "xz": "xz-utils",
    "make": "make",
    "gcc": "gcc",
    f"{CROSS_COMPILE}gcc": "gcc-riscv64-linux-gnu",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
}
# What would otherwise be taken from the machine and the moment.
PINNED = {
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
    "KBUILD_BUILD_USER": "vmlab",
    "KBUILD_BUILD_HOST": "vmlab",
    "KBUILD_BUILD_VERSION": "1",
    "LC_ALL": "C",
}


def build(workspace: Path, target: Path, jobs: int, progress: Progress) -> bool:
    """Make `target` unless it is there, made from the same files; return whether it was made.

    An image that was made without symbols gets them if its build is still in `workspace`. Raises GuestError.
    """
    stamp = target.with_suffix(".made-from")
    wanted = fingerprint()
    if target.is_file() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        _add_symbols(target, workspace / "build")
        return False
    packages.require_tools(TOOLS)
    workspace.mkdir(parents=True, exist_ok=True)
    progress("fetching busybox", 0.0)
    busybox = _busybox(workspace)
    progress(f"fetching {SOURCE_PACKAGE} (about 140 MB)", 0.02)
    source = _kernel_source(workspace, progress)
    kernel = _kernel(source, workspace / "build", jobs, progress)
    description = f"Linux {SOURCE_PACKAGE.rpartition('-')[2]}, busybox"
    write_whole(
        target, bundle(kernel, initramfs(busybox), description, _symbols(workspace / "build", kernel))
    )
    stamp.write_text(wanted, encoding="ascii")
    progress(f"made {target.name}", 1.0)
    return True


def has_symbols(target: Path) -> bool:
    """Return whether an image holds its kernel's symbols."""
    return bool(kept_symbols(target.read_bytes(), target.name))


def _add_symbols(target: Path, output: Path) -> None:
    data = target.read_bytes()
    if not kept_symbols(data, target.name):
        symbols = _symbols(output, unbundle(data, target.name)[0])
        if symbols:
            write_whole(target, with_symbols(data, target.name, symbols))


def _symbols(output: Path, kernel: bytes) -> bytes:
    """Return the symbols that a build left, empty unless it was the build of this kernel."""
    image, system_map = output / IMAGE, output / "System.map"
    if not (image.is_file() and system_map.is_file()) or image.read_bytes() != kernel:
        return b""
    return system_map_table(system_map.read_text(encoding="ascii", errors="replace"))


def initramfs(busybox: bytes) -> bytes:
    """Return the guest's first file system: a shell, an init, and the console's device."""
    return cpio.archive(
        [
            *map(cpio.directory, ("bin", "dev", "mnt", "proc", "root", "sys", "tmp")),
            cpio.device("dev/console", 5, 1),
            cpio.program("bin/busybox", busybox),
            *(cpio.link(f"bin/{name}", "busybox") for name in _applets()),
            cpio.program("init", read_own("init")),
        ]
    )


def _applets() -> list[str]:
    """Return what people type. A link costs a boot some instructions; `busybox NAME` has all the others."""
    return read_own("applets").decode().split()


def read_own(name: str) -> bytes:
    """Return a file of ours: of `linux/`, beside this module."""
    return (files("app.guests") / "linux" / name).read_bytes()


def fingerprint() -> str:
    """Return what an image is made from, in short."""
    made_from = hashlib.sha256(" ".join([SOURCE_PACKAGE, *PINNED.values()]).encode())
    for name in (FRAGMENT, "init", "applets"):
        made_from.update(read_own(name))
    return made_from.hexdigest()


def _busybox(workspace: Path) -> bytes:
    folder = workspace / "busybox"
    if not (folder / "usr/bin/busybox").is_file():
        packages.unpack(_busybox_package(workspace), folder)
    return (folder / "usr/bin/busybox").read_bytes()


def _busybox_package(workspace: Path) -> Path:
    refusals: list[str] = []
    for suite in USERLAND_SUITES:
        try:
            options = packages.foreign_options("riscv64", suite, workspace / f"apt-{suite}")
            return packages.download(USERLAND_PACKAGE, workspace / "riscv64", options)
        except GuestError as error:
            refusals.append(f"{suite}: {error}")
    raise GuestError(f"no suite of Debian offers {USERLAND_PACKAGE}:\n" + "\n".join(refusals))


def _kernel_source(workspace: Path, progress: Progress) -> Path:
    """Return the unpacked kernel source; its Makefile is the last thing to appear."""
    source = workspace / SOURCE_PACKAGE
    if (source / "Makefile").is_file():
        return source
    package = packages.download(SOURCE_PACKAGE, workspace / "source")
    progress(f"unpacking {SOURCE_PACKAGE}", 0.10)
    files_of = workspace / "files"
    packages.unpack(package, files_of)
    partial = workspace / "partial-source"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    tarball = files_of / "usr/src" / f"{SOURCE_PACKAGE}.tar.xz"
    packages.run(["tar", "--strip-components=1", "--extract", "--xz", "--file", tarball], partial)
    shutil.rmtree(files_of)
    return partial.rename(source)


def _kernel(source: Path, output: Path, jobs: int, progress: Progress) -> bytes:
    """Configure and compile; return the Image."""
    output.mkdir(exist_ok=True)
    progress("configuring the kernel", 0.20)
    pinned = [f"{key}={value}" for key, value in PINNED.items()]
    make = ["make", "-C", source, f"O={output}", "ARCH=riscv", f"CROSS_COMPILE={CROSS_COMPILE}", *pinned]
    packages.run([*make, "tinyconfig"], output)
    fragment = output / FRAGMENT
    fragment.write_bytes(read_own(FRAGMENT))
    merge = source / "scripts/kconfig/merge_config.sh"
    packages.run([merge, "-m", "-O", output, output / ".config", fragment], output)
    packages.run([*make, "olddefconfig"], output)
    check_options(output / ".config", fragment)
    count = 0
    for line in _lines([*map(str, make), f"-j{jobs}", "Image"], output):
        count += line.startswith("  ")
        done = min(count / OUTPUT_LINES, 1.0)
        progress(f"compiling the kernel:{line[9:] if count else ''}", 0.22 + 0.77 * done)
    return (output / IMAGE).read_bytes()


def check_options(config: Path, fragment: Path) -> None:
    """Raise GuestError if an option that `fragment` sets to y did not survive: it needs another one."""
    chosen = set(config.read_text(encoding="utf-8").splitlines())
    wanted = fragment.read_text(encoding="utf-8").splitlines()
    dropped = [line for line in wanted if re.fullmatch(r"CONFIG_\w+=y", line) and line not in chosen]
    if dropped:
        options = ", ".join(dropped)
        raise GuestError(f"Linux's configuration drops {options}; set what they need in {fragment.name}")


def _lines(command: list[str], folder: Path) -> Iterator[str]:
    """Run a long command in the background of everything else, yielding its output by lines."""
    nice = ["nice", "-n", str(NICE), *command]
    last: list[str] = []
    with subprocess.Popen(
        nice,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last, line.rstrip()][-packages.SHOWN_LINES :]
            yield line.rstrip()
    if process.returncode:
        raise GuestError("the kernel does not compile:\n" + "\n".join(last))
