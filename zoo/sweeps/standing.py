"""How a sweep stands, read from the disk: for ``zoo status``, from any machine that shares it."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.sweeps.folder import FailedMember, SweepFolder
from zoo.training.run import Run


@dataclass(frozen=True)
class Standing:
    """Numbers of members, and what the driver says, if there is one."""

    name: str
    members: int
    """What is twice in the grid counts once; of a search, with those that it has still to find."""
    done: int
    failed: tuple[FailedMember, ...]
    running: int
    engine: str | None
    """Of the process that drives the sweep now; none where nobody does."""
    per_second: float | None
    seconds_left: float | None

    @property
    def left(self) -> int:
        """How many members are not done, failed ones among them."""
        return self.members - self.done


def standing(folder: SweepFolder) -> Standing:
    """How the sweep in a folder stands. Raises :class:`TrainingError` where its spec cannot be read."""
    members = {member.digest(): member for member in folder.found.members()}
    finished = {digest for digest, member in members.items() if Run.of(member).finished}
    state = folder.state if folder.has_driver else {}
    return Standing(
        folder.path.name,
        len(members) + folder.unfound,
        len(finished),
        tuple(failed for failed in folder.failures() if failed.digest not in finished),
        len(state.get("running", ())),
        state.get("engine"),
        state.get("per_second"),
        state.get("seconds_left"),
    )
