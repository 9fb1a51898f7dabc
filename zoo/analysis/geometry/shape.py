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


def cross_covariances(features: Sequence[Features]) -> Iterator[tuple[int, slice, Tensor]]:
    """``XᵢᵀXⱼ`` for all ``j > i``, many ``j`` at a time: ``(i, j's, [j, width, width])``.

    Shapes are padded with zero columns to one width, which changes neither singular values nor norms.
    """
    device = features[0].values.device
    width = max(feature.values.shape[1] for feature in features)
    padded = torch.stack(
        [torch.nn.functional.pad(f.values.to(device), (0, width - f.values.shape[1])) for f in features]
    )
    count, many = len(features), max(1, BLOCK // width**2)
    for i in range(count - 1):
        for start in range(i + 1, count, many):
            others = slice(start, min(start + many, count))
            yield i, others, padded[i].T @ padded[others]
