"""Comparators of dynamics: dynamical similarity analysis, its fast form, and that of kernels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.base import ComparatorSpec, MeasurementSpec
from zoo.specs.base import Count, Fraction, NonNegative, Positive, Spec


class RankRule(Spec):
    """How many delay coordinates are kept, by their singular values."""

    variance: Fraction | None = None
    """As few as hold this share of the summed squares."""
    above: NonNegative | None = None
    """Those with a larger singular value."""

    @model_validator(mode="after")
    def _one_rule(self) -> RankRule:
        if (self.variance is None) == (self.above is None):
            raise ValueError("give exactly one of 'variance' and 'above'")
        return self


class DSASpec(ComparatorSpec):
    """Dynamical similarity analysis: Hankel DMD operators, compared (Ostrow et al. 2023).

    ``angular`` and ``euclidean`` are the paper's scores: the operators up to an orthogonal change of
    basis. ``wasserstein``, the default of the authors' later code, is optimal transport between the
    eigenvalues of the two operators: it costs little, and sees nothing of eigenvectors.
    """

    kind: Literal["dsa"] = "dsa"
    delays: Count | Literal["automatic"] = 10
    """Samples stacked in a delay vector; a number, or one that each network's own activity suggests."""
    interval: Count = 1
    """Time steps between stacked samples."""
    rank: Count | Literal["hard-threshold"] | RankRule | None = 15
    """Delay coordinates kept: a number, all of them without one, or a rule. ``hard-threshold`` is that of
    Gavish & Donoho (2014) for data with noise."""
    regression: Literal["principal-component", "reduced-rank"] = "principal-component"
    """Whether the rank is that of the coordinates, or of the operator between all of them."""
    ridge: NonNegative = 1e-8
    score: Literal["wasserstein", "angular", "euclidean"] = "wasserstein"
    order: Literal[1, 2] = 2
    """Of the Wasserstein distance."""
    squared: bool = False
    """Report W2² (as the authors' code does) rather than W2."""
    starts: Count = 8
    """Searches for the change of basis that are begun for each pair; more may find a better one."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> DSASpec:
        if self.squared and self.order != 2:
            raise ValueError("'squared' goes with order 2")
        if self.score != "wasserstein" and (self.squared or self.order != 2):
            raise ValueError("'order' and 'squared' go with the score wasserstein")
        return self


class FastDSASpec(ComparatorSpec):
    """fastDSA: operators in delay coordinates, aligned by descent from the identity (arXiv 2511.22828).

    Delays and rank are chosen from the data where no number is given. Only networks with equally many
    channels, which mean the same in each, can be compared.
    """

    kind: Literal["fast-dsa"] = "fast-dsa"
    delays: Count | Literal["automatic"] = "automatic"
    """Samples stacked in a delay vector; ``automatic`` by autocorrelation, period and rank."""
    interval: Count = 1
    """Time steps between stacked samples."""
    rank: Count | Literal["hard-threshold"] = "hard-threshold"
    """Directions kept of each trial; ``hard-threshold`` those that stand out of noise."""
    ridge: NonNegative = 1e-8
    optimizer: Literal["penalty", "landing", "riemannian"] = "landing"
    """What brings operators near each other: ``ro``, ``land`` and ``rim`` of the authors' code."""
    steps: Count = 500
    learning_rate: Positive | None = None
    """For operators scaled to spectral norms of product 1; without a number 0.5 (landing), 0.1 (riemannian)
    or 0.01 (penalty)."""
    weight: Positive = 1.0
    """Of ``‖CᵀC - I‖²`` (penalty)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Share of the last step that goes on in the next (landing)."""
    reflections: bool = False
    """Start from a reflection, too; the paper does from the identity alone."""
    score: Literal["angular", "euclidean"] = "angular"

    @model_validator(mode="after")
    def _fields_go_together(self) -> FastDSASpec:
        for field, optimizer in (("weight", "penalty"), ("momentum", "landing")):
            if self.optimizer != optimizer and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field!r} goes with the optimizer {optimizer}")
        if self.delays == "automatic" and self.interval != 1:
            raise ValueError("'interval' goes with a number of delays; automatic ones are a step apart")
        return self


class KernelDSASpec(ComparatorSpec):
    """The spectra of kernel dynamic mode decomposition, compared by optimal transport (arXiv 2511.22828)."""

    kind: Literal["kernel-dsa"] = "kernel-dsa"
    delays: Count = 10
    """Samples stacked in a delay vector."""
    interval: Count = 1
    """Time steps between stacked samples."""
    rank: Count = 10
    """Eigenvalues of each trial."""
    length_scale: Positive | None = None
    """Standard deviation of the Gaussian kernel, in the unit of the states (the authors': √½); without
    a number, the root mean square distance of a trial's delay vectors."""
    centres: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of a trial's samples that span the functions; never fewer than twice the rank."""
    ridge: Positive = 1e-10
    """Regularisation, where the covariance of functions has a trace of at most 1."""
    order: Literal[1, 2] = 1
    """Of the Wasserstein distance."""


class InputDSASpec(ComparatorSpec):
    """InputDSA: driven linear systems, identified from states and inputs, compared (arXiv 2510.25943).

    ``n4sid`` is the paper's subspace identification, for states of which only a part is observed.
    ``dmdc``, dynamic mode decomposition with control, is its baseline: regression on delay vectors.
    """

    kind: Literal["input-dsa"] = "input-dsa"
    identification: Literal["n4sid", "dmdc"] = "n4sid"
    delays: Count = 10
    """Samples in the past, and as many in the future (n4sid); or in a delay vector (dmdc)."""
    interval: Count = 1
    """Time steps between the samples of a delay vector (dmdc)."""
    rank: Count | None = 10
    """Dimensions of the state; without a number, as many as hold 99.9 % of the squared singular values
    (n4sid), or all there are (dmdc)."""
    input_rank: Count | None = None
    """Directions of states and inputs together that the regression sees (dmdc, as in the authors' code, where
    it is the rank); without a number, all of them, so that inputs are never left out."""
    ridge: NonNegative = 1e-8
    """Of the regression from one state to the next, for data of unit root mean square."""
    surrogate: Literal["outputs", "targets", "noise"] | None = None
    """What is taken for the inputs instead of them: another recorded signal, or white noise."""
    distance: Literal["joint", "joint-state", "joint-input", "state", "input"] = "joint"
    """Of controllability matrices, or its part for the dynamics or the inputs; or of the eigenvalues, or
    of the input matrices, alone."""
    squared: bool = False
    """Report W2² (as the authors' code does) rather than W2 between eigenvalues."""
    extended: bool = False
    """Controllability matrices with the blocks of the transposed dynamics, too, as in the authors' code:
    slower, and less sensitive to directions that inputs hardly reach."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> InputDSASpec:
        if self.identification != "dmdc" and self.interval != 1:
            raise ValueError("'interval' goes with the identification dmdc")
        if self.identification != "dmdc" and self.input_rank is not None:
            raise ValueError("'input_rank' goes with the identification dmdc")
        if self.squared and self.distance != "state":
            raise ValueError("'squared' goes with the distance state")
        if self.extended and not self.distance.startswith("joint"):
            raise ValueError("'extended' goes with the distances joint, joint-state and joint-input")
        return self


class DelayRankSpec(MeasurementSpec):
    """How many directions of a network's delay vectors are signal (Gavish & Donoho 2014)."""

    kind: Literal["delay-rank"] = "delay-rank"
    delays: Count = 1
    interval: Count = 1
    rule: Literal["hard-threshold"] | RankRule = "hard-threshold"


class GramianSpec(MeasurementSpec):
    """How strongly inputs drive what is observed: the norm of the output controllability Gramian.

    Of the driven linear system that subspace identification finds (as in ``input-dsa``); and, for networks
    that are linear systems, of the system itself.
    """

    kind: Literal["gramian"] = "gramian"
    delays: Count = 10
    """Samples in the past, and as many in the future, that a state is identified from."""
    rank: Count | None = None
    """Dimensions of the state; without a number, as many as hold 99.9 % of the squared singular values."""
    ridge: NonNegative = 1e-8
