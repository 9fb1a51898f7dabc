"""Exact inductive bias: how improbable a small test error is of functions that fit the examples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.bias.examples import different
from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Calculation, Found
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.specs.analyses.bias import InductiveBiasSpec
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCK = 2**24
"""Normal numbers that are drawn at once."""


class InductiveBias(Calculation[InductiveBiasSpec]):
    """Numbers: ``nats`` and ``bits`` of bias, the ``probability`` that they are the logarithm of, the mean
    and deviation of the error of a function drawn (``error/mean``, ``error/deviation``), and that of the mean
    of all functions (``error/prediction``); with ``samples``, the share of them as good, ``sampled``.

    Arrays: ``errors`` and the logarithm of the probability of each or less, ``log_probability``, around the
    error that is asked for.
    """

    def find(self) -> Found:
        spec = self.spec
        x, y = different(spec.task, "train", spec.seed, spec.examples)
        at, target = different(spec.task, spec.split, spec.seed, spec.test_examples)
        errors = posterior_errors(x, y, at, target, spec.width, spec.nugget)
        log_tail = errors.log_probability if spec.tail == "saddlepoint" else errors.by_moments
        nats = -log_tail(spec.error)
        mean, variance = errors.cumulants(0.0)
        numbers = {
            "nats": nats,
            "bits": nats / math.log(2),
            "probability": math.exp(-nats),
            "error/mean": mean,
            "error/deviation": math.sqrt(variance),
            "error/prediction": float(errors.offsets.sum()),
        }
        if spec.samples:
            generator = torch.Generator().manual_seed(derive_seed("functions", spec.seed))
            numbers["sampled"] = errors.share(spec.error, spec.samples, generator)
        # No function is better than what every one of them has in common.
        least = float(errors.offsets[errors.weights <= 0].sum()) if bool((errors.weights <= 0).any()) else 0.0
        grid = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
        low, high = max(0.5 * spec.error, 1.01 * least), max(mean, 1.5 * spec.error)
        grid = (math.log(low) + grid * math.log(high / low)).exp()
        logs = torch.tensor([log_tail(float(each)) for each in grid], dtype=torch.float64)
        return Found(numbers, {"errors": grid, "log_probability": logs})

    def figure(self, finding: Finding) -> Figure:
        """Bias against the error that is asked for."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.2, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(finding["errors"], -finding["log_probability"], color=COLOURS[0])
        axes.axvline(self.spec.error, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_xlabel("test error")
        axes.set_ylabel("inductive bias (nats)")
        return figure


@dataclass(frozen=True)
class Errors:
    """The distribution of Σ weight (ξ + b)², ``offsets`` weight b², of independent standard normal ξ."""

    weights: Tensor
    """``[term]``, not negative, float64."""
    offsets: Tensor
    """``[term]``; where the weight is zero, a constant."""

    def cumulants(self, t: float) -> tuple[float, float]:
        """First and second derivative of the cumulant generating function."""
        rest = 1 - 2 * t * self.weights
        first = self.weights / rest + self.offsets / rest**2
        second = 2 * self.weights**2 / rest**2 + 4 * self.weights * self.offsets / rest**3
        return float(first.sum()), float(second.sum())

    def log_probability(self, error: float) -> float:
        """Of this much or less, by the saddlepoint approximation r* (Barndorff-Nielsen 1986).

        Raises :class:`AnalysisError` for an error that no function has.
        """
        t = self._saddlepoint(error)
        rest = 1 - 2 * t * self.weights
        k = float((t * self.offsets / rest - 0.5 * rest.log()).sum())
        r = math.copysign(math.sqrt(max(2 * (t * error - k), 0.0)), t)
        if abs(r) < 1e-4:  # at the mean, where both r and u vanish
            _, variance = self.cumulants(0.0)
            third = float((8 * self.weights**3 + 24 * self.weights**2 * self.offsets).sum())
            r = third / variance**1.5 / 6
        else:
            r += math.log(t * math.sqrt(self.cumulants(t)[1]) / r) / r
        return float(torch.special.log_ndtr(torch.tensor(r, dtype=torch.float64)))

    def by_moments(self, error: float) -> float:
        """The same of a scaled χ² with the mean and variance of this."""
        mean, variance = self.cumulants(0.0)
        chi2 = need("scipy.stats", "analysis", "The tail of χ²").chi2
        return float(chi2.logcdf(error * 2 * mean / variance, 2 * mean**2 / variance))

    def share(self, error: float, samples: int, generator: torch.Generator) -> float:
        """Of samples that are so much or less."""
        roots, means, found = self.weights.sqrt(), self.offsets.sqrt(), 0
        block = max(1, BLOCK // len(roots))
        for start in range(0, samples, block):
            shape = (min(block, samples - start), len(roots))
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
            found += int(((roots * drawn + means).square().sum(1) <= error).sum())
        return found / samples

    def _saddlepoint(self, error: float) -> float:
        """Where the first derivative is the error, by bisection: it ascends."""
        low, high = -1.0, 0.5 / float(self.weights.max())
        least = float(self.offsets[self.weights <= 0].sum())
        if error <= least * (1 + 1e-9) or not error > 0:
            raise AnalysisError(
                f"no function drawn has an error of {error:.3g} or less: {least:.3g} is left at points where "
                "all of them agree. Ask for a larger error."
            )
        while self.cumulants(low)[0] > error:
            low *= 4
            if low < -1e300:
                raise AnalysisError(
                    f"an error of {error:.3g} is out of reach of functions that fit the examples."
                )
        for _ in range(200):
            middle = (low + high) / 2
            if middle in (low, high):
                break
            if self.cumulants(middle)[0] < error:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def posterior_errors(
    x: Tensor, y: Tensor, at: Tensor, target: Tensor, width: float, nugget: float = 0.0
) -> Errors:
    """The mean squared error of functions of a Gaussian process, given examples.

    ``x`` ``[example, feature]``, ``y`` ``[example, output]``, ``at`` ``[test, feature]`` and ``target``
    ``[test, output]``, float64. Raises :class:`AnalysisError` where the kernel cannot tell examples apart.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        apart = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        return (-0.5 * (apart / width).square()).exp()

    factor, failed = torch.linalg.cholesky_ex(kernel(x, x) + nugget * torch.eye(len(x), dtype=x.dtype))
    if bool(failed):
        raise AnalysisError(
            f"a kernel of width {width:g} cannot tell the {len(x)} examples apart in float64. Ask for a "
            "smaller width, fewer examples or a larger nugget."
        )
    across = torch.linalg.solve_triangular(factor, kernel(x, at), upper=False)
    residual = across.mT @ torch.linalg.solve_triangular(factor, y, upper=False) - target
    covariance = kernel(at, at) - across.mT @ across
    values, vectors = torch.linalg.eigh(covariance)
    values = torch.where(values > 1e-14 * len(at), values, 0.0)
    weights = values[:, None].expand_as(residual) / residual.numel()
    offsets = (vectors.mT @ residual).square() / residual.numel()
    return Errors(weights.flatten(), offsets.flatten())
