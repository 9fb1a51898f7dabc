"""Linear combinations of the weights of several networks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.families import OperationSpec

Factor = Annotated[float, Field(ge=-1e6, le=1e6)]
Factors = Annotated[tuple[Factor, ...], Field(strict=False, min_length=1)]


class InterpolateSpec(OperationSpec):
    """Σ wᵢ θᵢ over the parents, with weights that sum to 1; without any, their mean (a model soup,
    Wortsman et al. 2022). Weights below 0 or above 1 extrapolate."""

    kind: Literal["interpolate"] = "interpolate"
    least: ClassVar[int] = 2
    most: ClassVar[int | None] = None

    weights: Factors | None = None
    """One a parent."""

    def check(self, parents: int) -> None:
        super().check(parents)
        check_weights(self.weights, parents)

    def shares(self, parents: int) -> tuple[float, ...]:
        """The weight of each parent."""
        return self.weights or (1 / parents,) * parents


class TaskArithmeticSpec(OperationSpec):
    """θ₀ + Σ λᵢ (θᵢ - θ₀) of a base θ₀, the first parent, and networks that were trained from it (Ilharco et
    al. 2023): a task vector is added with λ > 0 and taken away with λ < 0."""

    kind: Literal["task-arithmetic"] = "task-arithmetic"
    least: ClassVar[int] = 2
    most: ClassVar[int | None] = None

    scales: Factors | None = None
    """λ, one for each parent after the first; without any, 1 for each."""

    def check(self, parents: int) -> None:
        super().check(parents)
        if self.scales is not None and len(self.scales) != parents - 1:
            raise ValueError(
                f"there are {len(self.scales)} scales for {parents - 1} task vectors; give one for each "
                "parent after the first"
            )

    def factors(self, parents: int) -> tuple[float, ...]:
        """The scale of each task vector."""
        return self.scales or (1.0,) * (parents - 1)


def check_weights(weights: tuple[float, ...] | None, parents: int) -> None:
    """Raises ValueError unless there is one a parent, and they sum to 1."""
    if weights is None:
        return
    if len(weights) != parents:
        raise ValueError(f"there are {len(weights)} weights for {parents} parents; give one for each")
    if abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"the weights sum to {sum(weights):g}; they should sum to 1")
