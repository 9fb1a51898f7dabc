"""Other machines, as processes of this one: a served hub that can go away, drivers, clocks that are wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine.dask_cluster import wait_for

from zoo.hub.server import tokens
from zoo.specs.experiment import ExperimentSpec

DRIVES = """
import json, sys
import zoo
from zoo.hub.parcels import Parcels
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps import driving
Parcels.beat = driving.SAVED = float(sys.argv[4])
spec = ExperimentSpec.model_validate(json.loads(sys.argv[1]))
made = zoo.sweep(spec, engine=sys.argv[2], hub=sys.argv[3] or None)
print(json.dumps([made.standing.done, len(made.standing.failed)]))
"""
ZOO = [sys.executable, "-c", "from zoo.cli import main; main()"]
"""The command."""
SKEW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long skew(void) { const char *text = getenv("CLOCK_SKEW"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int found = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += skew();
    return found;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def driver(
    spec: ExperimentSpec, engine: str, hub: str, home: Path, beat: float = 0.5
) -> subprocess.Popen[str]:
    """A driver on a machine with this ``ZOO_HOME``; it prints how many are done and failed."""
    command = [sys.executable, "-c", DRIVES, json.dumps(spec.plain()), engine, hub, str(beat)]
    environment = {**os.environ, "ZOO_HOME": str(home)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


class ServedHub:
    """``zoo serve`` as a process, that may be gone for a while and come back at the same address."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/lab"
        self.token = tokens.add(root, "lab", write=True, admin=False, organisations=())
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [*ZOO, "serve", str(self.root), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers)

    def answers(self) -> bool:
        with socket.socket() as one:
            one.settimeout(1)
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def served(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHub]:
    """A hub that this process, and those that it starts, may write to."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    hub = ServedHub(root)
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    hub.start()
    try:
        yield hub
    finally:
        hub.kill()


def skewed(folder: Path, seconds: int) -> dict[str, str]:
    """Variables under which a process believes that it is so much later, or earlier."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a wrong clock needs a C compiler on Linux")
    library = folder / "skew.so"
    if not library.exists():
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), "-x", "c", "-", "-ldl"]
        subprocess.run(command, input=SKEW, text=True, check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_SKEW": str(seconds)}
