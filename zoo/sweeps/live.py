"""How a sweep stands, as a table: live while it runs, and for ``zoo status``."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.live import Live as Display
from rich.markup import escape
from rich.table import Table

from zoo.errors import cut

if TYPE_CHECKING:
    from zoo.sweeps.driving import Driver

SHOWN = 5
"""Failures that are shown while the sweep goes on."""


class Live:
    """A table on standard error that follows a driver; nothing where there is no terminal."""

    def __init__(self, driver: Driver, shown: bool) -> None:
        self.driver = driver
        # The stream of now: jobs of this process have another while they run.
        console = Console(file=sys.stderr)
        self.display = (
            Display(console=console, get_renderable=self.table, refresh_per_second=4, transient=True)
            if shown and console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self.display:
            self.display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.display:
            self.display.stop()

    def table(self) -> Table:
        """Counts, rate and estimate, and the failures of late."""
        table = Table(box=None, show_header=False, pad_edge=False)
        state = self.driver.state(self.driver.running)
        for label, text in facts(state):
            table.add_row(label, text)
        for failed in list(self.driver.failed.values())[-SHOWN:]:
            table.add_row(
                "[red]failed[/]", escape(f"{failed.digest[:12]} {failed.kind}: {cut(failed.message, 100)}")
            )
        return table


def facts(state: dict[str, Any]) -> list[tuple[str, str]]:
    """What a state says, for people."""
    total, running = state["members"], len(state["running"])
    counts = f"{state['done']} of {total} done, {running} running, {state['failed']} failed"
    return [
        ("members", counts),
        ("engine", f"{state['engine']}, {state['workers']} workers"),
        ("rate", pace(state["per_second"])),
        ("left", "–" if state["seconds_left"] is None else duration(state["seconds_left"])),
    ]


def pace(per_second: float | None) -> str:
    """A rate in the unit that reads best."""
    if per_second is None:
        return "–"
    units = {"second": 1, "minute": 60, "hour": 3600}
    unit = next((unit for unit, seconds in units.items() if per_second * seconds >= 1), "hour")
    return f"{per_second * units[unit]:.1f} members a {unit}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
