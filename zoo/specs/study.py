"""A study: comparisons of named checkpoints, what they claim, and the figure; and the paper behind it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.registry import suggest
from zoo.specs.base import Line, Lines, Name, Spec, Text, located
from zoo.specs.claim import ClaimSpec
from zoo.specs.families import AnalysisSpec


class StudySpec(Spec):
    """A paper's table or figure: every checkpoint compared with every other, in several ways.

    Each comparison yields metrics for claims: ``<key>/decoding``, ``<key>/silhouette``,
    ``<key>/within`` and ``<key>/between``, with the checkpoint's name (or ``groups``) as the label.
    """

    cosmetic: ClassVar = frozenset({"name", "title", "description", "paper", "tags", "claims"})

    spec: Literal["study/1"] = "study/1"
    name: Name
    title: Line = ""
    description: Text = ""
    paper: Name | None = None
    tags: Lines = ()
    checkpoints: Annotated[tuple[Line, ...], Field(strict=False, min_length=1)]
    """Names or globs; ``name/*`` is every member of a population."""
    groups: dict[str, Lines] = {}
    """Label → patterns of names; without them, the name of the checkpoint is the label."""
    comparisons: Annotated[dict[Name, AnalysisSpec], Field(min_length=1)]
    claims: Annotated[tuple[ClaimSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _claims_are_measured(self) -> Self:
        for index, claim in enumerate(self.claims):
            for field, metric in (("metric", claim.metric), ("minus", claim.minus)):
                key = (metric or "").partition("/")[0]
                if metric is not None and key not in self.comparisons:
                    known = ", ".join(self.comparisons)
                    close = suggest(key, self.comparisons)
                    message = f"{metric!r} is about no comparison of this study; it has {known}.{close}"
                    raise located(message, "claims", index, field)
        return self


class PaperSpec(Spec):
    """A paper whose results the zoo holds."""

    spec: Literal["paper/1"] = "paper/1"
    name: Name
    title: Line
    authors: Lines
    year: Annotated[int, Field(ge=1900, le=2100)]
    venue: Line = ""
    arxiv: Line | None = None
    doi: Line | None = None
    description: Text = ""

    def citation(self) -> str:
        """One line for a card."""
        link = f" arXiv:{self.arxiv}" if self.arxiv else f" doi:{self.doi}" if self.doi else ""
        return f"{', '.join(self.authors)} ({self.year}). {self.title}. {self.venue}.{link}".replace(
            " .", "."
        )
