"""Globs over names, and the nearest spelling of one."""

from __future__ import annotations

import difflib
import fnmatch
import heapq
from collections.abc import Iterable

MANY = 2000
"""Names that are compared letter by letter, at most."""


def glob(patterns: str | Iterable[str], names: Iterable[str]) -> list[str]:
    """Names that match any pattern (shell style), minus those matching one that begins with ``!``."""
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    drop = [pattern[1:] for pattern in wanted if pattern.startswith("!")]
    keep = [pattern for pattern in wanted if not pattern.startswith("!")] or ["*"]

    def hit(name: str, among: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in among)

    return [name for name in names if hit(name, keep) and not hit(name, drop)]


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to a misspelt one, best first; only the best where it is clear."""
    known = list(dict.fromkeys(names))
    name = name[:200]
    if len(known) > MANY:
        known = _alike(name, known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    likeness = {other: difflib.SequenceMatcher(None, other, name).ratio() for other in close}
    best = max(likeness.values(), default=0)
    close = [other for other in known if likeness.get(other, -1) > best - 0.1]
    close.sort(key=lambda other: -likeness[other])
    containing = [other for other in known if len(name) > 2 and name in other and other not in close]
    return close if best > 0.8 else (close + containing)[:count]


def _alike(name: str, known: list[str]) -> list[str]:
    """The :data:`MANY` names that share the most pairs of letters with one, which is quickly seen."""
    pairs = {name[start : start + 2] for start in range(len(name) - 1)}

    def shared(other: str) -> tuple[int, int]:
        return sum(pair in other for pair in pairs), -abs(len(other) - len(name))

    return heapq.nlargest(MANY, known, key=shared)


def suggest(name: str, names: Iterable[str]) -> str:
    """The end of an error message: `` Did you mean 'x'?``, or nothing."""
    close = nearest(name, names)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
