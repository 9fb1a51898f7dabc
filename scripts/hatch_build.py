"""Puts ``specs/`` and ``registry/`` into a wheel, as ``zoo/_data/``.

Only into a standard wheel: an editable install reads the folders of the checkout, and a copy of them
would grow stale. Nothing is written into the source tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface):
    """Adds each data file to the wheel by name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        root = Path(self.root)
        for folder in ("specs", "registry"):
            files = data_files(root / folder)
            if not files:
                raise FileNotFoundError(f"{root / folder} holds no files; build from a complete checkout.")
            for file in files:
                build_data["force_include"][str(file)] = f"zoo/_data/{file.relative_to(root).as_posix()}"


def data_files(folder: Path) -> list[Path]:
    """All files below a folder, without hidden ones (half-written or an editor's)."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
