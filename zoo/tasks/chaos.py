"""What comes next? Forecasts of chaotic systems, partly and noisily observed."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.errors import AnalysisError, SpecError
from zoo.specs.base import canonical_json
from zoo.specs.tasks.chaos import ChaosSpec, DystsSpec, ForecastSpec
from zoo.tasks import catalogue
from zoo.tasks.base import Batch, Task, derive_seed
from zoo.tasks.flows import FLOWS, Flow, advance, checked, mackey_glass, origin, sample
from zoo.tasks.scores import mean_over_time, r2

POOLS = 16
"""Sets of trajectories that are kept, the latest."""
REFERENCE: dict[str, Any] = {"trajectories": 256, "samples": 500, "burn_in": 500, "spread": 0.1}
"""What mean and deviation are taken from."""


@dataclass(frozen=True)
class Pool:
    """The trajectories of a split."""

    states: Tensor
    """``[trajectory, sample, variable]``, standardised where the spec says so."""
    seen: Tensor
    """``[trajectory, sample, observed]``: with noise."""


class Forecast(Task):
    """Say what will be observed some samples later.

    Latents: ``trajectory``, the number of the trajectory among those of the split, ``[example]``; and
    ``state``, the whole state at each sample, without noise, in the units of the inputs, ``[example, time,
    variable]``.
    """

    independent = True
    errors = frozenset({"mase"})
    spec: Any

    @abstractmethod
    def simulate(
        self, spec: Any, trajectories: int, samples: int, burn_in: int, spread: float, start: str, seed: int
    ) -> Tensor:
        """States ``[trajectory, sample, variable]`` in double precision."""

    def flow(self, spec: Any) -> Flow | None:
        """The rate of change of states ``[…, variable]``, where the state alone determines it."""
        raise NotImplementedError

    def spacing(self, spec: Any) -> tuple[float, int]:
        """Time between samples, and steps of the integration in it."""
        raise NotImplementedError

    def draw(self, spec: Any, examples: int, generator: torch.Generator) -> Batch:
        device = generator.device
        pool = self._pool(spec, device)
        chosen = torch.randint(spec.trajectories, (examples,), generator=generator, device=device)
        states, seen = pool.states[chosen], pool.seen[chosen]
        ahead = seen if spec.target == "observed" else states[..., _observed(spec, states)]
        latents = {"trajectory": chosen, "state": states[:, : spec.steps]}
        mask = torch.ones(examples, spec.steps, device=device)
        x, y = seen[:, : spec.steps], ahead[:, spec.horizon :]
        return Batch(x, y, mask, torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """Where the system goes from the state that it is in, of which the input may be a part.

        Raises :class:`AnalysisError` where there is noise, or where the state is the whole past.
        """
        spec, flow = self.spec, self.flow(self.spec)
        if spec.noise or flow is None:
            why = "a delay" if flow is None else "noise"
            raise AnalysisError(f"a forecast of {spec.system!r} has no oracle, since there is {why} in it.")
        mean, deviation = self._scale(spec)
        (every, substeps), state = self.spacing(spec), batch.latents["state"]
        now = (state.cpu().double() * deviation + mean).flatten(0, 1)
        for _ in range(spec.horizon * substeps):
            now = advance(flow, now, every / substeps)
        later = ((now - mean) / deviation).to(state).view_as(state)
        return later[..., _observed(spec, later)]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``mase``: mean absolute error, divided by that of saying that nothing changes; ``r2``: share of the
        variance of the target that the output explains."""
        error, naive = ((batch.y - guess).abs().mean(-1) for guess in (y, batch.x))
        return {"mase": mean_over_time(error, batch) / mean_over_time(naive, batch), "r2": r2(y, batch)}

    # The trajectories -----------------------------------------------------------------------

    def _pool(self, spec: Any, device: torch.device) -> Pool:
        key = (canonical_json(spec.canonical() | {"splits": {}, "part": spec.part}), str(device))
        if key not in _pools:
            _pools[key] = self._made(spec, device)
        _pools.move_to_end(key)
        while len(_pools) > POOLS:
            _pools.popitem(last=False)
        return _pools[key]

    def _made(self, spec: Any, device: torch.device) -> Pool:
        samples = spec.steps + spec.horizon
        seed = derive_seed("trajectories", spec.part)
        states = self.simulate(spec, spec.trajectories, samples, spec.burn_in, spec.spread, spec.start, seed)
        mean, deviation = self._scale(spec)
        states = ((states - mean) / deviation).float()
        seen = states[..., _observed(spec, states)]
        generator = torch.Generator().manual_seed(derive_seed("noise", spec.part))
        seen = seen + spec.noise * torch.randn(seen.shape, generator=generator)
        return Pool(states.to(device), seen.to(device))

    def _scale(self, spec: Any) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each variable on the attractor, or 0 and 1."""
        if not spec.standardise:
            return torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        kept = ("kind", "system", "parameters", "variables", "dt", "substeps")
        key = canonical_json({name: value for name, value in spec.canonical().items() if name in kept})
        if key not in _scales:
            states = self.simulate(spec, **REFERENCE, start="near", seed=derive_seed("reference")).flatten(
                0, 1
            )
            _scales[key] = states.mean(0), states.std(0)
        return _scales[key]


class Chaos(Forecast):
    """Forecast of one of the classical systems."""

    spec: ChaosSpec

    def simulate(
        self,
        spec: ChaosSpec,
        trajectories: int,
        samples: int,
        burn_in: int,
        spread: float,
        start: str,
        seed: int,
    ) -> Tensor:
        point, size = origin(spec.system, spec.dimension)
        state = _initial(point, size, trajectories, spread, start, seed)
        spacing = self.spacing(spec)
        flow = self.flow(spec)
        if flow is None:
            found = mackey_glass(spec.constants, state, samples, *spacing, burn_in)
        else:
            found = sample(flow, state, samples, *spacing, burn_in)
        return checked(torch.stack(found, 1), spec.system)

    def flow(self, spec: ChaosSpec) -> Flow | None:
        return FLOWS[spec.system](spec.constants) if spec.system in FLOWS else None

    def spacing(self, spec: ChaosSpec) -> tuple[float, int]:
        return spec.every, spec.substeps_each


class Dysts(Forecast):
    """Forecast of a system of the catalogue dysts. Raises :class:`MissingDependencyError` where it is not
    installed, :class:`SpecError` for what it does not have."""

    spec: DystsSpec

    def __init__(self, spec: DystsSpec) -> None:
        super().__init__(spec)
        entry = catalogue.entry(spec.system, spec.parameters)
        unknown = [index for index in spec.observed if index >= len(entry.point)]
        if unknown or set(spec.observed) & entry.unbounded:
            free = [k for k in range(len(entry.point)) if k not in entry.unbounded]
            raise SpecError(
                f"task.observed: {spec.system} has the variables {free}, not {list(spec.observed)}."
            )

    def simulate(
        self,
        spec: DystsSpec,
        trajectories: int,
        samples: int,
        burn_in: int,
        spread: float,
        start: str,
        seed: int,
    ) -> Tensor:
        entry = catalogue.entry(spec.system, spec.parameters)
        state = _initial(entry.point, entry.size, trajectories, spread, start, seed)
        found = sample(entry.flow, state, samples, *self.spacing(spec), burn_in)
        return checked(torch.stack(found, 1), spec.system)

    def flow(self, spec: DystsSpec) -> Flow | None:
        return catalogue.entry(spec.system, spec.parameters).flow

    def spacing(self, spec: DystsSpec) -> tuple[float, int]:
        every = spec.dt or catalogue.entry(spec.system, spec.parameters).period / 100
        return every, spec.substeps or 10


def _initial(point: Tensor, size: Tensor, count: int, spread: float, start: str, seed: int) -> Tensor:
    """States ``[trajectory, variable]`` to begin with."""
    generator = torch.Generator().manual_seed(seed)
    if start == "ray":
        factor = torch.rand(count, 1, generator=generator, dtype=torch.float64)
        return point * spread * factor
    deviates = torch.randn(count, len(point), generator=generator, dtype=torch.float64)
    return point + spread * size * deviates


def _observed(spec: ForecastSpec, states: Tensor) -> list[int]:
    return list(range(states.shape[-1]) if spec.observed is None else spec.observed)


_pools: OrderedDict[tuple[str, str], Pool] = OrderedDict()
_scales: dict[str, tuple[Tensor, Tensor]] = {}
