"""A study: comparisons of named checkpoints, what they claim, and the figure; and the paper behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.registry import suggest
from zoo.specs.analyses.base import CalculationSpec, ComparatorSpec, MeasurementSpec
from zoo.specs.base import Line, Lines, Name, Spec, Text, located
from zoo.specs.claim import ClaimSpec
from zoo.specs.families import AnalysisSpec


class StudySpec(Spec):
    """A paper's table or figure: checkpoints compared with each other, and measured, in several ways.

    Every comparison yields metrics for claims, of the labels that its networks have:
    ``<comparison>/decoding``, ``/silhouette``, ``/p``, ``/within`` and ``/between`` where labels form groups,
    ``/mean`` over all pairs, and, with a ``reference``, ``/to/<label>``; with several references,
    ``/from/<reference>/to/<label>``, and ``/from/<reference>/nearest`` of the labels that are none. Two
    comparisons yield ``<one>~<other>/correlation`` (Spearman's, over pairs) and its ``/p``, where a claim
    names them. A measurement yields ``<measurement>/<number>/<label>``, one value a network. A calculation
    yields ``<calculation>/<number>``, one value a draw, and asks no network: a study of calculations alone
    needs no checkpoints.
    """

    cosmetic: ClassVar = frozenset({"name", "title", "description", "paper", "tags", "claims"})

    spec: Literal["study/1"] = "study/1"
    name: Name
    title: Line = ""
    description: Text = ""
    paper: Name | None = None
    tags: Lines = ()
    checkpoints: Lines = ()
    """Names or globs; ``name/*`` is every member of a population."""
    groups: dict[str, Lines] = {}
    """Label → patterns of names; without them, the name of the checkpoint is the label."""
    label: Line | None = None
    """Instead of groups: the field of each network's experiment whose value is its label, such as
    ``model.rho``."""
    labels: dict[Name, Line] = {}
    """Comparison or measurement → the field that labels networks there."""
    reference: Line | Annotated[tuple[Line, ...], Field(strict=False, min_length=2)] | None = None
    """A label, or several: distances from its networks are metrics, and drawn against the other labels."""
    matched: Line | None = None
    """With a reference: the field, such as ``train.seed``, that a network shares with those of the reference
    that it is measured from. Without it, it is measured from all of them."""
    apart: Line | None = None
    """A field, such as ``train.seed``: networks are compared only with those that share its value, as in
    studies of their own, and every metric has one value for each."""
    comparisons: dict[Name, AnalysisSpec] = {}
    measurements: dict[Name, AnalysisSpec] = {}
    """What is asked of each network by itself."""
    calculations: dict[Name, AnalysisSpec] = {}
    """What follows without any network."""
    claims: Annotated[tuple[ClaimSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _claims_are_measured(self) -> Self:
        asked = {**self.comparisons, **self.measurements}
        known = {**asked, **self.calculations}
        if not known:
            raise located("a study needs comparisons, measurements or calculations", "comparisons")
        if twice := self.comparisons.keys() & self.measurements.keys():
            raise located(f"{min(twice)!r} is a comparison, too", "measurements")
        if twice := asked.keys() & self.calculations.keys():
            raise located(f"{min(twice)!r} is asked of networks, too", "calculations")
        if bool(asked) != bool(self.checkpoints):
            why = "comparisons and measurements ask networks" if asked else "calculations ask no network"
            raise located(f"{why}: {'name some' if asked else 'leave them out'}", "checkpoints")
        if self.label is not None and self.groups:
            raise located("labels come from 'groups' or from 'label', not from both", "label")
        if self.matched is not None and self.reference is None:
            raise located("goes with a 'reference'", "matched")
        for key in self.labels:
            if key not in asked:
                raise located(f"there is no {key!r}.{suggest(key, asked)}", "labels", key)
        for index, claim in enumerate(self.claims):
            metrics = {"metric": (claim.metric,), "minus": (claim.minus or claim.metric,), "per": claim.per}
            for field, names in metrics.items():
                for name in names:
                    for key in name.partition("/")[0].split("~"):
                        if key not in known:
                            raise located(_unknown(name, key, known), "claims", index, field)
        return self

    @property
    def references(self) -> tuple[str, ...]:
        """The labels that distances are measured from."""
        if self.reference is None or isinstance(self.reference, str):
            return () if self.reference is None else (self.reference,)
        return self.reference

    @model_validator(mode="after")
    def _analyses_are_of_their_kind(self) -> Self:
        for field, kind, what in (
            ("comparisons", ComparatorSpec, "compares networks"),
            ("measurements", MeasurementSpec, "measures a network"),
            ("calculations", CalculationSpec, "needs no network"),
        ):
            for key, analysis in getattr(self, field).items():
                if not isinstance(analysis, kind):
                    raise located(f"{analysis.kind!r} is no analysis that {what}", field, key)
        return self


def _unknown(metric: str, key: str, known: Mapping[str, object]) -> str:
    return (
        f"{metric!r} is about no comparison, measurement or calculation of this study; it has "
        f"{', '.join(known)}.{suggest(key, known)}"
    )


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

    def bibtex(self) -> str:
        """An entry for a bibliography."""
        kind, place = "misc", "howpublished"
        if re.search("Conference|Proceedings|Advances in|Workshop|Symposium", self.venue):
            kind, place = "inproceedings", "booktitle"
        elif self.venue and not self.venue.startswith("arXiv"):
            kind, place = "article", "journal"
        fields = {
            "title": f"{{{_tex(self.title)}}}",
            "author": " and ".join(map(_tex, self.authors)),
            "year": str(self.year),
            place: _tex(self.venue),
            "eprint": _tex(self.arxiv or ""),
            "archivePrefix": "arXiv" if self.arxiv else "",
            "doi": _tex(self.doi or ""),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{kind}{{{self.name}{self.year},", *lines, "}"])


def _tex(text: str) -> str:
    """Text in which nothing means more to TeX than itself."""
    plain = text.replace("\\", " ").replace("{", "(").replace("}", ")")
    return re.sub(r"([&%$#_])", r"\\\1", plain)
