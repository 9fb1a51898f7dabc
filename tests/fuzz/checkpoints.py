"""Small real checkpoints as files: what hostile ones are made from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from hub.conftest import experiment, record, weights

from zoo.checkpoints.folder import CARD, RECORD, SPEC, CheckpointFolder, describe, safetensors_bytes, write
from zoo.checkpoints.network import GOLDEN, empty, fill, golden_outputs
from zoo.hub.card import render
from zoo.specs.experiment import ExperimentSpec

Files = dict[str, bytes]


def checkpoint(destination: Path, members: int | None = None) -> CheckpointFolder:
    """An Elman network with snapshots and golden outputs, or a population of them; ``zoo verify`` holds."""
    spec = experiment("tiny", members)
    series = [[0, 100]] * (members or 1)
    made = record(spec, series=series, golden={"cpu": {"rtol": 1e-4, "atol": 1e-5}}, parameters=32)
    tensors = [{k: torch.from_numpy(v) for k, v in weights(4, n).items()} for n in range(members or 1)]
    networks = []
    for index, found in enumerate(tensors):
        network = empty(spec.member(index))
        expected = network.model.state_dict()
        found.update({name: torch.zeros(t.shape) for name, t in expected.items() if name not in found})
        fill(network, found, "here")
        networks.append(network.eval())
    files = {
        SPEC: json.dumps(spec.plain()).encode(),
        GOLDEN: safetensors_bytes(golden_outputs(networks, 2)),
        CARD: render(made, spec).encode(),
    }
    for index, found in enumerate(tensors):
        files[made.weights(index)] = files[made.weights(index, 0)] = safetensors_bytes(found)
    return CheckpointFolder(write(destination, made, files))


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def agreeing(files: Files) -> Files:
    """The files with a record that has their sizes and digests, whatever they hold, if it is one at all."""
    try:
        document: dict[str, Any] = json.loads(files[RECORD])
        for name in list(document["files"]):
            if name in files:
                document["files"][name] = describe(files[name]).plain()
    except (ValueError, KeyError, TypeError, RecursionError):
        return files
    with suppress(ValueError, RecursionError):
        document["experiment"] = ExperimentSpec.model_validate_json(files[SPEC]).digest()
    return {**files, RECORD: json.dumps(document).encode("utf-8", "surrogatepass")}
