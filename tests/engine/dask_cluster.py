"""A Dask scheduler and workers, as processes of their own on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

TESTS = Path(__file__).resolve().parents[1]


class DaskCluster:
    """One scheduler, and as many workers as are started; all gone at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show")
        wait_for(self.file.exists)
        self.address = json.loads(self.file.read_text())["address"].removeprefix("tcp://")
        self.engine = f"dask://{self.address}"

    def worker(
        self,
        *options: str,
        mounts: Mapping[Path, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """One more: a nanny, and the worker that it starts again when it dies.

        ``mounts`` are folders that are disks of its own for this worker alone, with their size.
        """
        options = ("--nthreads", "1", "--host", "127.0.0.1", "--local-directory", str(self.folder), *options)
        return self._start("worker", *options, mounts=mounts or {}, environment=environment or {})

    def _start(
        self,
        what: str,
        *options: str,
        mounts: Mapping[Path, str] = {},
        environment: Mapping[str, str] = {},
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self.file)]
        if mounts:
            if sys.platform != "linux" or os.geteuid() or not shutil.which("unshare"):
                pytest.skip("mounting disks for one process needs root on Linux")
            each = [f"mount -t tmpfs -o {how} tmpfs {folder}" for folder, how in mounts.items()]
            command = ["unshare", "--mount", "sh", "-c", " && ".join([*each, 'exec "$@"']), "sh", *command]
        with (self.folder / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--no-dashboard", *options],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
            )
        self.processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.processes):
            below = children(process.pid)
            process.kill()
            process.wait()
            for each in below:
                kill(each.pid)


def children(process: int) -> list[psutil.Process]:
    """What a process has started, and what that has."""
    try:
        return psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def wait_for(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
