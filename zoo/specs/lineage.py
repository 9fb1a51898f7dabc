"""Lineage: of what, and how, the weights of a derived network were made."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from zoo.specs.base import Line, Spec
from zoo.specs.families import OperationSpec
from zoo.specs.record import Digest


class ParentSpec(Spec):
    """One network that another was made of."""

    cosmetic: ClassVar = frozenset({"reference"})

    reference: Line
    """The name that it was fetched by; its weights are what counts."""
    sha256: Digest
    """Of the file with its weights."""


class LineageSpec(Spec):
    """An operation, and the networks that it was applied to.

    Nobody writes it: ``zoo derive`` does, into the experiment of what it makes.
    """

    operation: OperationSpec
    parents: Annotated[
        tuple[Annotated[tuple[ParentSpec, ...], Field(strict=False, min_length=1)], ...],
        Field(strict=False, min_length=1),
    ]
    """For each operand, one network a member of the result, or one for all of them."""

    @model_validator(mode="after")
    def _operands_fit(self) -> Self:
        self.operation.check(len(self.parents))
        counts = {len(networks) for networks in self.parents} - {1}
        if len(counts) > 1:
            raise ValueError(f"operands have {' and '.join(map(str, sorted(counts)))} networks")
        return self

    def of(self, member: int) -> list[ParentSpec]:
        """The parents of one member, an operand each."""
        return [networks[member if len(networks) > 1 else 0] for networks in self.parents]

    def references(self) -> tuple[str, ...]:
        """The names of all parents, each once."""
        return tuple(dict.fromkeys(each.reference for networks in self.parents for each in networks))
