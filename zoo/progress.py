"""Progress bars of the verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import Progress, TaskID

T = TypeVar("T")


class Bars:
    """Progress bars on standard error, one after the other; none where there is no terminal."""

    def __init__(self, shown: bool) -> None:
        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=not (shown and console.is_terminal))
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def start(self, what: str) -> Callable[[float], None]:
        """A new bar, instead of the last one; call what is returned with the share that is done."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        task = self.task = self.progress.add_task(what, total=1.0)
        return lambda share: self.progress.update(task, completed=share)

    def over(self, things: Sequence[T], what: str) -> Iterator[T]:
        """The things, with a bar that goes on with each."""
        advance = self.start(what)
        for number, thing in enumerate(things):
            yield thing
            advance((number + 1) / len(things))
