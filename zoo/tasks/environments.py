"""Trials of environments that others have written."""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError, brief
from zoo.extras import need
from zoo.specs.base import canonical_json
from zoo.specs.tasks.environments import NeuroGymSpec
from zoo.tasks.base import Batch, Task, derive_seed
from zoo.tasks.scores import mean_over_time, r2
from zoo.tasks.timing import at_end

LATENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
POOLS = 8
"""Sets of trials that are kept, the latest."""


class NeuroGym(Task):
    """Trials of a NeuroGym environment.

    Latents, ``[example]``: ``number`` of the trial in its set, ``end``, its length in steps, and whatever
    numbers the environment says of every trial. Raises :class:`MissingDependencyError` where NeuroGym is not
    installed, and :class:`SpecError` for an environment that it cannot make or that is not what the spec
    says.
    """

    independent = True
    spec: NeuroGymSpec

    def draw(self, spec: NeuroGymSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        whole = _pool(spec)
        chosen = torch.randint(spec.trials, (examples,), generator=generator, device=device).cpu()
        latents = {name: value[chosen].to(device) for name, value in whole.latents.items()}
        x, y, mask = (value[chosen].to(device) for value in (whole.x, whole.y, whole.mask))
        return Batch(x, y, mask, torch.zeros(examples), latents)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of actions, ``accuracy``: share of the steps at which the largest output is the right one;
        ``choice_accuracy``: whether it is at the last step. Of values, ``r2``: share of the variance
        explained."""
        if self.spec.target == "value":
            return {"r2": r2(y, batch)}
        right = (y.argmax(-1) == batch.y.argmax(-1)).to(y.dtype)
        last = at_end(right, batch.latents["end"][:, None])
        return {"accuracy": mean_over_time(right, batch), "choice_accuracy": last}


def _pool(spec: NeuroGymSpec) -> Batch:
    key = canonical_json(spec.canonical() | {"splits": {}, "part": spec.part})
    if key not in _pools:
        _pools[key] = _made(spec)
        while len(_pools) > POOLS:
            del _pools[next(iter(_pools))]
    return _pools[key]


def _made(spec: NeuroGymSpec) -> Batch:
    """All trials of a set."""
    environment = _environment(spec)
    seed = derive_seed("trials", spec.environment, spec.part) % 2**32
    environment.reset(seed=seed)
    environment.seed(seed)
    x = torch.zeros(spec.trials, spec.steps, spec.observations)
    y = torch.zeros(spec.trials, spec.steps, spec.actions)
    end, told = torch.zeros(spec.trials, dtype=torch.int64), []
    for number in range(spec.trials):
        trial = environment.new_trial()
        seen, right = (np.asarray(getattr(environment, name)) for name in ("ob", "gt"))
        steps = len(seen)
        if not 1 <= steps <= spec.steps:
            raise SpecError(
                f"task.steps: a trial of {spec.environment} has {steps} steps, and {spec.steps} were asked "
                "for. Give more."
            )
        x[number, :steps] = torch.from_numpy(seen.reshape(steps, -1).astype(np.float32))
        if spec.target == "class":
            y[number, :steps] = F.one_hot(torch.from_numpy(right.astype(np.int64)), spec.actions)
        else:
            y[number, :steps] = torch.from_numpy(right.reshape(steps, -1).astype(np.float32))
        end[number] = steps
        told.append(trial if isinstance(trial, Mapping) else {})
    mask = (torch.arange(spec.steps) < end[:, None]).float()
    latents = {"number": torch.arange(spec.trials), "end": end, **_numbers(told)}
    return Batch(x, y, mask, torch.zeros(spec.trials), latents)


def _environment(spec: NeuroGymSpec) -> Any:
    """Made, and compared with what the spec says of it."""
    library = need("neurogym", "", "The task neurogym")
    try:
        environment = library.make(spec.environment, **spec.options).unwrapped
    except Exception as problem:  # whatever an environment of others does with options
        raise SpecError(
            f"task.environment: NeuroGym cannot make {spec.environment!r} with these options: "
            f"{type(problem).__name__}: {brief(str(problem), 200)}. Correct its name or its options."
        ) from problem
    missing = [name for name in ("new_trial", "seed") if not hasattr(environment, name)]
    if missing:
        raise SpecError(
            f"task.environment: {spec.environment} has no trials. Choose an environment that has."
        )
    observations = int(np.prod(environment.observation_space.shape))
    actions = getattr(environment.action_space, "n", None)
    kind = "value" if actions is None else "class"
    actions = int(np.prod(environment.action_space.shape)) if actions is None else int(actions)
    if (observations, actions, kind) != (spec.observations, spec.actions, spec.target):
        raise SpecError(
            f"task: {spec.environment} has observations: {observations}, actions: {actions}, target: {kind}. "
            "Write these into the spec."
        )
    return environment


def _numbers(told: list[Mapping[str, Any]]) -> dict[str, Tensor]:
    """What is a number in every trial, ``[trial]`` by its name; whole numbers where all are."""
    found = {}
    for name in told[0]:
        values = [each.get(name) for each in told]
        if name in ("number", "end") or not LATENT.fullmatch(str(name)):
            continue
        if all(isinstance(value, numbers.Real | np.bool_) for value in values):
            whole = all(isinstance(value, numbers.Integral | np.bool_) for value in values)
            found[str(name)] = torch.tensor(values, dtype=torch.int64 if whole else torch.float32)
    return found


_pools: dict[str, Batch] = {}
