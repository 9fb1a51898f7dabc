"""Distance matrices as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from zoo.analysis.matrix import DistanceMatrix


def full_table(matrix: DistanceMatrix) -> Table:
    """Every distance; the networks of the columns by number, as names are long."""
    table = Table(
        title=matrix.measure, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("", justify="right", style="dim")
    table.add_column("network", min_width=16, overflow="fold")
    for number in range(1, len(matrix) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    for number, (name, row) in enumerate(zip(matrix.names, matrix.values, strict=True), 1):
        cells = [
            Text("·", style="dim") if column == number else Text(f"{value:.3g}")
            for column, value in enumerate(row, 1)
        ]
        table.add_row(str(number), Text(name), *cells)
    return table


def summary_table(matrix: DistanceMatrix) -> Table:
    """The nearest and the farthest other network of each, and the mean distance to all others."""
    table = Table(
        title=matrix.measure, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for heading in ("network", "label", "nearest"):
        table.add_column(heading, overflow="fold")
    table.add_column("at", justify="right")
    table.add_column("farthest", overflow="fold")
    for heading in ("at", "mean"):
        table.add_column(heading, justify="right")
    others = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix.values)
    near, far = np.nanargmin(others, 1), np.nanargmax(others, 1)
    for index, name in enumerate(matrix.names):
        table.add_row(
            Text(name),
            Text(matrix.labels[index]),
            Text(matrix.names[near[index]]),
            f"{others[index, near[index]]:.3g}",
            Text(matrix.names[far[index]]),
            f"{others[index, far[index]]:.3g}",
            f"{np.nanmean(others[index]):.3g}",
        )
    return table
