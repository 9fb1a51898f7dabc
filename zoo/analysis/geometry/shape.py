"""What CKA and Procrustes share: centred shapes of unit norm, and their cross-covariances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Features

BLOCK = 2**24
"""Numbers of cross-covariance held at once: 128 MiB."""


def unit_shape(states: Tensor) -> Tensor:
    """Samples × coordinates: centred, of unit Frobenius norm, with no more coordinates than samples.

    Where there are fewer samples than units, the coordinates are those in an orthonormal basis of the
    samples' span, which changes no inner product.
    """
    shape = states.flatten(0, 1)
    shape = shape / shape.abs().max()  # the square of a large number must not overflow
    shape = shape - shape.mean(0)
    if shape.shape[1] > shape.shape[0]:
        shape = torch.linalg.qr(shape.T, mode="r").R.T
    return shape / torch.linalg.norm(shape)


def cross_covariances(features: Sequence[Features], pairs: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """``XᵢᵀXⱼ`` of the pairs, many at a time: ``(pairs, [pair, width, width])``.

    Shapes are padded with zero columns to one width, which changes neither singular values nor norms.
    """
    shapes = [feature.values["shape"].to(pairs.device) for feature in features]
    width = max(shape.shape[1] for shape in shapes)
    padded = torch.stack([torch.nn.functional.pad(x, (0, width - x.shape[1])) for x in shapes])
    many = max(1, BLOCK // max(width**2, padded[0].numel()))
    for start in range(0, len(pairs), many):
        some = slice(start, start + many)
        i, j = pairs[some].T
        yield some, padded[i].mT @ padded[j]
