"""Comparators of dynamics: dynamical similarity analysis, its fast form, and that of kernels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.base import ComparatorSpec
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
    learning_rate: Positive = 0.5
    """For operators scaled to spectral norms of product 1; without a number 0.5 (landing), 0.2 (riemannian)
    or 0.01 (penalty)."""
    weight: Positive = 1.0
    """Of ``‖CᵀC - I‖²`` (penalty)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Share of the last step that goes on in the next (landing)."""
    reflections: bool = False
    """Start from a reflection, too; the paper does from the identity alone."""
    score: Literal["angular", "euclidean"] = "angular"

    @model_validator(mode="before")
    @classmethod
    def _rate_of_the_optimizer(cls, data: Any) -> Any:
        rates = {"riemannian": 0.2, "penalty": 0.01}
        if isinstance(data, dict) and data.get("optimizer") in rates:
            return {"learning_rate": rates[data["optimizer"]], **data}
        return data

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
