"""A process that writes to a hub, for tests that start several of them, or kill them.

``times N HUB FORM FOLDER...``    publishes the folders in turn, N times in all
``read HUB FORM NAME...``         fetches and verifies until there is a file HUB/../stop
``steps ACT HUB FORM FOLDER``     acts in child processes, the k-th killed before it touches the disk for the
                                  k-th time, and says "k" after each, until one lives to the end
``moments N HUB FORM FOLDER...``  publishes in N child processes, each killed at some moment
``killed N WHAT WHERE FOLDER...`` acts over and over in N child processes, each killed at some moment
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - so that importing it is no touch of the disk

from zoo import placing
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError
from zoo.hub.base import DirectoryHub
from zoo.hub.cache import CacheHub
from zoo.hub.plain import FolderHub

TOUCHES = {
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "shutil.rmtree",
    "tempfile.mkdtemp",
}


def hub_of(path: str, form: str) -> DirectoryHub:
    if form == "fallback":
        placing._exchange = lambda one, other: False
    return CacheHub(Path(path), "hub") if form == "cache" else FolderHub(Path(path), "hub")


def act(what: str, hub: DirectoryHub, folder: CheckpointFolder) -> None:
    if what == "publish":
        hub.publish(folder, tag="v1" if isinstance(hub, CacheHub) else None)
    else:
        hub.delete(folder.record.name)


def steps(what: str, hub: DirectoryHub, folder: CheckpointFolder) -> None:
    _ = folder.record, folder.experiment
    for last in itertools.count():
        child = os.fork()
        if not child:
            die_before(last)
            act(what, hub, folder)
            os._exit(0)
        killed = os.waitpid(child, 0)[1]
        assert killed in (0, signal.SIGKILL)
        print(last if killed else "done", flush=True)
        if sys.stdin.readline() == "" or not killed:
            return


def die_before(last: int) -> None:
    count = itertools.count()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in TOUCHES and next(count) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def moments(count: int, hub: DirectoryHub, folders: list[CheckpointFolder]) -> None:
    clock = random.Random(0)
    for _ in range(count):
        child = os.fork()
        if not child:
            for folder in itertools.cycle(folders):
                hub.publish(folder)
        time.sleep(clock.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print("killed", flush=True)
        sys.stdin.readline()


def killed(count: int, what: str, where: str, folders: list[CheckpointFolder]) -> None:
    import zoo
    from zoo.hub.caches import prune
    from zoo.hub.huggingface import HuggingFaceHub

    def act(turn: int) -> None:
        if what == "pull":
            zoo.pull(f"{where}/lab/*")
            prune()
        elif what == "push":
            HuggingFaceHub(where, "lab").publish(folders[turn % len(folders)])
        else:
            FolderHub(Path(where)).publish(folders[turn % len(folders)])

    clock = random.Random(0)
    for _ in range(count):
        child = os.fork()
        if not child:
            for turn in itertools.count(clock.randrange(100)):
                act(turn)
        time.sleep(clock.uniform(0, 0.4 if what == "pull" else 0.15))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it did not end by itself"
        print("killed", flush=True)
        sys.stdin.readline()


def main() -> None:
    mode, *arguments = sys.argv[1:]
    if mode == "killed":
        count, what, where, *sources = arguments
        killed(int(count), what, where, [CheckpointFolder(Path(source)) for source in sources])
    elif mode == "steps":
        what, path, form, folder = arguments
        steps(what, hub_of(path, form), CheckpointFolder(Path(folder)))
    elif mode == "read":
        path, form, *names = arguments
        hub, good = hub_of(path, form), 0
        while not Path(path, "..", "stop").exists():
            for name in names:
                try:
                    good += len(hub.fetch(name).verify())
                except CheckpointError as problem:
                    if form == "cache" or "is not" not in str(problem):
                        raise
        print(good)
    else:
        count, path, form, *sources = arguments
        hub, made = hub_of(path, form), [CheckpointFolder(Path(source)) for source in sources]
        if mode == "moments":
            moments(int(count), hub, made)
        for turn in range(int(count) if mode == "times" else 0):
            hub.publish(made[turn % len(made)])


if __name__ == "__main__":
    main()
