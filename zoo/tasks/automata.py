"""What comes out of many steps, in as many passes as their number has binary digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def prefixes(parts: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``parts`` ``[example, time, …]`` joined from the first up to each (Hillis & Steele 1986).

    ``join(earlier, later)`` is associative and works on as many steps at a time as it is given.
    """
    result, shift = parts, 1
    while shift < parts.shape[1]:
        later = join(result[:, :-shift], result[:, shift:])
        result = torch.cat([result[:, :shift], later], 1)
        shift *= 2
    return result


def follow(maps: Tensor, start: int = 0) -> Tensor:
    """The state before each step and after the last, ``[example, time + 1]``, from the state that each state
    leads to at each step, ``[example, time, state]``."""
    after = prefixes(maps, lambda earlier, later: later.gather(2, earlier))[..., start]
    return torch.cat([torch.full_like(after[:, :1], start), after], 1)


def multiply(table: Tensor, words: Tensor) -> Tensor:
    """Products of the first elements of words ``[example, time]`` up to each, by the table of products of
    two."""
    return prefixes(words, lambda earlier, later: table[earlier, later])
