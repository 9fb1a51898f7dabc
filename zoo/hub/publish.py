"""The verbs ``publish`` and ``pull``: checkpoints between folders and hubs."""

from __future__ import annotations

from pathlib import Path

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.base import Revision
from zoo.hub.lookup import fetch, open_hub
from zoo.hub.reference import Reference


def publish(
    checkpoint: str | Path | Reference | CheckpointFolder,
    hub: str = "local",
    *,
    name: str | None = None,
    tag: str | None = None,
) -> Revision:
    """Put a checkpoint on a hub, as a new revision that will never change. Publishing it again costs nothing.

    ``checkpoint`` is a name, a folder or what :func:`zoo.train` returned; ``hub`` the name of a hub or a
    directory. Raises :class:`HubError` where the hub cannot be written or ``tag`` is taken by other bytes,
    :class:`CheckpointError` where the checkpoint is damaged.
    """
    folder = checkpoint if isinstance(checkpoint, CheckpointFolder) else fetch(checkpoint)
    return open_hub(hub).publish(folder, name=name, tag=tag)


def pull(name: str | Reference, hub: str = "local") -> Revision:
    """Copy a checkpoint from where it is found to a hub of one's own."""
    return publish(name, hub)
