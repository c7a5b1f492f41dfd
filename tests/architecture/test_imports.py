"""What may be imported where, seen by importing: the browser has the standard library only."""

import subprocess
import sys
from pathlib import Path

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in sys.stdlib_module_names and root != "emulator":
            raise ImportError(f"{name} is not in the standard library")

sys.meta_path.insert(0, Refuse())
import emulator

def names(package):
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if info.name == "emulator.core":
            continue
        yield info.name
        if info.ispkg:
            yield from names(importlib.import_module(info.name))

failed = []
for name in names(emulator):
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{name}: {error}")
sys.exit("\\n".join(failed) or 0)
"""


def test_emulator_outside_core_imports_the_standard_library_only(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"\n{done.stderr}"
