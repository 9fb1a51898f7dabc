"""Versions that driver and workers must share, or the same spec would not give the same network."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "lightning", "numpy", "pydantic")


def versions() -> dict[str, str]:
    """Package → version, in this process."""
    from zoo import __version__

    python = ".".join(platform.python_version_tuple()[:2])
    return {"neuroai-zoo": __version__, "python": python, **{name: _installed(name) for name in PACKAGES}}


def differences(expected: dict[str, str]) -> str:
    """``package: theirs here, ours on the driver`` for each that differs; empty where none does."""
    here = versions()
    return "; ".join(
        f"{name} is {here.get(name, 'absent')} on the worker and {expected.get(name, 'absent')} on the driver"
        for name in sorted(here.keys() | expected.keys())
        if here.get(name) != expected.get(name)
    )


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
