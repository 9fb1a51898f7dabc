"""Samplers: networks that estimate noise, whose reverse process is a dynamics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Fraction, NonNegative, Positive, located
from zoo.specs.families import ModelSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec

Width = Annotated[int, Field(ge=1, le=10_000)]
LEFT = 0.05
"""Share of what is sampled that the noisiest level may still hold: samples begin at noise alone."""


class DiffusionSpec(ModelSpec):
    """What samplers share: levels of noise, a schedule (Ho et al. 2020), and how the reverse process goes.

    Of what a task gives as input, the last channels, as many as its outputs, are noise, and those before them
    are the condition. A step of the model is one of the reverse process, by the implicit sampler (Song et al.
    2021, eq. 12), which is ancestral where ``eta`` is 1.
    """

    offers: ClassVar[frozenset[str]] = frozenset({"denoiser"})

    levels: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Levels of noise that are learned, T."""
    betas: Annotated[tuple[Positive, Positive], Field(strict=False)] = (1e-4, 0.02)
    """Variance that the first and the last level add; those between lie on a line."""
    steps: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Of the reverse process, from the last level to none, evenly over the levels. After them it rests."""
    eta: Fraction = 0.0
    """Share of the noise of ancestral sampling that is added after each step: 0 is deterministic."""
    predicts: Literal["noise", "velocity"] = "noise"
    """What the network gives: the noise ε, or the velocity √ᾱ ε - √(1-ᾱ) x₀ (Salimans & Ho 2022), whose loss
    weighs the levels with much noise, where the condition tells most, by 1/ᾱ more."""
    guidance: NonNegative = 1.0
    """How far estimates go from those without the condition to those with it, and beyond (Ho & Salimans 2022;
    their 1 + w): 1 is plain conditional sampling, 0 leaves the condition out."""
    clip: Positive | None = None
    """Estimates of what is sampled are clipped to ± this."""
    embedding: Annotated[int, Field(ge=2, le=10_000, multiple_of=2)] = 32
    """Width of the sinusoidal encodings of the level and of each number of the condition."""
    wavelengths: Annotated[tuple[Positive, Positive], Field(strict=False)] = (4.0, 64.0)
    """Shortest and longest of the encodings of the condition, in its unit: at least twice its range, or
    conditions alias."""

    @model_validator(mode="after")
    def _levels_end_in_noise(self) -> Self:
        if self.steps > self.levels:
            raise located(f"should be at most {self.levels}, as there are so many levels", "steps")
        for name in ("betas", "wavelengths"):
            first, last = getattr(self, name)
            if first > last:
                raise located(f"should ascend, and {first:g} is above {last:g}", name)
        if self.betas[1] >= 1:
            raise located("should be below 1", "betas")
        left = math.sqrt(math.prod(1 - beta for beta in self.beta()))
        if left > LEFT:
            mean = max((self.betas[0] + self.betas[1]) / 2, 1e-12)
            enough = math.log(LEFT) * -2 / self.levels / mean
            raise located(
                f"leave {left:.2g} of what is sampled at the last of {self.levels} levels, which should be "
                f"noise alone, at most {LEFT:g}: give more levels, or betas about {enough:.1f} times these",
                "betas",
            )
        return self

    def beta(self) -> list[float]:
        """The variance that each level adds, ``[levels]``."""
        first, last = self.betas
        return [first + (last - first) * k / max(1, self.levels - 1) for k in range(self.levels)]

    def check(self, experiment: ExperimentSpec) -> None:
        learner, task = experiment.learner, experiment.task
        if learner.learns and getattr(learner, "needs", "") != "denoiser":
            raise located(
                f"should be 'denoising', or none: {learner.kind!r} would go back through all {self.steps} "
                "steps of the sampler",
                "learner",
                "kind",
            )
        if task.inputs < task.outputs or not hasattr(task, "condition"):
            raise located(
                f"gives no noise to begin with: {self.kind!r} samples for tasks such as 'bumps'",
                "task",
                "kind",
            )
        for split in task.split_names():
            steps = getattr(task.for_split(split), "steps", self.steps)
            if steps != self.steps:
                raise located(
                    f"{self.steps} steps of the sampler, and a trial of the split {split} has {steps}: make "
                    "them equal",
                    "model",
                    "steps",
                )
        if learner.learns and self.guidance != 1 and not getattr(learner, "dropout", 1):
            raise located(
                f"of {self.guidance:g} needs estimates without the condition: give learner.dropout, for "
                "example 0.1",
                "model",
                "guidance",
            )


class UNetDiffusionSpec(DiffusionSpec):
    """Denoising diffusion of square images by a U-Net (Ho et al. 2020; Liang et al. 2024).

    Each resolution has a block on the way down and one on the way up, with a skip between them, and halves
    the one before; attention is at the lowest one. Encodings of the level and of the condition go to every
    block. The site ``latent`` is what the last block on the way down
    gives, ``middle`` what the bottleneck makes of it, each as ``[channel, row, column]``, flat.
    """

    kind: Literal["unet-diffusion"] = "unet-diffusion"
    clip: Positive | None = 1.0
    channels: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=8)] = (16, 32, 64)
    """Of each resolution, from that of the image to the lowest."""
    groups: Count = 4
    """Of channels that are normalised together."""
    attention: bool = True
    """Whether there is self-attention in the middle."""

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        for channels in self.channels:
            if channels % self.groups:
                raise located(f"{self.groups} groups do not divide {channels} channels", "groups")
        return self

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        outputs, halved = experiment.task.outputs, 2 ** (len(self.channels) - 1)
        side = math.isqrt(outputs)
        if side * side != outputs or side % halved:
            raise located(
                f"halve an image {len(self.channels) - 1} times, and the task gives {outputs} pixels: its "
                f"side should be a multiple of {halved}",
                "model",
                "channels",
            )


class MLPDiffusionSpec(DiffusionSpec):
    """Denoising diffusion of a few numbers by a perceptron, which sees them with all encodings.

    The site ``latent`` is its last hidden layer.
    """

    kind: Literal["mlp-diffusion"] = "mlp-diffusion"
    hidden: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=20)] = (64, 64)
