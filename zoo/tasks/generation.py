"""What samplers are asked for: images of a bump at a place, points of a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.generation import BumpsSpec, GenerationSpec, MixtureSpec
from zoo.tasks.base import Batch, Task

WITHIN = 1.0
"""Pixels, along each axis, that a bump may be off its place."""
LARGEST = 3.0
"""A bump covers at most so many times the area that one of its width has at half height."""
NEAR = 4.0
"""Deviations of a mode within which a point belongs to it."""


class Generation(Task):
    """Base of tasks whose last step is a sample."""

    independent = True
    spec: GenerationSpec

    def asked(
        self,
        spec: GenerationSpec,
        condition: Tensor,
        answers: Tensor,
        generator: torch.Generator,
        latents: dict[str, Tensor],
    ) -> Batch:
        """Trials that begin with noise, and ask for ``answers`` ``[example, output]`` at the last step."""
        examples, device = len(condition), generator.device
        drawn = spec.steps if spec.noise == "every" else 1
        noise = torch.randn((examples, drawn, spec.outputs), generator=generator, device=device)
        x = torch.zeros(examples, spec.steps, spec.inputs, device=device)
        x[:, :, : spec.condition] = condition[:, None]
        x[:, :drawn, spec.condition :] = noise
        y = answers[:, None].expand(-1, spec.steps, -1)
        mask = torch.zeros(examples, spec.steps, device=device)
        mask[:, -1] = 1
        return Batch(x, y, mask, torch.zeros(examples), latents)


class Bumps(Generation):
    """A bump at a place. Latents: ``x`` and ``y``, in pixels, ``[example]``."""

    spec: BumpsSpec

    def draw(self, spec: BumpsSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        places = region(spec).to(device)
        number = torch.randint(len(places), (examples,), generator=generator, device=device)
        place = places[number]
        if spec.between:
            off = torch.rand((examples, 2), generator=generator, device=device) - 0.5
            last = places.new_tensor([axis[-1] for axis in spec.places()])
            place = torch.minimum((place + off * places.new_tensor(spec.spacing)).clamp_min(0), last)
        image = bumps(spec, place).flatten(1)
        return self.asked(spec, place, image, generator, {"x": place[:, 0], "y": place[:, 1]})

    def oracle(self, batch: Batch) -> Tensor:
        """The image of a bump at the place that is asked for."""
        return bumps(self.spec, batch.x[..., :2]).flatten(-2)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of the image at the last step: ``bumps``, how many connected parts are above half height, or 0
        where one of them is larger than bumps are; ``single``, 1 where there is one; ``x_accuracy`` and
        ``y_accuracy``, 1 where that one is within a pixel of its place along the axis, and ``accuracy``,
        along both."""
        spec = self.spec
        image = y[:, -1].unflatten(-1, (spec.size, spec.size))
        bright, label = parts(image > 0, spec.periodic)
        pixels = torch.arange(spec.size, device=y.device).to(y.dtype)
        areas = torch.zeros(len(y), spec.size**2, dtype=y.dtype, device=y.device)
        areas.scatter_add_(1, label.flatten(1), bright.flatten(1).to(y.dtype))
        largest = LARGEST * 2 * math.pi * math.log(2) * spec.width[0] * spec.width[1] + 4
        count = torch.where((areas > largest).any(1), 0, (areas > 0).sum(1))
        single = count == 1
        weight = torch.where(bright, (image + 1) / 2, 0)
        near = {}
        for axis, name in ((1, "x"), (2, "y")):
            centre = middle(weight.sum(axis), pixels, spec)
            off = (centre - batch.x[:, -1, axis - 1]).abs()
            if spec.periodic:
                off = torch.minimum(off, spec.size - off)
            near[name] = single & (off <= WITHIN)
        found = {"accuracy": near["x"] & near["y"], "x_accuracy": near["x"], "y_accuracy": near["y"]}
        return {
            **{name: value.to(y.dtype) for name, value in found.items()},
            "single": single.to(y.dtype),
            "bumps": count.to(y.dtype),
        }


class Mixture(Generation):
    """A point of a class. Latents: ``class`` and ``mode`` that the target was drawn from, ``[example]``."""

    spec: MixtureSpec

    def draw(self, spec: MixtureSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        mode = torch.randint(spec.classes * spec.modes, (examples,), generator=generator, device=device)
        spread = torch.randn((examples, 2), generator=generator, device=device)
        point = modes(spec).to(device)[mode] + spec.deviation * spread
        kind = mode % spec.classes
        condition = F.one_hot(kind, spec.classes).to(point.dtype)
        return self.asked(spec, condition, point, generator, {"class": kind, "mode": mode})

    def noise(self, x: Tensor, kept: Tensor, condition: Tensor) -> Tensor:
        """The best estimate E[ε | x, c] of the noise in points, ``[…, 2]``, in closed form.

        ``x`` ``[…, 2]`` is √ᾱ x₀ + √(1-ᾱ) ε with ᾱ = ``kept`` ``[…]``, and ``condition`` ``[…, class]`` the
        shares of classes. Of a mixture whose modes have the variance s² = ᾱ σ² + 1 - ᾱ, it is
        √(1-ᾱ) (x - √ᾱ m) / s², averaged over the modes by how likely they are.
        """
        spec = self.spec
        centres = kept.sqrt()[..., None, None] * modes(spec).to(x)
        variance = (kept * spec.deviation**2 + 1 - kept)[..., None]
        apart = x[..., None, :] - centres
        chance = condition.repeat_interleave(1, -1).repeat(*[1] * (condition.dim() - 1), spec.modes)
        likely = torch.softmax(chance.log() - apart.square().sum(-1) / (2 * variance), -1)
        return ((1 - kept).sqrt()[..., None] / variance) * (likely[..., None] * apart).sum(-2)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the point at the last step is within four deviations of a mode, and the
        nearest mode is one of the class."""
        spec = self.spec
        apart = torch.cdist(y[:, -1], modes(spec).to(y))
        least, nearest = apart.min(1)
        right = (nearest % spec.classes) == batch.x[:, -1, : spec.classes].argmax(1)
        return {"accuracy": (right & (least <= NEAR * spec.deviation)).to(y.dtype)}


def region(spec: BumpsSpec) -> Tensor:
    """The places of a region, ``[place, 2]``."""
    places = torch.cartesian_prod(*(torch.tensor(axis) for axis in spec.places()))
    if spec.hole is None or spec.region == "all":
        return places
    x, y = ((places >= spec.hole[0]) & (places <= spec.hole[1])).unbind(1)
    kept = {"seen": ~(x & y), "hole": x & y, "x-arm": x & ~y, "y-arm": ~x & y}[spec.region]
    return places[kept]


def bumps(spec: BumpsSpec, place: Tensor) -> Tensor:
    """Images ``[…, row, column]`` in [-1, 1] of bumps at ``place`` ``[…, 2]``, in pixels."""
    pixels = torch.arange(spec.size, device=place.device).to(place.dtype)
    off = (pixels - place[..., None]).abs()
    if spec.periodic:
        off = torch.minimum(off, spec.size - off)
    x, y = torch.exp(-0.5 * (off / place.new_tensor(spec.width)[:, None]).square()).unbind(-2)
    return 2 * y[..., :, None] * x[..., None, :] - 1


def parts(bright: Tensor, periodic: bool = False) -> tuple[Tensor, Tensor]:
    """Connected parts of masks ``[image, row, column]``, corners included: the masks, and for each pixel of
    one, the number of the last pixel of its part (0 elsewhere)."""
    size = bright.shape[-1]
    number = torch.arange(size * size, device=bright.device).view(size, size).to(torch.float32)
    label = torch.where(bright, number + 1, 0.0)
    while True:
        around = F.pad(label[:, None], (1, 1, 1, 1), "circular" if periodic else "constant")
        grown = torch.where(bright, F.max_pool2d(around, 3, 1)[:, 0], 0.0)
        if torch.equal(grown, label):
            return bright, (label - 1).clamp_min(0).long()
        label = grown


def middle(weight: Tensor, pixels: Tensor, spec: BumpsSpec) -> Tensor:
    """Where the middle of ``weight`` ``[image, pixel]`` is, in pixels; 0 where there is none."""
    total = weight.sum(1).clamp_min(1e-12)
    if not spec.periodic:
        return (weight * pixels).sum(1) / total
    angle = 2 * math.pi * pixels / spec.size
    mean = torch.atan2((weight * angle.sin()).sum(1), (weight * angle.cos()).sum(1))
    return (mean % (2 * math.pi)) * spec.size / (2 * math.pi)


def modes(spec: MixtureSpec) -> Tensor:
    """Centres of the modes ``[mode, 2]``; mode k is of class k modulo the classes."""
    angle = 2 * math.pi * torch.arange(spec.classes * spec.modes) / (spec.classes * spec.modes)
    return spec.radius * torch.stack([angle.cos(), angle.sin()], 1)
