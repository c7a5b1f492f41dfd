"""Run a batch that another process has written into a file.

`python -m emulator.fuzz.image FILE PROGRAMS [page-types]`: the last word gives the hart Svnapot and Svpbmt.
"""

import sys
from pathlib import Path

from emulator.build.engine import load_engine
from emulator.fuzz.batch import regions
from emulator.fuzz.machines import run_here
from emulator.state import PAGE_BYTES, RAM_BASE


def run_file(path: Path, programs: int, *, page_types: bool) -> None:
    """Run the image in `path`, and write into it what the programs left."""
    content = path.read_bytes()
    pages = range(0, len(content), PAGE_BYTES)
    zero = bytes(PAGE_BYTES)
    image = {RAM_BASE + at: page for at in pages if (page := content[at : at + PAGE_BYTES]) != zero}
    outcome = run_here(load_engine(), image, programs, page_types=page_types)
    with path.open("r+b") as file:
        for name, (address, _) in regions(programs).items():
            file.seek(address - RAM_BASE)
            file.write(getattr(outcome, name))


if __name__ == "__main__":
    run_file(Path(sys.argv[1]), int(sys.argv[2]), page_types=sys.argv[3:] == ["page-types"])
