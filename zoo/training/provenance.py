"""Where a checkpoint comes from: code, packages, machine."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from zoo.specs.record import CodeVersion, Environment

PACKAGES = ("torch", "lightning", "numpy", "pydantic", "safetensors", "omegaconf")


def code_version() -> CodeVersion:
    """Version of the zoo, and the commit where it runs from a checkout of its own."""
    root = Path(__file__).resolve().parents[2]
    commit = dirty = None
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        status = _git(root, "status", "--porcelain", "--", "zoo", "specs")
        dirty = None if status is None else bool(status)
    return CodeVersion(version=installed("neuroai-zoo") or "unknown", commit=commit, dirty=dirty)


def environment(device: torch.device) -> Environment:
    """Versions and hardware of this process."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type} ({platform.machine()})"
    )
    return Environment(
        packages={"python": platform.python_version(), **{p: v for p in PACKAGES if (v := installed(p))}},
        platform=f"{platform.system()} {platform.machine()}",
        device=name,
        threads=torch.get_num_threads(),
    )


def installed(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
