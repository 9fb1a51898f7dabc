"""Every failure that a user can meet, one class a kind.

A message says what is wrong, where, and ends in what to do next. Library code raises these and
nothing else on bad input; the command line prints them as one paragraph and exits with
``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class ZooError(Exception):
    """Base of all errors that the zoo raises on purpose."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a document: what, and where it stands."""

    message: str
    path: str = ""
    """Dotted path inside the document, for example ``model.hidden``."""
    place: str = ""
    """``file:line:column``, or the override it came from."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.path, self.message) if part)


class SpecError(ZooError, ValueError):
    """A spec does not validate, cannot be read, or cannot be composed."""

    def __init__(self, problems: Problem | str | Iterable[Problem], hint: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.hint = hint
        super().__init__("\n".join([*map(str, self.problems), *([hint] if hint else [])]))


class NewerVersionError(SpecError):
    """A document was written by a newer version of the zoo."""


class UnknownNameError(ZooError, LookupError):
    """Nothing has this name."""


class UnknownRevisionError(UnknownNameError):
    """The name is known, and has no such revision."""


class AmbiguousNameError(ZooError, LookupError):
    """A name stands for more than one thing here."""


class RegistryError(ZooError):
    """A kind is unknown or registered twice, or a plugin is broken."""


class MissingDependencyError(ZooError, ImportError):
    """An optional library is needed; the message says which extra brings it, if one does."""

    def __init__(self, library: str, extra: str, purpose: str, options: str = "") -> None:
        wanted = f"'neuroai-zoo[{extra}]'" if extra else f"{options} {library}".lstrip()
        super().__init__(
            f"{purpose} needs {library}, which is not installed. Install it with: pip install {wanted}"
        )


class CheckpointError(ZooError):
    """A checkpoint folder is missing something, damaged, or not what its record says."""


class UnsafeFileError(CheckpointError):
    """A file could run code when read (a pickle), so it is refused."""


class ForeignFileError(ZooError, ValueError):
    """A file that was made elsewhere cannot be taken over: it does not fit, or is not what it should be."""


class HubError(ZooError):
    """A hub cannot be read or written, or would have to change what it promised to keep."""


class OfflineError(HubError):
    """Something is only available over the network, and the network is switched off."""


class TrainingError(ZooError):
    """A run cannot start or go on."""


class DivergedError(TrainingError):
    """The loss or a weight stopped being a finite number."""

    def __init__(self, step: int, causes: Iterable[str]) -> None:
        self.step = step
        self.causes = tuple(causes)
        listed = "; ".join(self.causes)
        super().__init__(
            f"training diverged: the loss was no longer finite at step {step}. "
            f"Likely causes: {listed}. Change the spec and train again; "
            "the run folder keeps the snapshots from before."
        )


class RankLostError(TrainingError):
    """One of several processes that train one network together is gone."""


class SpecChangedError(TrainingError):
    """A run folder belongs to another spec than the one to be trained."""


class RunLockedError(TrainingError):
    """Another process is working in this run folder."""


class SweepLockedError(TrainingError):
    """Another process is driving this sweep."""


class DerivationError(ZooError, ValueError):
    """Networks that another cannot be made of."""


class EngineError(ZooError):
    """The place where jobs should run cannot be reached, or is gone."""


class VersionSkewError(EngineError):
    """A worker has other versions than the driver."""

    def __init__(self, worker: str, differences: str) -> None:
        super().__init__(
            f"the worker {worker} would not train the same networks: {differences}. "
            "Install the same versions on both, start the workers anew, and call again."
        )


class NotWrittenError(ZooError, NotImplementedError):
    """A kind was begun with ``zoo new``, and a part of it is still to be written."""

    def __init__(self, what: str, file: str) -> None:
        super().__init__(f"{what} is not written yet. Write it in {file}.")


class ZooWarning(UserWarning):
    """A result that should be looked at twice."""


class ConvergenceWarning(ZooWarning):
    """A result that a longer search might improve."""


class GeometryWarning(ZooWarning):
    """A comparison of dynamics that depends on geometry, too."""


class AnalysisError(ZooError, ValueError):
    """An analysis cannot be applied to what it was given."""


def calling(name: str) -> str:
    """How a message refers to a network."""
    return repr(name) if name else "an unnamed network"


def brief(value: Any, limit: int = 60) -> str:
    """A value as it may stand in a message: short, on one line, never failing."""
    try:
        text = repr(value)
    except Exception as problem:  # a hostile __repr__ must not hide the real error
        text = f"<{type(value).__name__}, not printable: {type(problem).__name__}>"
    return cut(text, limit)


def cut(text: str, limit: int) -> str:
    """The beginning of a text that may be too long for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
