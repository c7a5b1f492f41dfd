"""Where compiled kernels are kept: a directory of ours, named by everything that the machine code depends on.

It is `$VMLAB_CACHE`, else `vmlab` in the user's cache directory. An object file appears there whole or not at
all, so that a process that dies while compiling leaves nothing that another could load.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emulator.errors import VmLabError

_PACKAGE = Path(__file__).parent.parent
_SOURCES = (
    "core",
    "state.py",
    "isa/encodings.py",
    "isa/instruction.py",
    "isa/extensions.py",
    "build/generate.py",
    "build/float_branches.py",
    "build/checks.py",
    "build/compile.py",
)


class KernelCacheError(VmLabError):
    """The kernels cannot be kept: `cannot write DIRECTORY: Read-only file system; set VMLAB_CACHE to ...`."""


def cache_directory() -> Path:
    """Return the directory of all generated and compiled kernels."""
    chosen = os.environ.get("VMLAB_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmlab"


def kernel_directory(checked: bool = False) -> Path:
    """Return the directory of the kernels for these sources, versions and this CPU; it may not exist yet.

    Those with bounds checks have one of their own.
    """
    return cache_directory() / (_fingerprint(_host_cpu()) + "-checked" * checked)


def core_directory() -> Path:
    """Return the directory of the WebAssembly kernels, which are the same on every machine."""
    own = ("build/wasm.py", "build/side_module.py", "build/abi.py")
    return cache_directory() / f"wasm-{_fingerprint(version('llvmlite'), own)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it. Raises KernelCacheError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        remedy = "set VMLAB_CACHE to a directory that can be written"
        raise KernelCacheError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def _host_cpu() -> str:
    llvm: Any = importlib.import_module("llvmlite.binding")
    return (
        os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name() + llvm.get_host_cpu_features().flatten()
    )


def _fingerprint(target: str, sources: tuple[str, ...] = ()) -> str:
    """Hash the code and versions that decide the machine code; comments and docstrings do not."""
    digest = hashlib.blake2b(f"{version('numba')} {sys.version_info} {target}".encode(), digest_size=10)
    for name in _SOURCES + sources:
        path = _PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(ast.dump(_without_docstrings(ast.parse(source.read_text()))).encode())
    return digest.hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
