"""What comparators of geometry share: centred shapes of unit norm, and their products, many pairs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.analysis.base import Features

BLOCK = 2**24
"""Numbers of cross-covariance held at once: 128 MiB."""

SPARE = 8
"""A block of so many times the pairs that are asked for is still sooner computed than these one by one."""


def flat(states: Tensor) -> Tensor:
    """Samples × units ``[trial × time, unit]``, centred, with a largest value near 1."""
    shape = states.flatten(0, 1)
    shape = shape / shape.abs().max()  # the square of a large number must not overflow
    return shape - shape.mean(0)


def unit_shape(states: Tensor) -> Tensor:
    """Samples × coordinates: centred, of unit Frobenius norm, with no more coordinates than samples.

    Where there are fewer samples than units, the coordinates are those in an orthonormal basis of the
    samples' span, which changes no inner product.
    """
    shape = flat(states)
    if shape.shape[1] > shape.shape[0]:
        shape = torch.linalg.qr(shape.T, mode="r").R.T
    return shape / torch.linalg.norm(shape)


def evenly(states: Tensor, count: int) -> Tensor:
    """At most so many samples ``[1, sample, unit]`` of states ``[trial, time, unit]``, evenly spaced."""
    samples = states.flatten(0, 1)
    if count >= len(samples):
        return samples[None]
    chosen = torch.linspace(0, len(samples) - 1, count, dtype=torch.float64, device=states.device)
    return samples[chosen.round().long()][None]


def padded(features: Sequence[Features], name: str, like: Tensor) -> Tensor:
    """One of the features of all networks ``[network, …]``, with zeros up to the largest of each axis."""
    found = [feature.values[name].to(like.device) for feature in features]
    sizes = [max(each.shape[axis] for each in found) for axis in range(found[0].ndim)]
    filled = []
    for each in found:
        missing = [size - have for size, have in zip(sizes, each.shape, strict=True)]
        filled.append(F.pad(each, [n for gap in reversed(missing) for n in (0, gap)]))
    return torch.stack(filled)


def cross_covariances(
    features: Sequence[Features], pairs: Tensor, name: str = "shape", share: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """``XᵢᵀXⱼ`` of the pairs, many at a time: ``(rows of the pairs, [row, …, width, width])``.

    ``X`` is ``[…, sample, unit]``. Networks are padded with zero columns to one width, which changes neither
    singular values nor norms. Only one in ``share`` of the numbers of :data:`BLOCK` is held at once, for
    those who need several times as many.
    """
    stack = padded(features, name, pairs)
    some, others = (side.unique() for side in pairs.T)
    width, numbers = stack.shape[-1], stack[0, ..., 0, 0].numel()
    many = max(1, BLOCK // share // (numbers * width**2))
    if len(some) * len(others) > SPARE * len(pairs) or len(others) > many:
        many = min(many, max(1, BLOCK // share // stack[0].numel()))
        for rows in torch.arange(len(pairs), device=pairs.device).split(many):
            i, j = pairs[rows].T
            yield rows, stack[i].mT @ stack[j]
        return
    # A block of the matrix: one large product, for which no network is copied once a pair.
    right, (i, j) = _beside(stack[others]), pairs.T.contiguous()
    first, last = (torch.searchsorted(*each) for each in ((some, i), (others, j)))
    order = first.argsort(stable=True)
    count = max(1, many // len(others))
    for start in range(0, len(some), count):
        part = some[start : start + count]
        left = _beside(stack[part])
        products = (left.mT @ right).unflatten(-1, (-1, width)).unflatten(-3, (-1, width))
        rows = order[(first[order] >= start) & (first[order] < start + count)]
        products = products.movedim(-4, 0).movedim(-2, 1)  # [left, right, …, width, width]
        yield rows, products[first[rows] - start, last[rows]]


def _beside(stack: Tensor) -> Tensor:
    """Networks ``[network, …, sample, unit]`` side by side: ``[…, sample, network × unit]``."""
    return stack.movedim(0, -2).flatten(-2)
