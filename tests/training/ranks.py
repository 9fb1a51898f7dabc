"""What a process does that a launcher started: it trains all the runs that a file lists.

It says in a file what came of each, with the weights as they are in this process.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

import zoo.training.recorder
import zoo.training.run
from zoo import registry
from zoo.errors import TrainingError
from zoo.specs.experiment import ExperimentSpec
from zoo.training.place import Place
from zoo.training.run import Run


def _refuse(*arguments: Any) -> None:
    raise AssertionError(f"only the first process writes, and this one would write {arguments[0]}")


def main(listed: Path) -> None:
    built: list[Any] = []
    resolve = registry.resolve

    def keep(experiment: ExperimentSpec) -> Any:
        built.append(resolve(experiment))
        return built[-1]

    registry.resolve = keep
    outcomes = []
    for spec, folder in json.loads(listed.read_text()):
        experiment = ExperimentSpec.model_validate(spec)
        rank = Place.of(experiment.train).rank
        if rank:
            zoo.training.run.write_whole = zoo.training.recorder.write_whole = _refuse  # type: ignore[assignment]
        outcome: dict[str, Any] = {"node": os.environ.get("SLURMD_NODENAME")}
        try:
            outcome |= Run.of(experiment, Path(folder)).fit(progress=False)
        except TrainingError as problem:
            outcome |= {"error": type(problem).__name__, "step": getattr(problem, "step", None)}
        whole = experiment.train.steps and experiment.train.strategy == "ddp"
        weights = built[-1][0].network.model.state_dict() if whole else {}
        outcome["weights"] = {name: value.tolist() for name, value in weights.items()}
        outcomes.append(outcome)
    Path(f"{listed}.{rank}").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
