"""Text, cells and tables in Markdown: nothing that is written through here can be markup by itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


class Bold(str):
    """A cell in bold."""


def text(value: Any) -> str:
    """Anything as one line of plain text in Markdown: nothing in it is markup, a link or HTML."""
    line = " ".join(str(value).split())
    line = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]|#~$!@])", r"\\\1", line)
    line = re.sub(r"(?i)\b(https?|ftp|mailto|www)([:.])", r"\1&#8203;\2", line)
    return re.sub(r"^(?:[-+=]+|[0-9]+[.)])(?= |$)", lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of cells in plain text, or in bold where they are :class:`Bold`."""

    def cell(value: Any) -> str:
        return f"**{text(value)}**" if isinstance(value, Bold) else text(value)

    lines = [head, ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(lines: str, language: str) -> str:
    """A block of code, fenced by more backticks than there are in it."""
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}"
