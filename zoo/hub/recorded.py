"""Recordings that no hub holds: the catalogue says where they are read from when their name is asked for.

Real data that ship inside packages have terms of their own, so they are read where they are installed, kept
under ``$ZOO_HOME/cache`` on this machine, and never published.
"""

from __future__ import annotations

from typing import Any

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import HubError, ZooError
from zoo.specs.catalogue import files
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.models.recording import RecordingSpec


def declared(name: str) -> ExperimentSpec | None:
    """The experiment of this name in the catalogue, where it is of a recording with a source."""
    try:
        path = files().get(name)
        found: Any = None if path is None else load(path)
    except ZooError:
        return None  # whoever asks for the spec itself is told what is wrong with it
    if isinstance(found, ExperimentSpec) and isinstance(found.model, RecordingSpec) and found.model.source:
        return found
    return None


def recorded(name: str) -> CheckpointFolder | None:
    """The checkpoint of a recording of the catalogue, read from its source; none where there is none.

    Raises what :func:`zoo.importing.sources.checkpoint` does, :class:`MissingDependencyError` among it.
    """
    experiment = declared(name)
    if experiment is None:
        return None
    from zoo.importing.sources import checkpoint

    return checkpoint(experiment)


def check_own(folder: CheckpointFolder) -> None:
    """Raises :class:`HubError` for data that are not ours to pass on."""
    source = getattr(folder.experiment.model, "source", None)
    if source is not None and not source.publishable:
        raise HubError(
            f"{folder.record.name} holds data of the package {source.package}, under terms of their own, and "
            "is not published. Whoever installs the package reads it by the same name."
        )
