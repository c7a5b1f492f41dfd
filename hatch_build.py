"""Packaging hook: build static/dist, and put it and the lessons into the wheel."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before hatchling collects files (hatchling documentation, "Custom build hook")."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the assets; for a real wheel (not an editable one) add what the app reads at run time."""
        root = Path(self.root)
        runpy.run_path(str(root / "static" / "build_assets.py"))["build"]()
        if version == "standard":
            build_data["force_include"] |= {
                str(root / "static" / "dist"): "app/_data/static",
                str(root / "lessons"): "app/_data/lessons",
            }
