"""Where am I, and which way do I look? Velocity has to be integrated."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.navigation import HeadDirectionSpec, PathIntegrationSpec
from zoo.tasks.base import Batch, Task
from zoo.tasks.directions import difference
from zoo.tasks.drawing import autoregression
from zoo.tasks.scores import mean_over_time, r2

DECODED = 3
"""Cells whose centres are averaged where a code is read, the most active ones (Krishna et al. 2024)."""


class HeadDirection(Task):
    """Keep track of a direction by turns alone.

    Latents, ``[example, time]``: ``direction`` in radians, in [-π, π), and ``turn``, the true one.
    """

    independent = True
    errors = frozenset({"angle_error"})
    spec: HeadDirectionSpec

    def draw(self, spec: HeadDirectionSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        start = 2 * math.pi * torch.rand(examples, 1, generator=generator, device=device)
        start = start if spec.start == "random" else torch.zeros_like(start)
        white = torch.randn(*shape, 1, generator=generator, device=device)
        turn = spec.turning * spec.dt * autoregression(white, spec.memory)[..., 0]
        turn = turn.abs() if spec.one_way else turn
        direction = difference(start + turn.cumsum(1), torch.zeros_like(turn))
        seen = turn + spec.noise * math.sqrt(spec.dt) * torch.randn(shape, generator=generator, device=device)
        latents = {"direction": direction, "turn": turn}
        y = _heading_code(spec, direction)
        cue = (
            torch.cat([start.cos(), start.sin()], 1)
            if spec.cue == "coordinates"
            else _heading_code(spec, start)[:, 0]
        )
        x = _with_cue(seen[..., None], cue, spec.start)
        return Batch(x, y, torch.ones(shape, device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """The sum of what was seen."""
        spec, cue = self.spec, batch.x[:, 0, 1:]
        if spec.start == "zero":
            start = torch.zeros_like(batch.x[:, 0, :1])
        elif spec.cue == "coordinates" or spec.code == "cos-sin":
            start = torch.atan2(cue[:, 1:2], cue[:, :1])
        else:
            start = _read(cue, _headings(spec, cue), spec.spread)
            start = torch.atan2(start[:, 1:], start[:, :1])
        return _heading_code(spec, start + batch.x[..., 0].cumsum(1))

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``angle_error``: mean distance from the true direction in radians, where cells are read by the
        mean direction of the three most active ones; ``r2``: share of the variance of the target that is
        explained."""
        error = difference(self.held(y), self.true(batch))[..., 0].abs()
        return {"angle_error": mean_over_time(error, batch), "r2": r2(y, batch)}

    def held(self, y: Tensor) -> Tensor:
        """The direction that outputs ``[…, output]`` stand for, in radians ``[…, 1]``."""
        if self.spec.code == "cells":
            y = _mean_centre(y, _headings(self.spec, y))
        return torch.atan2(y[..., 1:2], y[..., :1])

    def true(self, batch: Batch) -> Tensor:
        """The direction after each step in radians ``[example, time, 1]``."""
        return batch.latents["direction"][..., None]


class PathIntegration(Task):
    """Keep track of a position by displacements alone.

    Latents: ``position``, ``[example, time, 2]`` in metres, ``x_position`` and ``y_position``, its parts,
    and ``heading``, in which the walker faced at the step, in radians, ``[example, time]``.
    """

    independent = True
    errors = frozenset({"position_error"})
    spec: PathIntegrationSpec

    def draw(self, spec: PathIntegrationSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        first = torch.rand(examples, 3, generator=generator, device=device)
        speed = torch.rand(shape, generator=generator, device=device)
        speed = spec.speed * spec.dt * (-2 * torch.log1p(-speed)).sqrt()
        turns = spec.turning * spec.dt * torch.randn(shape, generator=generator, device=device)
        start = spec.box * (first[:, :2] - 0.5)
        start = start if spec.start == "random" else torch.zeros_like(start)
        position, heading = _walk(spec, start, 2 * math.pi * first[:, 2], speed, turns)
        moved = position.diff(dim=1, prepend=start[:, None])
        white = torch.randn(*shape, 2, generator=generator, device=device)
        seen = moved + spec.noise * math.sqrt(spec.dt) * white
        if spec.velocity == "polar":
            length = seen.norm(dim=-1, keepdim=True)
            seen = torch.cat([length, seen / length.clamp_min(1e-12)], -1)
        latents = {"position": position, "heading": heading}
        latents |= {"x_position": position[..., 0], "y_position": position[..., 1]}
        cue = start if spec.cue == "coordinates" else _place_code(spec, start)
        x, y = _with_cue(seen, cue, spec.start), _place_code(spec, position)
        return Batch(x, y, torch.ones(shape, device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """The sum of what was seen."""
        spec, x = self.spec, batch.x
        moved, cue = (
            (x[..., :2], x[:, 0, 2:])
            if spec.velocity == "cartesian"
            else (x[..., :1] * x[..., 1:3], x[:, 0, 3:])
        )
        if spec.start == "centre":
            start = torch.zeros_like(moved[:, 0])
        elif spec.cue == "coordinates" or spec.code == "position":
            start = cue
        else:
            start = _read(cue, _places(spec, cue), spec.width)
        return _place_code(spec, start[:, None] + moved.cumsum(1))

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``position_error``: mean distance from the true position in metres, where cells are read by the
        mean centre of the three most active ones; ``r2``: share of the variance of the target that is
        explained."""
        error = (self.held(y) - self.true(batch)).norm(dim=-1)
        return {"position_error": mean_over_time(error, batch), "r2": r2(y, batch)}

    def held(self, y: Tensor) -> Tensor:
        """The position that outputs ``[…, output]`` stand for, in metres ``[…, 2]``."""
        return y if self.spec.code == "position" else _mean_centre(y, _places(self.spec, y))

    def true(self, batch: Batch) -> Tensor:
        """The position after each step in metres ``[example, time, 2]``."""
        return batch.latents["position"]


def _walk(
    spec: PathIntegrationSpec, start: Tensor, heading: Tensor, speed: Tensor, turns: Tensor
) -> tuple[Tensor, Tensor]:
    """Positions after each step ``[example, time, 2]`` and headings at it ``[example, time]``.

    Near a wall, a walker who faces it turns along it after the step, which is a shorter one; and none goes
    through it, or what is learnt would be ill-defined.
    """
    half, anchor = spec.box / 2, torch.tensor(spec.anchor, device=start.device)
    quarter, position = math.pi / 2, start
    places, headings = [], []
    for length, turn in zip(speed.unbind(1), turns.unbind(1), strict=True):
        x, y = position.unbind(1)
        nearest, wall = torch.stack([half - x, half - y, half + x, half + y], 1).min(1)
        facing = difference(heading, wall * quarter)
        heeds = (nearest < spec.border) & (facing.abs() < quarter)
        length = torch.where(heeds, spec.slowing * length, length)
        along = torch.where(heeds, facing.sign() * (quarter - facing.abs()), 0.0)
        step = length[:, None] * torch.stack([heading.cos(), heading.sin()], 1)
        headings.append(heading)
        position = (position + step + spec.drift * (anchor - position)).clamp(-half, half)
        places.append(position)
        heading = heading + along + turn
    return torch.stack(places, 1), difference(torch.stack(headings, 1), torch.zeros_like(turns))


def _with_cue(seen: Tensor, cue: Tensor, start: str) -> Tensor:
    """What is seen at each step, and at the first one where it begins."""
    if start != "random":
        return seen
    return torch.cat([seen, F.pad(cue[:, None], (0, 0, 0, seen.shape[1] - 1))], -1)


# Codes --------------------------------------------------------------------------------------------


def _heading_code(spec: HeadDirectionSpec, direction: Tensor) -> Tensor:
    if spec.code == "cos-sin":
        return torch.stack([direction.cos(), direction.sin()], -1)
    preferred = torch.linspace(-math.pi, math.pi, spec.cells + 1, device=direction.device)[:-1]
    return ((torch.cos(direction[..., None] - preferred) - 1) / spec.spread**2).exp()


def _place_code(spec: PathIntegrationSpec, position: Tensor) -> Tensor:
    if spec.code == "position":
        return position
    centres = _places(spec, position)
    distance = (position[..., None, :] - centres).square().sum(-1)
    return torch.softmax(-distance / (2 * spec.width**2), -1)


def _headings(spec: HeadDirectionSpec, like: Tensor) -> Tensor:
    """Cosine and sine of the preferred directions of the cells, ``[cell, 2]``."""
    preferred = torch.linspace(-math.pi, math.pi, spec.cells + 1, device=like.device, dtype=like.dtype)[:-1]
    return torch.stack([preferred.cos(), preferred.sin()], -1)


def _places(spec: PathIntegrationSpec, like: Tensor) -> Tensor:
    """Centres of the cells in metres, ``[cell, 2]``."""
    return spec.box * (_uniform(spec.cells, spec.cells_seed).to(like) - 0.5)


@cache
def _uniform(cells: int, seed: int) -> Tensor:
    return torch.rand(cells, 2, generator=torch.Generator().manual_seed(seed))


def _mean_centre(activity: Tensor, centres: Tensor) -> Tensor:
    """Mean centre of the most active cells, ``[…, 2]``."""
    return centres[activity.topk(DECODED, -1).indices].mean(-2)


def _read(activity: Tensor, centres: Tensor, width: float) -> Tensor:
    """What cells without noise stand for, ``[example, 2]``, exactly: the logarithm of their activity is
    centre · place / width² but for a constant and the norm of the centre."""
    best = activity.topk(min(16, len(centres)), -1)
    where = centres[best.indices]
    level = width**2 * best.values.log() + where.square().sum(-1) / 2
    design = torch.cat([where, torch.ones_like(where[..., :1])], -1)
    return torch.linalg.lstsq(design.double(), level.double()[..., None]).solution[:, :2, 0].to(activity)
