"""Globs over names, and the nearest spelling of one."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable


def glob(patterns: str | Iterable[str], names: Iterable[str]) -> list[str]:
    """Names that match any pattern (shell style), minus those matching one that begins with ``!``."""
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    drop = [pattern[1:] for pattern in wanted if pattern.startswith("!")]
    keep = [pattern for pattern in wanted if not pattern.startswith("!")] or ["*"]

    def hit(name: str, among: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in among)

    return [name for name in names if hit(name, keep) and not hit(name, drop)]


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to a misspelt one, best first."""
    known = list(dict.fromkeys(names))
    close = difflib.get_close_matches(name[:200], known, n=count, cutoff=0.5)
    containing = [other for other in known if len(name) > 2 and name in other and other not in close]
    return (close + containing)[:count]


def suggest(name: str, names: Iterable[str]) -> str:
    """The end of an error message: `` Did you mean 'x'?``, or nothing."""
    close = nearest(name, names)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
