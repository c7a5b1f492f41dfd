"""The wheel carries everything the app reads at run time, and finds it where it is installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PRINT_PATHS = """
from app import paths
print(paths.static_dir())
print(paths.lessons_dir())
print((paths.static_dir() / "main.js").is_file(), (paths.static_dir() / "main.css").is_file())
print(paths.assets_version() != "")
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """The wheel, built and unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def run_python(code: str, site: Path) -> str:
    """Run `code` outside the checkout, with only the unpacked wheel before the installed packages."""
    program = f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=site.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_finds_its_assets_and_lessons_where_it_is_installed(installed: Path) -> None:
    static, lessons, has_entry_points, has_version = run_python(PRINT_PATHS, installed).splitlines()
    assert Path(static).is_relative_to(installed)
    assert Path(lessons).is_relative_to(installed)
    assert (has_entry_points, has_version) == ("True True", "True")


def test_wheel_holds_every_file_of_the_packages(installed: Path, project: Path) -> None:
    def names(root: Path) -> set[str]:
        found = (path for top in ("app", "emulator") for path in (root / top).rglob("*") if path.is_file())
        return {
            path.relative_to(root).as_posix()
            for path in found
            if not {"__pycache__", "_data"} & {*path.parts}
        }

    assert names(installed) == names(project)


def test_every_lesson_is_in_the_wheel(installed: Path, project: Path) -> None:
    def names(root: Path) -> set[str]:
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    assert names(installed / "app/_data/lessons") == names(project / "lessons")


def test_installed_command_line_starts(installed: Path) -> None:
    assert "warm" in run_python("from app.cli import build_parser; build_parser().print_help()", installed)
