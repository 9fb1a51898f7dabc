"""Tiny valid checkpoints, made without training and without torch."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest
from safetensors.numpy import save

from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Make = Callable[..., CheckpointFolder]


def experiment(name: str = "tiny", members: int | None = None, hidden: int = 4) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "name": name,
            "title": "A tiny Elman network",
            "model": {"kind": "elman", "hidden": hidden},
            "task": {"kind": "flip-flop", "bits": 2},
            "learner": {"kind": "backprop"},
            "population": None if members is None else {"members": members},
        }
    )


def weights(hidden: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    shapes = {
        "cell.weight_ih_l0": (hidden, 2),
        "cell.weight_hh_l0": (hidden, hidden),
        "output.weight": (2, hidden),
    }
    return {name: random.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def record(spec: ExperimentSpec, **changes: Any) -> Record:
    count = 1 if spec.population is None else len(spec.population)
    return Record.model_validate(
        {
            "name": spec.name,
            "title": spec.title,
            "license": spec.license,
            "experiment": spec.digest(),
            "members": None if spec.population is None else count,
            "seeds": range(count),
            "steps": [100] * count,
            "stopped": ["steps"] * count,
            "parameters": 30,
            "metrics": {"test/mse": [0.25 + k / 8 for k in range(count)]},
            "files": {},
            "code": {"version": "0.1.0", "commit": "0" * 40, "dirty": False},
            "environment": {
                "packages": {"torch": "2.13.0"},
                "platform": "Linux",
                "device": "cpu",
                "threads": 1,
            },
            "wall_time": [1.5] * count,
            "created": "2026-11-21T12:00:00+00:00",
            **changes,
        }
    )


def _fabricate(
    destination: Path,
    name: str = "tiny",
    *,
    members: int | None = None,
    hidden: int = 4,
    seed: int = 0,
    card: str | None = "# By hand\n",
    series: list[list[int]] | None = None,
    **changes: Any,
) -> CheckpointFolder:
    """A checkpoint folder of an Elman network on a flip-flop; ``changes`` go into its record."""
    spec = experiment(name, members, hidden)
    made = record(spec, series=series or [], **changes)
    files = {
        "spec.json": json.dumps(spec.plain(), indent=1).encode(),
        "golden.safetensors": save({"x": np.zeros((2, 3), np.float32)}),
        **({} if card is None else {"README.md": card.encode()}),
    }
    for index in range(members or 1):
        files[made.weights(index)] = save(weights(hidden, 100 * seed + index))
        for step in series[index] if series else ():
            files.setdefault(made.weights(index, step), save(weights(hidden, 100 * seed + 50 + step)))
    return CheckpointFolder(write(destination, made, files))


@pytest.fixture(scope="session")
def fabricate() -> Make:
    """``fabricate(destination, "tiny", seed=1)`` writes a checkpoint folder."""
    return _fabricate


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: flushing to the disk then takes no time."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="zoo-tests-") as folder:
        yield Path(folder)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make("tiny", seed=1)`` gives a checkpoint folder; the same arguments, the same bytes."""
    made = iter(range(1000))
    return lambda name="tiny", **options: _fabricate(tmp_path / f"made-{next(made)}", name, **options)


@dataclass(frozen=True)
class Served:
    """A hub that is served on this machine."""

    url: str
    root: Path
    """The folder, which is a local hub as well."""
    token: str
    """Of ``lab``, who may write everywhere."""

    def add_token(
        self, name: str, *, write: bool = True, admin: bool = False, organisations: tuple[str, ...] = ()
    ) -> str:
        """The secret of another token."""
        from zoo.hub.server import tokens

        return tokens.add(self.root, name, write=write, admin=admin, organisations=organisations)

    def client(self, token: str | bool | None = None) -> HfApi:
        """The real client; ``False`` is one without a token."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.url, token=self.token if token is None else token)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the Hub's client use the network, which here is this machine, quietly and without delays."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_UPDATE_CHECK", True, raising=False)
    disable_progress_bars()
    yield
    enable_progress_bars()


@pytest.fixture
def served(memory: Path, online: None) -> Iterator[Served]:
    """An empty hub of this test's own, read and write, over the real server."""
    from zoo.hub.server import tokens
    from zoo.hub.server.running import serving

    root = memory / "served"
    token = tokens.add(root, "lab", write=True, admin=True, organisations=())
    with serving(root) as url:
        yield Served(url, root, token)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3-compatible server on this machine, with a bucket ``zoo``."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "zoo", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="zoo")
    yield address
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address on that server that is this test's own; variables say how to reach it."""
    for variable in ("HF_HUB_OFFLINE", "ZOO_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "zoo",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(variable, value)
    return f"s3://zoo/{uuid4().hex}"
