"""The installation: doctor."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit, table
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.hub.base import Hub

LIBRARIES = {
    "core": ("torch", "lightning", "pydantic", "omegaconf", "numpy", "safetensors", "huggingface_hub"),
    "analysis": ("scipy", "scikit-learn"),
    "viz": ("matplotlib",),
    "track": ("tensorboardX",),
    "serve": ("starlette", "uvicorn"),
    "data": ("h5py",),
    "tables": ("pandas", "pyarrow"),
    "dist": ("loky", "distributed", "dask-jobqueue"),
}
HUGGING_FACE = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH")


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(json: Json = False) -> None:
    """Versions, devices, hubs and folders: what to send with a bug report."""
    from zoo import __version__, registry
    from zoo.hub import hubs
    from zoo.hub.caches import places
    from zoo.hub.network import redacted
    from zoo.paths import home, shipped
    from zoo.training.provenance import installed

    versions = [("zoo", __version__, "core"), ("python", platform.python_version(), "core")]
    versions += [
        (name, installed(name) or "not installed", extra)
        for extra, names in LIBRARIES.items()
        for name in names
    ]
    devices = _devices()
    hub_rows = [(hub.name, hub.where, *_state(hub)) for hub in hubs()]
    cache_rows = [(name, str(path), _size(path), holds) for name, (path, holds) in places().items()]
    folders = [(name, str(home() / name), _size(home() / name)) for name in ("runs", "hub", "cache")]
    folders.append(("free space", str(home()), shutil.disk_usage(_existing(home())).free / 1e6))
    broken = [
        (f"{p.family}.{p.kind}", p.distribution, p.error) for p in registry.plugins(load=True) if p.error
    ]
    settings = {
        key: "set, and not shown" if "TOKEN" in key and "PATH" not in key else redacted(value)
        for key, value in sorted(os.environ.items())
        if key.startswith("ZOO_") or key in HUGGING_FACE
    }
    data: dict[str, Any] = {
        "versions": {name: version for name, version, _ in versions},
        "devices": devices,
        "settings": settings,
    }
    data |= {
        "hubs": hub_rows,
        "caches": cache_rows,
        "folders": folders,
        "broken_plugins": broken,
        "specs": str(shipped("specs")),
    }
    emit(
        data,
        table("versions", ("package", "version", "extra"), versions),
        table("devices", ("device", "name"), devices),
        table("hubs", ("hub", "where", "checkpoints", "index"), hub_rows),
        table("folders", ("folder", "where", "MB"), folders),
        table("caches", ("cache", "where", "MB", "holds"), cache_rows),
        "What is cached can be fetched or computed again; see it with 'zoo cache list', remove it with "
        "'zoo cache prune'.",
        *([table("broken plugins", ("kind", "from", "error"), broken)] if broken else []),
        *([table("settings", ("variable", "value"), list(settings.items()))] if settings else []),
    )


def _state(hub: Hub) -> tuple[int | str, str]:
    """How many checkpoints a hub has, or why that cannot be said; and the state its index was found in.

    Every name is looked at, and an index that is out of date brought up to date.
    """
    from zoo.hub.base import DirectoryHub

    try:
        if not isinstance(hub, DirectoryHub):
            return len(hub.names()), "none: only names are known"
        before = hub.index.built
        health = hub.indexed(lambda index: index.check())
    except ZooError as problem:
        return str(problem), "–"
    if health.damaged:
        return health.entries, "was damaged, and has been made anew"
    if not before:
        return health.entries, "has been made now"
    if health.stale:
        return health.entries, f"was wrong about {health.stale:,}, and has been mended"
    return health.entries, "up to date"


def _devices() -> list[tuple[str, str]]:
    import torch

    found = [("cpu", f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")]
    found += [(f"cuda:{k}", torch.cuda.get_device_name(k)) for k in range(torch.cuda.device_count())]
    return [*found, *([("mps", "Apple GPU")] if torch.backends.mps.is_available() else [])]


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _size(folder: Path) -> float:
    """In MB; links are not followed, so shared blobs count once."""
    return (
        sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        / 1e6
    )
