"""A derivation: a checkpoint that is made of others, by an operation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Line, Lines, Name, Spec, Text, located
from zoo.specs.claim import ClaimSpec
from zoo.specs.experiment import EvaluationSpec
from zoo.specs.families import OperationSpec
from zoo.specs.license import License


class DerivationSpec(Spec):
    """A checkpoint that is not trained but made of the weights of others.

    It has the model and the task of its first parent, and is measured on them.
    """

    cosmetic: ClassVar = frozenset({"name", "title", "description", "paper", "tags", "claims", "license"})

    spec: Literal["derivation/1"] = "derivation/1"
    name: Name
    title: Line = ""
    description: Text = ""
    paper: Name | None = None
    tags: Lines = ()
    license: License | None = None
    """Of the weights: an SPDX expression. Without one, that of the first parent."""
    parents: Annotated[
        tuple[Line | Annotated[tuple[Line, ...], Field(strict=False, min_length=1)], ...],
        Field(strict=False, min_length=1),
    ]
    """The operands, by name. One that is a list, or ``name/*``, has a network for each member of a population
    that is made; one that is a single name is the same for all."""
    operation: OperationSpec
    evaluation: EvaluationSpec | None = None
    """What it is measured on; without one, what the first parent is."""
    claims: Annotated[tuple[ClaimSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _operands_fit(self) -> Self:
        try:
            self.operation.check(len(self.parents))
        except ValueError as problem:
            raise located(str(problem), "parents") from problem
        return self
