"""What comes next? Forecasts of chaotic systems, partly and noisily observed."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from zoo.registry import suggest
from zoo.specs.base import Count, Name, NonNegative, Positive, Several, located
from zoo.specs.families import TaskSpec

MAX_POOL = 2**27
"""Numbers in the trajectories of a split."""
Index = Annotated[int, Field(ge=0, le=9999)]
Observed = Annotated[tuple[Index, ...], Field(strict=False, min_length=1)]


class System(NamedTuple):
    """What is known of a system; the equations are in ``zoo.tasks.flows``."""

    parameters: dict[str, float]
    dt: float
    """Time between samples where the spec gives none."""
    substeps: int
    """Steps of the integration between samples where the spec gives none."""


SYSTEMS = {
    "lorenz": System({"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}, 0.01, 1),
    "rossler": System({"a": 0.2, "b": 0.2, "c": 5.7}, 0.1, 2),
    "lorenz96": System({"forcing": 8.0}, 0.05, 2),
    "mackey-glass": System({"beta": 0.2, "gamma": 0.1, "n": 10.0, "tau": 17.0}, 1.0, 4),
}


class ForecastSpec(TaskSpec):
    """Base of forecasts: the input is what is observed, the target the same ``horizon`` samples later.

    Each split has trajectories of its own, simulated once in double precision; batches are drawn from them.
    Their noise belongs to them too, as in a recording.
    """

    steps: Several = 200
    """Length of a trial in samples, without those that are only targets."""
    horizon: Count = 1
    """How many samples ahead the target is."""
    observed: Observed | None = (0,)
    """Numbers of the variables that are inputs and targets; without it, all."""
    noise: NonNegative = 0.0
    """Deviation of white noise on what is observed; where it is standardised, in units of its deviation."""
    target: Literal["observed", "clean"] = "observed"
    """Whether the target has noise as well."""
    standardise: bool = True
    """Whether each variable has mean 0 and deviation 1 on the attractor."""
    dt: Positive | None = None
    """Time between samples; without it, what is usual for the system."""
    substeps: Count | None = None
    """Steps of the integration (Runge-Kutta, fourth order) between samples; without it, what is usual."""
    trajectories: Count = 1000
    """How many there are in each split."""
    burn_in: Annotated[int, Field(ge=0, le=10**6)] = 500
    """Samples that are discarded at the beginning."""
    start: Literal["near", "ray"] = "near"
    """Whether initial states are normal around a point of the attractor, or that point times a random
    factor."""
    spread: NonNegative = 0.1
    """Deviation of the initial states in units of that of the attractor, or the largest factor; factors are
    uniform, from 0."""
    part: Name = "train"
    """Which set of trajectories; a split has that of its own name."""
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 500}, "noisier": {"noise": 0.2}}

    def for_split(self, split: str) -> Self:
        found = super().for_split(split)
        if split == "train" or "part" in self.splits.get(split, {}):
            return found
        return found.updated(part=split, splits={})

    @property
    def width(self) -> int:
        """How many variables are observed."""
        raise NotImplementedError(f"{type(self).__name__} must say its width")

    @property
    def inputs(self) -> int:
        return self.width

    @property
    def outputs(self) -> int:
        return self.width

    @model_validator(mode="after")
    def _observed_once(self) -> Self:
        if self.observed is not None and len(set(self.observed)) < len(self.observed):
            raise located("names a variable twice", "observed")
        if self.trajectories * (self.steps + self.horizon) * max(1, self.width) > MAX_POOL:
            message = f"so many of {self.steps + self.horizon} samples are more than {MAX_POOL:,} numbers"
            raise located(message, "trajectories")
        return self


class ChaosSpec(ForecastSpec):
    """Forecast the Lorenz (1963), Rössler (1976) or Lorenz-96 (1996) system, or that of Mackey & Glass
    (1977).

    With ``steps: 499, dt: 0.01, burn_in: 200, start: ray, spread: 5.0, noise: 0.05, standardise: false`` the
    Lorenz system is observed as by Ostrow et al. (2024), "Delay embedding theory of neural sequence models".
    """

    kind: Literal["chaos"] = "chaos"
    defaults: ClassVar[dict[str, System]] = SYSTEMS

    system: Literal["lorenz", "rossler", "lorenz96", "mackey-glass"] = "lorenz"
    parameters: dict[str, float] = {}
    """Those that differ from the usual: sigma 10, rho 28, beta 8/3 (lorenz); a 0.2, b 0.2, c 5.7 (rossler);
    forcing 8 (lorenz96); beta 0.2, gamma 0.1, n 10, tau 17 (mackey-glass). Samples are 0.01, 0.1, 0.05 and 1
    apart."""
    variables: Annotated[int, Field(ge=4, le=10_000)] = 8
    """Of the Lorenz-96 system."""

    @property
    def dimension(self) -> int:
        """Variables of the system."""
        return {"lorenz": 3, "rossler": 3, "lorenz96": self.variables, "mackey-glass": 1}[self.system]

    @property
    def width(self) -> int:
        return self.dimension if self.observed is None else len(self.observed)

    @property
    def every(self) -> float:
        """Time between samples."""
        return self.dt or SYSTEMS[self.system].dt

    @property
    def substeps_each(self) -> int:
        """Steps of the integration between samples."""
        return self.substeps or SYSTEMS[self.system].substeps

    @property
    def constants(self) -> dict[str, float]:
        """All parameters."""
        return SYSTEMS[self.system].parameters | self.parameters

    @property
    def lag(self) -> float:
        """The delay of the Mackey-Glass system in steps of the integration."""
        return self.constants["tau"] / self.every * self.substeps_each

    @model_validator(mode="after")
    def _parameters_are_known(self) -> Self:
        known = SYSTEMS[self.system].parameters
        for name in self.parameters:
            if name not in known:
                have = f"it has {', '.join(known)}.{suggest(name, known)}"
                raise located(f"{self.system} has no parameter {name!r}; {have}", "parameters", name)
        if self.observed is not None and max(self.observed) >= self.dimension:
            raise located(f"{self.system} has the variables 0 … {self.dimension - 1}", "observed")
        if self.system == "mackey-glass":
            self._check_delay()
        return self

    def _check_delay(self) -> None:
        tau, step = self.constants["tau"], self.every / self.substeps_each
        simulated = self.every * (self.burn_in + self.steps + self.horizon)
        if tau < step * (1 - 1e-6):
            raise located(
                f"a delay of {tau:g} is less than one step of the integration, {step:g}", "parameters", "tau"
            )
        if tau > simulated:
            raise located(
                f"nothing comes back after a delay of {tau:g}: a trajectory ends at {simulated:g}",
                *("parameters", "tau"),
            )
        if abs(math.remainder(self.lag, 1)) > 1e-6:
            raise located(
                f"tau is {self.lag:g} steps of the integration, which has to be a whole number", "substeps"
            )


class DystsSpec(ForecastSpec):
    """Forecast a system of the catalogue ``dysts`` (Gilpin 2021), by its name there.

    The equations and parameters are read from the package, which has to be installed. Without ``dt``, there
    are 100 samples in the period that the catalogue gives.
    """

    kind: Literal["dysts"] = "dysts"

    system: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,60}$")]
    """For example Halvorsen, HindmarshRose or DoublePendulum."""
    parameters: dict[str, float] = {}
    """Those that differ from those of the catalogue."""
    observed: Observed = (0,)
    """Numbers of the variables that are inputs and targets."""

    @property
    def width(self) -> int:
        return len(self.observed)
