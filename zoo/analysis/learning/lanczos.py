"""The ends of the spectrum of a symmetric matrix that is known by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ritz:
    """What a Krylov space knows of a spectrum."""

    values: Tensor
    """Ritz values ``[k]``, ascending."""
    weights: Tensor
    """Of each, the squared part of the first vector: with the values, a quadrature of its density."""
    residuals: Tensor
    """|A v - λ v| of each: an eigenvalue is no further than that."""


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, iterations: int, tolerance: float) -> Ritz:
    """Ritz values from ``start`` ``[n]``, with every vector made orthogonal to all before it (Lanczos 1950).

    Ends after so many products, when both ends have residuals below ``tolerance`` × the largest |λ|, or when
    nothing is left to look at.
    """
    vectors, diagonal, beside = [start / start.norm()], list[Tensor](), list[Tensor]()
    while True:
        image = product(vectors[-1])
        diagonal.append(vectors[-1] @ image)
        basis = torch.stack(vectors)
        for _ in range(2):  # once is not enough where eigenvalues have converged
            image = image - (basis @ image) @ basis
        beta = image.norm()
        values, weights, residuals = _solved(diagonal, beside, beta)
        scale = values.abs().max()
        done = residuals[[0, -1]].max() <= tolerance * scale or beta <= 1e-12 * scale
        if done or len(vectors) >= min(iterations, len(start)):
            return Ritz(values, weights, residuals)
        beside.append(beta)
        vectors.append(image / beta)


def _solved(diagonal: list[Tensor], beside: list[Tensor], beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    matrix = torch.diag(torch.stack(diagonal))
    if beside:
        off = torch.stack(beside)
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors[0].square(), beta * vectors[-1].abs()
