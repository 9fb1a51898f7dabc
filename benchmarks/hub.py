"""Hubs: what a name costs beyond a path, and many checkpoints over HTTP against one download of their bytes.

Run from a checkout: ``python benchmarks/hub.py [load] [pull]``. The hub is ``zoo serve`` in a process of its
own on this machine, the client the real one. Prints Markdown tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import Ratio, report, side_by_side

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
HOME = tempfile.TemporaryDirectory(prefix="zoo-benchmark-")
os.environ |= {"ZOO_HOME": f"{HOME.name}/zoo", "HF_HOME": f"{HOME.name}/hf"}  # before either is read

MANY = 500


def many(root: Path) -> None:
    """So many small checkpoints, and all of their files once more as one repository."""
    import torch

    from zoo.checkpoints.folder import CheckpointFolder, safetensors_bytes, write
    from zoo.checkpoints.network import golden_outputs
    from zoo.hub.base import commit_of
    from zoo.hub.cache import CacheHub
    from zoo.hub.repository import Repository
    from zoo.network import build
    from zoo.paths import shipped

    shown = CheckpointFolder(shipped("registry") / "dsa-rnn-sine")
    hub, whole = CacheHub(root), {}
    spec = shown.experiment.updated(population=None)
    for number in range(MANY):
        network = build(spec.updated(train=spec.train.updated(seed=number)))
        record = shown.record.updated(
            name=f"net-{number}", members=None, seeds=(number,), steps=shown.record.steps[:1],
            stopped=shown.record.stopped[:1], wall_time=shown.record.wall_time[:1], series=(), curve=(),
            metrics={name: values[:1] for name, values in shown.record.metrics.items()}, claims=(), files={},
            experiment=spec.digest(),
        )  # fmt: skip
        files = {
            "spec.json": shown.read("spec.json")
            if spec is shown.experiment
            else spec.model_dump_json().encode(),
            "model.safetensors": safetensors_bytes(network.model.state_dict()),
            "golden.safetensors": safetensors_bytes(golden_outputs([network], 4)),
        }
        folder = CheckpointFolder(write(root.parent / "made" / f"net-{number}", record, files))
        hub.publish(folder, f"lab/net-{number}")
        whole |= {
            f"net-{number}/{file}": data for file, data in hub.fetch(f"lab/net-{number}").contents().items()
        }
    import hashlib

    digests = {file: hashlib.sha256(data).hexdigest() for file, data in whole.items()}
    repository = Repository(root, "lab/whole")
    with repository.locked():
        repository.store(commit_of(digests), whole, digests, ("main",))
    print(
        f"{MANY} checkpoints, {len(whole)} files, {sum(map(len, whole.values())) / 1e6:.1f} MB\n", flush=True
    )
    torch.set_num_threads(1)


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a hub in a process of its own."""
    command = [sys.executable, "-c", "from zoo.cli import main; main()", "serve", str(root), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if address := next((word for word in line.split() if word.startswith("http://")), None):
                yield address.rstrip(".,/")
                return
        raise SystemExit("the hub did not start")
    finally:
        server.terminate()
        server.wait()


def load(url: str) -> list[tuple[str, str, Ratio, str]]:
    """A checkpoint that is cached, by its name on the hub and by the path of its folder."""
    import zoo
    from zoo.hub import fetch

    zoo.pull(f"{url}/lab/net-0")
    folder = fetch(f"{url}/lab/net-0")
    path = str(folder.path)
    pinned = f"{url}/lab/net-0@{folder.path.name}"
    rows = []
    for what, name in (
        ("by name, the hub asked for the newest", f"{url}/lab/net-0"),
        ("by name and commit, the hub not asked", pinned),
        ("from the local hub", "lab/net-0"),
    ):
        ratio = side_by_side(lambda name=name: zoo.load(name), lambda: zoo.load(path), 100, warmup=10)
        more = (ratio.ours - ratio.theirs) * 1e3
        rows.append((f"{what}: {more:+.1f} ms", "by path", ratio, "≤ 20 ms more"))
    return rows


def pull(url: str) -> list[tuple[str, str, Ratio, str]]:
    """All of them, verified and published to a local hub, against ``snapshot_download`` of the same files."""
    from huggingface_hub import constants, snapshot_download

    import zoo

    fresh = iter(range(1000))

    def ours() -> None:
        here = Path(HOME.name) / f"ours-{next(fresh)}"
        os.environ["ZOO_HOME"], constants.HF_HUB_CACHE = str(here / "zoo"), str(here / "hf")
        assert len(zoo.pull(f"{url}/lab/net-*")) == MANY

    def theirs() -> None:
        here = Path(HOME.name) / f"theirs-{next(fresh)}"
        snapshot_download("lab/whole", endpoint=url, cache_dir=here, token=False)

    ratio = side_by_side(ours, theirs, 3, warmup=0)
    return [(f"`zoo pull` of {MANY} checkpoints", "`snapshot_download` of one repository", ratio, "≤ 1.5")]


if __name__ == "__main__":
    root = Path(HOME.name) / "served"
    many(root)
    with served(root) as url:
        for part in sys.argv[1:] or ("load", "pull"):
            print(report(part.capitalize(), {"load": load, "pull": pull}[part](url)), flush=True)
