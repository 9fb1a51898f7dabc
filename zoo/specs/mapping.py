"""How names and layouts of a file that was made elsewhere become ours."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Line, Lines, Spec, located

Span = Annotated[tuple[int, int], Field(strict=False)]


class CutSpec(Spec):
    """What is done to a tensor of the file: first it is transposed, then cut, then scaled."""

    transpose: bool = False
    """Whether to swap its two axes: for weights that multiply from the right."""
    row: Annotated[int, Field(ge=0)] | None = None
    """The one row to take, as a tensor with an axis less."""
    rows: Span | None = None
    """First row to take, and the one to stop before."""
    columns: Span | None = None
    scale: float = 1.0

    @model_validator(mode="after")
    def _cuts_leave_something(self) -> Self:
        if self.row is not None and (self.rows or self.columns):
            raise ValueError("give 'row' or 'rows' and 'columns', not both")
        for name in ("rows", "columns"):
            span = getattr(self, name)
            if span is not None and not 0 <= span[0] < span[1]:
                raise located(f"should be the first and the one after the last, not {list(span)}", name)
        return self

    def told(self) -> list[str]:
        """In words."""
        spans = [
            f"{name} {span[0]}:{span[1]}" for name in ("rows", "columns") if (span := getattr(self, name))
        ]
        row = [] if self.row is None else [f"row {self.row}"]
        return [*["transposed"] * self.transpose, *row, *spans, *[f"× {self.scale:g}"] * (self.scale != 1)]


class PieceSpec(CutSpec):
    """A tensor of the file, or a part of it."""

    tensor: Line
    """Its name in the file, after ``strip``."""

    def __str__(self) -> str:
        return ", ".join([self.tensor, *self.told()])


class RecipeSpec(CutSpec):
    """How one tensor of ours is made: of one of the file, of several joined or added, or as a constant."""

    tensor: Line | None = None
    """Its name in the file; the cuts are of it."""
    join: Annotated[tuple[PieceSpec, ...], Field(strict=False)] = ()
    """Pieces to put one after the other along ``axis``."""
    axis: Literal[0, 1] = 0
    add: Annotated[tuple[PieceSpec, ...], Field(strict=False)] = ()
    """Pieces to add up."""
    constant: float | None = None
    """A number that fills a tensor which the file lacks."""
    blocks: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """The equal blocks of rows, such as gates, in our order: ``[1, 0, 2]`` swaps the first two of three."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.tensor is not None, bool(self.join), bool(self.add), self.constant is not None]
        if sum(ways) != 1:
            raise ValueError("give exactly one of 'tensor', 'join', 'add' and 'constant'")
        if self.tensor is None and self.told():
            raise ValueError("transpose, row, rows, columns and scale belong to the pieces here")
        if sorted(self.blocks) != list(range(len(self.blocks))):
            raise located(f"should have each of 0 to {len(self.blocks) - 1} once", "blocks")
        return self

    @property
    def pieces(self) -> tuple[PieceSpec, ...]:
        """What it is made of; nothing for a constant."""
        if self.tensor is None:
            return self.join or self.add
        cuts = {name: getattr(self, name) for name in CutSpec.model_fields}
        return (PieceSpec(tensor=self.tensor, **cuts),)

    def __str__(self) -> str:
        if self.constant is not None:
            return f"constant {self.constant:g}"
        text = (" + " if self.add else " | ").join(map(str, self.pieces))
        return text + (f"; blocks {' '.join(map(str, self.blocks))}" if self.blocks else "")


class NwbSpec(Spec):
    """What of an NWB file is read, and how."""

    bin: Annotated[float, Field(ge=1e-5, le=1e4)] = 0.01
    """Seconds in which spikes are counted. Series keep the rate that they have."""
    series: Line | None = None
    """The series that is the activity, ``name`` or ``container/name``. Without one, the units' spikes; where
    there are none, the responses of regions of interest."""
    align: Line | None = None
    """A column of the table of trials with times, such as ``go_cue_time``, that trials are aligned to."""
    window: Annotated[tuple[float, float], Field(strict=False)] | None = None
    """From how many seconds after that time to how many; with ``align``."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.align is None) != (self.window is None):
            raise located("'align' and 'window' go together", "window")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise located("should end after it begins", "window")
        return self


class MappingSpec(Spec):
    """From the tensors or arrays of a file to ours. Whatever it does not name keeps its name."""

    spec: Literal["mapping/1"] = "mapping/1"
    inside: Lines = ()
    """Keys that lead to the tensors, where they are nested: ``[state_dict]``."""
    strip: Lines = ()
    """Prefixes to take off names, as often as they stand there: ``[module., _orig_mod.]``."""
    rename: dict[Line, Line | None] = {}
    """Name in the file → ours, or nothing for what is left out. The first rule that fits counts: a name,
    a pattern ``rnn.{name}``, or a regular expression ``/rnn_(\\d)\\.(.*)/`` with ``\\1`` in its target."""
    tensors: dict[Line, RecipeSpec] = {}
    """Our tensor → how it is made, where renaming does not do."""
    dtype: Literal["float32", "float64"] | None = None
    """If given, every number becomes one of this type."""
    nwb: NwbSpec = NwbSpec()
    """Of NWB files: what is read."""

    @model_validator(mode="after")
    def _rules_read(self) -> Self:
        for rule, target in self.rename.items():
            try:
                pattern, template = compiled(rule, target or "")
                re.compile(f"{pattern.pattern}|").sub(template, "")  # whether its groups exist
            except (re.error, IndexError) as problem:
                raise located(f"cannot be read as a rule: {problem}", "rename", rule) from problem
        return self


def compiled(rule: str, target: str) -> tuple[re.Pattern[str], str]:
    """The regular expression of a rule, and the template of what it becomes. Raises :class:`re.error`."""
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return re.compile(rule[1:-1]), target
    parts = re.split(r"\{([A-Za-z_]\w*)\}", rule)
    text = "".join(f"(?P<{part}>.+)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
    template = re.sub(r"\{([A-Za-z_]\w*)\}", r"\\g<\1>", target.replace("\\", r"\\"))
    return re.compile(text), template
