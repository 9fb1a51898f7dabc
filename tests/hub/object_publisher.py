"""A process that writes to an object store, for tests that start several of them, or kill them.

``times N URL FOLDER...``    publishes the folders in turn, N times in all
``read STOP URL NAME...``    fetches and verifies until there is a file STOP, into a cache of its own
``steps URL FOLDER``         publishes in child processes, the k-th killed before its k-th request or touch
                             of the store, and says "k" after each, until one lives to the end
``moments N URL FOLDER...``  publishes in N child processes, each killed at some moment
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - so that importing it is no touch of the disk
import fsspec.implementations.local  # noqa: F401

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.objects import ObjectHub
from zoo.hub.store import Store

TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.move"}


def die_before(last: int, url: str) -> None:
    """Be killed before the request of that number; files count as such where they are the store."""
    count, open_store = itertools.count(), Store._open

    def step() -> None:
        if next(count) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(store: Store) -> Any:
        step()
        return open_store(store)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in TOUCHES and "/hub/" in str(arguments[0]):
            step()

    if url.startswith("file://"):
        sys.addaudithook(hook)
    else:
        Store._open = counted  # type: ignore[method-assign]


def steps(url: str, folder: CheckpointFolder) -> None:
    _ = folder.record, folder.experiment
    for last in itertools.count():
        child = os.fork()
        if not child:
            die_before(last, url)
            ObjectHub(url).publish(folder, tag="v1")
            os._exit(0)
        killed = os.waitpid(child, 0)[1]
        assert killed in (0, signal.SIGKILL)
        print(last if killed else "done", flush=True)
        if sys.stdin.readline() == "" or not killed:
            return


def moments(count: int, url: str, folders: list[CheckpointFolder]) -> None:
    clock = random.Random(0)
    for _ in range(count):
        ready, tell = os.pipe()
        order = clock.sample(folders, len(folders))
        child = os.fork()
        if not child:
            ObjectHub(url).names()  # so that all libraries are loaded
            os.write(tell, b"!")
            for folder in itertools.cycle(order):
                ObjectHub(url).publish(folder)
        os.read(ready, 1)
        time.sleep(clock.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)
        print("killed", flush=True)
        sys.stdin.readline()


def read(stop: Path, url: str, names: list[str]) -> None:
    good = 0
    while not stop.exists():
        for name in names:
            good += len(ObjectHub(url).fetch(name).verify())
        shutil.rmtree(ObjectHub(url).cache / f"models--{names[0]}", ignore_errors=True)
    print(good)


def main() -> None:
    mode, *arguments = sys.argv[1:]
    if mode == "steps":
        steps(arguments[0], CheckpointFolder(Path(arguments[1])))
    elif mode == "read":
        os.environ["ZOO_HOME"] = f"{arguments[0]}-{os.getpid()}"
        read(Path(arguments[0]), arguments[1], arguments[2:])
    else:
        url, made = arguments[1], [CheckpointFolder(Path(source)) for source in arguments[2:]]
        if mode == "moments":
            moments(int(arguments[0]), url, made)
        for turn in range(int(arguments[0]) if mode == "times" else 0):
            ObjectHub(url).publish(made[turn % len(made)])


if __name__ == "__main__":
    main()
