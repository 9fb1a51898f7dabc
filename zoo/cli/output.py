"""How commands speak: tables for people, ``--json`` for programs, errors on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from zoo.specs.claim import Verdict

CHECK_FAILED = 3
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal acts on, that turn the order of a text round, and halves of others."""


def as_json() -> bool:
    """Whether ``--json`` was given, before or after the name of the command."""
    return "--json" in sys.argv[1:]


def emit(data: Any, *shown: RenderableType) -> None:
    """Print the data as JSON, or what shows them to a person."""
    if as_json():
        sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")
        return
    # A file or a pipe has no width; names must not be broken in it.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    for item in shown:
        console.print(plain(item) if isinstance(item, str) else item, markup=False)


def note(text: str) -> None:
    """A remark on stderr, out of the way of the output."""
    if not as_json():
        Console(stderr=True, highlight=False, soft_wrap=True).print(escape(plain(text)), style="dim")


def fail(text: str, kind: str, code: int) -> int:
    """Print an error and return its exit code."""
    if as_json():
        sys.stderr.write(json.dumps({"error": kind, "message": text}, ensure_ascii=False) + "\n")
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold red]error:[/] {escape(plain(text))}"
        )
    return code


def plain(text: str) -> str:
    """A text from anywhere as a terminal may show it: what it would act on is spelled out."""
    return _ACTIVE.sub(lambda found: ascii(found[0])[1:-1], text)


def check_failed() -> NoReturn:
    """End the command: it worked, and what it checked does not hold."""
    raise typer.Exit(CHECK_FAILED)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A plain table; numbers are set right."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[index], int | float) for row in cells)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        made.add_row(*(escape(plain(_cell(value))) for value in row))
    return made


def verdicts(judged: Iterable[tuple[str, Verdict]]) -> Table:
    """Claims with what was measured: the value, or the range over members."""
    rows = [
        (
            of,
            verdict.claim.subject(),
            verdict.claim.bound(),
            _range(verdict.measured),
            verdict.claim.source.kind,
            "holds" if verdict.holds else "FAILS",
        )
        for of, verdict in judged
    ]
    return table("claims", ("of", "claim", "bound", "measured", "source", "verdict"), rows)


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return f"not finite in {len(values) - len(known)} of {len(values)}"
    return (
        f"{known[0]:.4g}" if len(known) == 1 else f"{min(known):.4g} … {max(known):.4g} ({len(known)} values)"
    )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return str(value)
