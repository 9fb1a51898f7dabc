"""The verb ``verify``: is a checkpoint what its record says, and does it still compute what it did?"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.checkpoints.folder import CARD, CheckpointFolder
from zoo.checkpoints.network import Replay, measure_members, replay
from zoo.hub.card_check import problems_of
from zoo.hub.lookup import fetch
from zoo.hub.reference import Reference


@dataclass(frozen=True)
class Verification:
    """What was checked of a checkpoint, and how it went."""

    name: str
    files: tuple[str, ...]
    """Files whose digest and size are as recorded."""
    replays: tuple[Replay, ...]
    """Golden outputs, one entry a member; empty where only digests were asked for."""
    drifted: tuple[str, ...]
    """Metrics that no longer measure what the record says; empty unless they were asked for."""
    card: tuple[str, ...] = ()
    """What is wrong with the card, if there is one."""

    @property
    def holds(self) -> bool:
        return not self.drifted and not self.card and all(replay.holds for replay in self.replays)


def verify(
    name: str | Reference | CheckpointFolder,
    *,
    outputs: bool = True,
    metrics: bool = False,
    device: str = "cpu",
) -> Verification:
    """Check digests and the card, replay the golden outputs, and re-measure the metrics if asked to.

    Raises :class:`CheckpointError` on a damaged file; a drift of outputs or metrics, and what is wrong with
    the card, are reported in the result.
    """
    folder = name if isinstance(name, CheckpointFolder) else fetch(name)
    folder.verify()
    record = folder.record
    measured = measure_members(folder, device) if metrics else {}
    drifted = tuple(name for name, now in measured.items() if not _close(record.metrics[name], now))
    replays = tuple(replay(folder, device)) if outputs else ()
    card = problems_of(folder.read(CARD), record) if folder.has(CARD) else ()
    return Verification(record.name, tuple(record.files), replays, drifted, tuple(card))


def _close(before: tuple[float | None, ...], now: tuple[float | None, ...]) -> bool:
    """Within 0.1 %, the room that another machine's rounding needs."""
    return all(
        a == b or (a is not None and b is not None and abs(a - b) <= 1e-4 + 1e-3 * abs(a))
        for a, b in zip(before, now, strict=True)
    )
