"""Where the files that are not Python live: in a checkout beside the packages, in a wheel under app/_data."""

from pathlib import Path

_APP = Path(__file__).resolve().parent
_CHECKOUT = _APP.parent
_INSTALLED = _APP / "_data"


def _first_directory(*candidates: Path) -> Path:
    return next((path for path in candidates if path.is_dir()), candidates[0])


def static_dir() -> Path:
    """Return the directory of the built assets, the only one served under /static."""
    return _first_directory(_INSTALLED / "static", _CHECKOUT / "static" / "dist")


def lessons_dir() -> Path:
    """Return the directory whose NN-slug children are the lessons."""
    return _first_directory(_INSTALLED / "lessons", _CHECKOUT / "lessons")


def assets_version() -> str:
    """Return a short hash of the assets' sources, for cache-busting URLs; empty when they are not built."""
    stamp = static_dir() / "stamp"
    return stamp.read_text(encoding="ascii")[:12] if stamp.is_file() else ""
