"""Kernel dynamic mode decomposition of delay vectors, and the distance of its spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.dynamics.hankel import BLOCK, delay_vectors
from zoo.analysis.dynamics.scores import spectral_distances
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import KernelDSASpec

ROUNDING = 10.0
"""Squared lengths of functions, as shares of the largest, below so many times rounding are none."""
FAR = 1e100
"""Distances, in length scales, that are as good as infinite, and whose squares are finite."""
FAINT = 1e-3
"""No eigenvalue above this: the kernel does not reach from one sample to another."""


class KernelDSA(Comparator[KernelDSASpec]):
    """Optimal transport between the eigenvalues of kernel DMD, of all trials together (arXiv 2511.22828).

    Eigenvalues are those of :func:`kernel_eigenvalues`, which depend on the distances of delay vectors
    only: networks need share neither trials nor units. In a kernel of Gaussian shape even nonlinear
    dynamics are a linear operator; how much of it is seen depends on the ``length_scale``.
    """

    aligned = False
    independent = True
    invariances: tuple[str, ...] = ("orthogonal", "translation", "permutation of trials")

    def __init__(self, spec: KernelDSASpec) -> None:
        super().__init__(spec)
        if spec.length_scale is None:
            self.invariances = (*type(self).invariances, "isotropic scaling")

    @property
    def measure(self) -> str:
        return f"Kernel DSA distance ({'W₁' if self.spec.order == 1 else 'W₂'} between eigenvalues)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """The complex ``eigenvalues`` ``[trial * rank]``."""
        spec = self.spec
        found = kernel_eigenvalues(
            states,
            spec.delays,
            spec.interval,
            spec.rank,
            spec.length_scale,
            spec.centres,
            spec.ridge,
            calling(source.name),
        )
        return {"eigenvalues": found.flatten()}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """``distance``: W₁ or W₂, in units of eigenvalues."""
        return {"distance": spectral_distances(features, pairs, self.spec.order, squared=False)}


def kernel_eigenvalues(
    states: Tensor,
    delays: int,
    interval: int,
    rank: int,
    length_scale: float | None,
    centres: float,
    ridge: float,
    name: str,
) -> Tensor:
    """The leading eigenvalues of the one-step operator on functions of delay vectors, ``[trial, rank]``.

    Of each trial by itself: reduced rank regression between functions in the reproducing kernel Hilbert
    space of a Gaussian, restricted to those at a few centres and at their successors (Nyström; Kostic et
    al. 2022, Meanti et al. 2023). Centres are drawn from a fixed seed, the same samples of every trial.

    Args:
        states: ``[trial, time, unit]``, float64.
        length_scale: Standard deviation of the kernel; without a number, the root mean square distance
            of the delay vectors of a trial.
        centres: Share of a trial's transitions that are centres; never fewer than twice the rank, where
            there are as many.
        ridge: Added to the covariance of functions, whose trace is at most 1.

    Raises:
        AnalysisError: Trials are too short for the delays or the rank, a trial does not change, or the
            length scale is so small that samples have nothing in common, or so large that they are all one.
    """
    _, steps, units = states.shape
    rows = steps - (delays - 1) * interval
    if rows - 1 < rank:
        raise AnalysisError(
            f"kernel-dsa fits each trial by itself: {rank} eigenvalues with {delays} delays at interval "
            f"{interval} need trials of {(delays - 1) * interval + rank + 1} steps, and those of {name} have "
            f"{steps}. Lower 'rank', 'delays' or 'interval', or give longer trials."
        )
    few = min(rows - 1, max(ceil(centres * (rows - 1)), 2 * rank))
    drawn = torch.randperm(rows - 1, generator=torch.Generator().manual_seed(0))[:few].to(states.device)
    found = []
    for some in states.split(max(1, BLOCK // (rows * max(delays * units, few)))):
        vectors = delay_vectors(some, delays, interval, slice(0, rows))
        found.append(_eigenvalues(_scaled(vectors, length_scale, name), drawn, rank, ridge, name))
    values = torch.cat(found)
    if bool((values.abs().amax(1) < FAINT).any()):
        raise AnalysisError(
            f"the kernel of kernel-dsa does not reach from one sample of {name} to the next. Raise "
            "'length_scale', or leave it out."
        )
    return values


def _scaled(vectors: Tensor, length_scale: float | None, name: str) -> Tensor:
    """Delay vectors ``[trial, row, coordinate]`` around zero, in units of the length scale."""
    if length_scale is not None:
        return ((vectors - vectors.mean(1, keepdim=True)) / length_scale).clamp(-FAR, FAR)
    size = vectors.abs().amax((1, 2), keepdim=True)
    vectors = vectors / size.where(size > 0, 1.0)  # squares of very large or small states stay in range
    centred = vectors - vectors.mean(1, keepdim=True)
    spread = (2 * centred.square().sum(2).mean(1)).sqrt()
    still = spread <= torch.finfo(spread.dtype).eps * vectors.shape[2] ** 0.5
    if bool(still.any()):
        raise AnalysisError(
            f"kernel-dsa finds no length scale for {name}: one of its trials does not change. Set "
            "'length_scale' to a number, or leave that trial out."
        )
    return centred / spread[:, None, None]


def _eigenvalues(vectors: Tensor, drawn: Tensor, rank: int, ridge: float, name: str) -> Tensor:
    """Eigenvalues of each trial's operator, ``[trial, rank]``; vectors are in units of the length scale."""
    before, after = vectors[:, :-1], vectors[:, 1:]
    inputs, outputs = before[:, drawn], after[:, drawn]
    # Functions are coordinates in orthonormal bases of those at the centres, and at their successors.
    basis_in, basis_out = (_whitening(_gaussian(some, some), rank, name) for some in (inputs, outputs))
    seen = _gaussian(before, inputs) @ basis_in
    following = _gaussian(after, outputs) @ basis_out
    covariance = seen.mT @ seen / seen.shape[1]
    covariance.diagonal(dim1=1, dim2=2).add_(ridge)
    lower = torch.linalg.cholesky(covariance)
    # Least squares is ``W L⁻¹`` in these terms, and the best of a rank keeps leading directions of ``W``.
    weights = torch.linalg.solve_triangular(lower, seen.mT @ following / seen.shape[1], upper=False).mT
    left, size, right = torch.linalg.svd(weights, full_matrices=False)
    left, right = left[..., :rank], size[:, :rank, None] * right[:, :rank]
    # From successors back to centres, where the next step begins.
    again = basis_in.mT @ (_gaussian(inputs, outputs) @ (basis_out @ left))
    return torch.linalg.eigvals(right @ torch.linalg.solve_triangular(lower, again, upper=False))


def _whitening(gram: Tensor, rank: int, name: str) -> Tensor:
    """``[trial, centre, coordinate]``: what makes kernels with the centres orthonormal coordinates."""
    values, vectors = torch.linalg.eigh(gram)
    least = ROUNDING * torch.finfo(gram.dtype).eps * gram.shape[-1] * values[:, -1:]
    there = values > least
    if (found := int(there.sum(1).min())) < rank:
        raise AnalysisError(
            f"kernel-dsa cannot use rank {rank} for {name}: of the kernel functions at the centres of one of "
            f"its trials, {found} differ by more than rounding. Set 'rank' to at most {found}, or lower "
            "'length_scale'."
        )
    return vectors * torch.where(there, values, torch.inf).rsqrt()[:, None, :]


def _gaussian(a: Tensor, b: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(a, b).square() / 2)
