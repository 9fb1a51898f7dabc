"""The verb ``load``: a name to a trained network."""

from __future__ import annotations

from pathlib import Path

from zoo.checkpoints.folder import CheckpointFolder
from zoo.checkpoints.network import load_network
from zoo.errors import UnknownNameError
from zoo.hub.lookup import fetch
from zoo.hub.reference import Reference
from zoo.network import Network


def load(name: str | Path | Reference | CheckpointFolder, device: str = "cpu") -> Network:
    """A trained network, in eval mode: ``[hub:]name[@revision][/member][#step]``, or a checkpoint folder.

    Without a member, the first of a population. Weights are verified against their digests and
    fitted strictly.

    Raises :class:`UnknownNameError`, :class:`AmbiguousNameError` for a pattern that stands for several,
    :class:`CheckpointError` for a damaged checkpoint.
    """
    if isinstance(name, CheckpointFolder):
        folder, reference = name, None
    else:
        folder = fetch(name)  # which also explains a pattern that stands for several
        reference = name if isinstance(name, Reference) else Reference.parse(str(name))
    member = reference.member if reference else None
    if isinstance(member, str):
        raise UnknownNameError(
            f"{reference} stands for every member; load one, as {folder.record.name}/0, or compare them all."
        )
    network = load_network(folder, member, reference.step if reference else None)
    network.reference = str(reference) if reference else folder.record.name
    return network if device == "cpu" else network.to(device)
