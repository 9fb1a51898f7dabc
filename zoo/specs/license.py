"""Licences as SPDX expressions, in their canonical spelling."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

from zoo.errors import brief
from zoo.registry import suggest
from zoo.specs.base import Line

OPERATORS = frozenset({"and", "or", "with"})


@lru_cache(maxsize=256)
def spdx(expression: str) -> str:
    """An SPDX expression as the standard spells it: ``CC0-1.0``, ``MIT OR Apache-2.0``, ``LicenseRef-ours``.

    Raises :class:`ValueError` with the nearest valid spelling for anything else.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(expression)
    except InvalidLicenseExpression as problem:
        raise ValueError(
            f"{brief(expression)} is no SPDX licence.{_nearest(expression)} Take an identifier of "
            "https://spdx.org/licenses, or call a licence of your own LicenseRef-…"
        ) from problem


def _nearest(expression: str) -> str:
    """The end of the message: what the first unknown part of an expression may stand for."""
    from packaging.licenses._spdx import EXCEPTIONS, LICENSES

    known = {key: entry["id"] for key, entry in {**LICENSES, **EXCEPTIONS}.items()}
    parts = re.split(r"[\s()]+", expression.lower())
    if OPERATORS.isdisjoint(parts):
        parts = ["-".join(filter(None, parts))]
        if parts[0] in known:  # only the spaces are wrong
            return f" Did you mean {known[parts[0]]!r}?"
    odd = next((part for part in parts if part and part not in known and part not in OPERATORS), "")
    return re.sub("'([^']+)'", lambda found: repr(known[found[1]]), suggest(odd, known))


License = Annotated[Line, AfterValidator(spdx)]
"""A licence, as :func:`spdx` spells it."""
