"""Pairs of networks in tiles, blocks of rows × columns of the matrix: each needs a few networks only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zoo.analysis.base import Features

BLOCKS, LEAST, MOST = 12, 16, 64
"""Blocks that networks are split into, and how many are in one, at least and at most."""
MEMORY = 2**28
"""Bytes of networks in a tile."""


Progress = Callable[[float], None]
"""Told now and then which share is done."""
Tile = Callable[["Sequence[Features]", Tensor, Progress], Mapping[str, Tensor]]
"""Takes networks and some pairs ``[pair, 2]`` of them; gives what is found of each: name → ``[pair, …]``."""
Parts = Iterator[tuple[Tensor, Mapping[str, Tensor]]]
"""Rows of the pairs, and what was found of them."""


class Spread(Protocol):
    """Computes tiles, here or elsewhere."""

    def __call__(
        self,
        tile: Tile,
        networks: Sequence[Features],
        pairs: Tensor,
        progress: Progress,
        parts: Iterable[Tensor] | None = None,
    ) -> Parts:
        """What ``tile`` finds of each part of ``pairs`` ``[pair, 2]``, as it is found.

        ``parts`` are rows of the pairs; without them, those of :func:`tiles`.
        """


def in_turn(
    tile: Tile,
    networks: Sequence[Features],
    pairs: Tensor,
    progress: Progress,
    parts: Iterable[Tensor] | None = None,
) -> Parts:
    """One tile after the other, in this process; see :class:`Spread`."""
    done = 0.0
    for rows in tiles(networks, pairs) if parts is None else parts:
        share = len(rows) / len(pairs)
        found = tile(*part(networks, pairs[rows]), within(progress, done, share))
        done += share
        progress(done)
        yield rows, found


def within(progress: Progress, done: float, share: float) -> Progress:
    """What tells of a share of the work, that begins when so much is done."""
    return lambda part: progress(done + part * share)


def part(networks: Sequence[Features], pairs: Tensor) -> tuple[list[Features], Tensor]:
    """The networks that are in some pairs, in order, and the pairs by their places among these."""
    needed, places = pairs.unique(return_inverse=True)
    return [networks[number] for number in needed.tolist()], places.view(-1, 2)


def gathered(count: int, parts: Parts) -> dict[str, Tensor]:
    """What was found of so many pairs in parts, in their order."""
    tables: dict[str, Tensor] = {}
    for rows, found in parts:
        for name, values in found.items():
            table = tables.setdefault(name, values.new_empty(count, *values.shape[1:]))
            table[rows] = values
    return tables


def tiles(networks: Sequence[Features], pairs: Tensor) -> list[Tensor]:
    """Rows of the pairs in each tile, larger tiles first, so that workers end together.

    Tiles follow from the pairs and the size of the networks alone, not from who computes them: batches are
    the same everywhere, and so are results.
    """
    largest = max(sum(value.nbytes for value in each.values.values()) for each in networks)
    count = len(networks)
    side = max(1, min(max(LEAST, count // BLOCKS), MOST, MEMORY // max(1, 4 * largest)))
    block = pairs.cpu() // side
    place = block[:, 0] * (count // side + 1) + block[:, 1]
    order = place.argsort(stable=True)
    sizes = place[order].unique_consecutive(return_counts=True)[1]
    found: list[Tensor] = []
    seen: set[int] = set()
    for rows in sorted(order.split(sizes.tolist()), key=len, reverse=True):
        these = set(pairs[rows].flatten().tolist())
        # Small ones, on the diagonal or of a network that is new, go together.
        if found and len(found[-1]) + len(rows) <= side**2 and len(seen | these) <= 4 * side:
            found[-1], seen = torch.cat([found[-1], rows]), seen | these
        else:
            found.append(rows)
            seen = these
    return found
