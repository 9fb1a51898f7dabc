"""Difficulty of a task in closed form, in logarithms: the numbers themselves overflow."""

from __future__ import annotations

import math
from typing import NamedTuple

from zoo.analysis.measure import Calculation, Found
from zoo.errors import AnalysisError
from zoo.specs.analyses.bias import (
    ClassificationSpec,
    ControlSpec,
    DifficultySpec,
    FewShotSpec,
    HistorySpec,
)

LARGEST = 300
"""Decimal logarithm of bits up to which they are given as a number, too."""


class Size(NamedTuple):
    """What the bits are the product of."""

    parameters: float
    """Natural logarithm of the parameters that examples leave open."""
    precision: float
    """Bits for each of them."""

    def numbers(self) -> dict[str, float]:
        """As :class:`Difficulty` gives them. Raises :class:`AnalysisError` where nothing is left."""
        if not self.precision > 0:
            raise AnalysisError(
                f"an error this large asks for {self.precision:.3g} bits a parameter, which is nothing. Ask "
                "for a smaller error."
            )
        log10 = self.parameters / math.log(10) + math.log10(self.precision)
        found = {"log10_bits": log10, "log10_parameters": self.parameters / math.log(10)}
        found["precision"] = self.precision
        return {**found, "bits": 10**log10} if log10 < LARGEST else found


class Difficulty(Calculation[DifficultySpec]):
    """Numbers: ``log10_bits``, and ``bits`` where they are no larger than a float; ``log10_parameters`` that
    the examples leave open, and the ``precision`` of each in bits; of classification also ``frequency``, the
    highest eigenvalue's root that the margin asks for, in units of the inverse radius."""

    def find(self) -> Found:
        problem, error = self.spec.problem, self.spec.error
        if isinstance(problem, ClassificationSpec):
            return Found(classification(problem, error))
        if isinstance(problem, FewShotSpec):
            return Found(_few_shot(problem, error).numbers())
        if isinstance(problem, ControlSpec):
            return Found(_control(problem, error).numbers())
        return Found(_history(problem, error).numbers())


def classification(problem: ClassificationSpec, error: float) -> dict[str, float]:
    """Numbers of a classification. Raises :class:`AnalysisError` where examples leave nothing open."""
    size = _band_limited(
        examples=problem.examples,
        dimension=problem.dimension,
        radius=problem.radius,
        margin=problem.margin,
        discrete=problem.classes,
        outputs=math.log(problem.classes - 1),
        bound=1.0,
        error=error,
    )
    return {**size.numbers(), "frequency": 2 * math.pi * problem.radius / problem.margin}


def _few_shot(problem: FewShotSpec, error: float) -> Size:
    """A classifier for each set: its coefficients are the outputs of the function that is looked for."""
    pairs = problem.ways * (problem.ways - 1)
    _, count = eigenfunctions(problem.within, 2 * math.pi * problem.radius / problem.margin)
    return _band_limited(
        examples=problem.examples,
        dimension=problem.across + (problem.ways - 1) * problem.within,
        radius=problem.radius * math.sqrt(problem.ways),
        margin=problem.margin,
        discrete=1,
        outputs=math.log(2 * pairs) + count,
        bound=math.sqrt(pairs),
        error=error,
    )


def _band_limited(
    *,
    examples: float,
    dimension: float,
    radius: float,
    margin: float,
    discrete: int,
    outputs: float,
    bound: float,
    error: float,
) -> Size:
    """Boopathy et al. 2023, and the authors' ``task_difficulty.py``; ``outputs`` is a logarithm."""
    m, log_n, log_d = dimension, math.log(examples), math.log(discrete)
    highest, count = eigenfunctions(m, 2 * math.pi * radius / margin)
    # how far a point is from the examples: Wasserstein distance on the sphere, in units of the radius
    apart = 0.5 * math.log(m / 6) + math.log(radius) - log_n / m
    apart += (math.log(2) + (m + 1) / 2 * math.log(math.pi) + log_d - math.lgamma((m + 1) / 2)) / m
    steepness = math.log(highest / radius) + outputs / 2
    precision = math.log(bound) + (outputs + log_d) / 2 - math.log(error) + steepness + apart
    return Size(_open(math.log(2) + outputs + log_d + count, log_n + outputs), precision / math.log(2))


def _control(problem: ControlSpec, error: float) -> Size:
    m, log_n = problem.observations, math.log(problem.examples)
    volume = math.log(2) + m * math.log(2 * math.pi / problem.resolution) + m / 2 * math.log(math.pi)
    bits = math.log2(4 * math.pi**2 / math.sqrt(6)) + math.log2(problem.actions) + 0.5 * math.log2(m)
    bits -= math.log2(problem.resolution) + log_n / math.log(2) / m + math.log2(error)
    return Size(math.log(problem.actions) + _open(volume - math.lgamma(m / 2 + 1), log_n), bits)


def _history(problem: HistorySpec, error: float) -> Size:
    t, log_n = problem.steps, math.log(problem.examples)
    volume = math.log(2) + 2 * t * math.log(2 * math.pi / problem.resolution) + t * math.log(math.pi)
    bits = math.log2(4 * math.pi**2 / math.sqrt(3)) + 0.5 * math.log2(t)
    bits -= math.log2(problem.resolution) + log_n / math.log(2) / (2 * t) + math.log2(error)
    return Size(_open(volume - math.lgamma(t + 1), log_n), bits)


def eigenfunctions(dimension: float, frequency: float) -> tuple[float, float]:
    """The degree up to which eigenfunctions of the Laplacian on a sphere are below a frequency, and the
    natural logarithm of their number: C(m + K, m) + C(m + K - 1, m)."""
    m = dimension
    if not frequency < 1e15:
        raise AnalysisError(f"a frequency of {frequency:.3g} is out of reach. Give a larger margin.")
    # the root of K (K + m - 1) = frequency², without the difference of two numbers that are nearly equal
    highest = 2 * frequency**2 / (math.hypot(m - 1, 2 * frequency) + (m - 1))
    first, second = (_log_binomial(m + highest - less, m) for less in (0, 1))
    return highest, max(first, second) + math.log1p(math.exp(-abs(first - second)))


def _log_binomial(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _open(parameters: float, examples: float) -> float:
    """The logarithm of what examples leave of the parameters."""
    if examples >= parameters:
        raise AnalysisError(
            f"10^{examples / math.log(10):.1f} numbers in the examples determine all of the "
            f"10^{parameters / math.log(10):.1f} parameters. Give fewer examples, or a smaller margin."
        )
    return parameters + math.log1p(-math.exp(examples - parameters))
