"""A comparator of workers' tests, which does to them what the names of networks say. Workers import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import CKASpec


class Mortal(Comparator[CKASpec]):
    """Distances between means; a network's name is a word, and a file in which it leaves a line a tile."""

    aligned = False
    independent = True
    measure = "difference of means"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        if source.name.startswith("unfit"):
            raise OSError("no such thing")
        return {"mean": states.mean()}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        for each in (features[k] for k in pairs.unique().tolist()):
            word, _, file = each.name.partition(" ")
            before = _note(Path(file)) if file else 0
            if word == "dies" or (word == "dies-once" and not before):
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "greedy" or (word == "hungry" and len(pairs) > 2):
                raise MemoryError("not for so many")
            if word == "fails":
                raise ValueError("an odd number")
            if word == "refuses":
                raise AnalysisError("this is no network. Give another.")
            if word == "slow-once" and not before:
                time.sleep(60)
        mean = [each.values["mean"] for each in features]
        return {"distance": Tensor([float(abs(mean[i] - mean[j])) for i, j in pairs.tolist()]).double()}


def _note(file: Path) -> int:
    """How many lines there were before this one."""
    before = file.read_text().count("\n") if file.exists() else 0
    with file.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return before
