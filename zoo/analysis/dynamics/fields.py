"""Operators of unit norm, with what no rotation changes out of the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.analysis.dynamics.orthogonal import skew, symmetric
from zoo.errors import AnalysisError

BLOCK = {"cpu": 2**22, "cuda": 2**27}
"""Numbers in one batch of matrices."""


@dataclass(frozen=True)
class Fields:
    """Operators of unit norm, split so that what no rotation changes is out of the way."""

    trace: Tensor
    """``[operator]``: the multiple of the identity."""
    size: Tensor
    """``[operator]``: the norm of the rest."""
    traceless: Tensor
    """``[operator, n, n]``: the rest, of unit norm, in the eigenbasis of its symmetric part."""
    spectra: tuple[Tensor, Tensor, Tensor]
    """Of each: eigenvalues of the symmetric part, singular values of the skew part and of the whole."""
    basis: Tensor
    """``[operator, n, n]``: the eigenbasis."""

    @classmethod
    def of(cls, operators: Tensor) -> Fields:
        """Raises :class:`AnalysisError` for what are no operators, or have no direction."""
        operators = checked_operators(operators)
        operators = operators / operators.flatten(1).norm(dim=1)[:, None, None]
        identity = torch.eye(operators.shape[-1]).to(operators)
        trace = operators.diagonal(dim1=1, dim2=2).mean(1)
        rest = operators - trace[:, None, None] * identity
        size = rest.flatten(1).norm(dim=1)
        rest = rest / size.clamp_min(torch.finfo(size.dtype).tiny)[:, None, None]
        values, basis = torch.linalg.eigh(symmetric(rest))
        rest = basis.mT @ rest @ basis
        turning = torch.linalg.svdvals(skew(rest))
        return cls(trace, size, rest, (values, turning, torch.linalg.svdvals(rest)), basis)

    def residual(self, i: Tensor, j: Tensor, gap: Tensor) -> Tensor:
        """Residuals of whole operators, from ``gap = ‖A - C B Cᵀ‖²`` of their traceless parts."""
        identity = (self.trace[i] - self.trace[j]).square() * self.traceless.shape[-1]
        rest = (self.size[i] - self.size[j]).square() + self.size[i] * self.size[j] * gap
        return (identity + rest).sqrt()

    def bound(self, i: Tensor, j: Tensor) -> Tensor:
        """Hoffman and Wielandt's inequality for the symmetric and skew parts, Mirsky's for the whole."""
        even, odd, whole = ((values[i] - values[j]).square().sum(1) for values in self.spectra)
        return self.residual(i, j, torch.maximum(even + odd, whole))

    def turned(self, pairs: Tensor) -> Tensor:
        """``[pair]``: whether the second operator goes first, by a number that no rotation changes."""
        fourth = self.spectra[2].pow(4).sum(1)
        return fourth[pairs[:, 0]] > fourth[pairs[:, 1]]


def blocks(pairs: int, starts: int, operators: Tensor) -> Iterator[slice]:
    memory = BLOCK.get(operators.device.type, BLOCK["cuda"])
    block = max(1, memory // (max(1, starts) * operators.shape[-1] ** 2))
    return (slice(first, min(first + block, pairs)) for first in range(0, pairs, block))


def checked_operators(operators: Tensor) -> Tensor:
    """Operators ``[operator, n, n]`` in double precision.

    Raises :class:`AnalysisError` for what are no operators, or have no direction.
    """
    if operators.ndim != 3 or operators.shape[1] != operators.shape[2] or operators.is_complex():
        raise AnalysisError(
            f"operators of shape {tuple(operators.shape)} and type {operators.dtype} cannot be aligned: "
            "give real ones, [operator, n, n]."
        )
    operators = operators.double()
    norms = operators.flatten(1).norm(dim=1)
    wrong = ~torch.isfinite(norms) | (norms == 0)
    if bool(wrong.any()):
        raise AnalysisError(
            f"operator {int(wrong.nonzero()[0])} is zero or not finite, so it has no direction to "
            "compare. Look at the states that it was fitted to."
        )
    return operators
