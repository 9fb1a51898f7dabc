"""From networks to the record and the files of their checkpoint: what training and importing share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from warnings import warn

from zoo.checkpoints.folder import PORTRAIT, SPEC, safetensors_bytes
from zoo.checkpoints.network import GOLDEN, TOLERANCES, golden_outputs
from zoo.errors import MissingDependencyError, ZooWarning
from zoo.network import Network
from zoo.specs.base import Spec
from zoo.specs.catalogue import find
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.record import Record
from zoo.specs.study import PaperSpec


def make(
    experiment: ExperimentSpec, members: Sequence[Network], facts: Mapping[str, Any]
) -> tuple[Record, dict[str, bytes]]:
    """The record of an experiment's networks, one a member, and the files that go with it.

    ``facts`` are the fields of the record that neither the experiment nor the networks tell: among them
    ``metrics``, by which the claims are judged. The files are spec, weights, golden outputs and portrait.
    """
    record = Record.model_validate(
        {
            "name": experiment.name,
            "title": experiment.title,
            "paper": experiment.paper,
            "citation": citation(experiment.paper),
            "tags": experiment.tags,
            "license": experiment.license,
            "experiment": experiment.digest(),
            "members": len(members) if experiment.population is not None else None,
            "seeds": [member.experiment.train.seed for member in members],
            "parameters": sum(p.numel() for p in members[0].model.parameters()),
            "claims": [claim.judge(facts["metrics"]) for claim in experiment.claims],
            "golden": dict(TOLERANCES),
            "files": {},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
    )
    files = {
        SPEC: json.dumps(experiment.plain(), indent=1).encode(),
        GOLDEN: safetensors_bytes(golden_outputs(members, experiment.record.golden_trials)),
    }
    for index, member in enumerate(members):
        files[record.weights(index)] = safetensors_bytes(member.model.state_dict())
        if owned := dict(member.owned()) if member.owned is not None else {}:
            files[record.owned(index)] = safetensors_bytes(owned)
    if picture := _portrait(record, experiment, members):
        files[PORTRAIT] = picture
    return record, files


def _portrait(record: Record, experiment: ExperimentSpec, members: Sequence[Network]) -> bytes | None:
    """The picture for the card, where matplotlib is installed. No checkpoint fails for want of one."""
    from zoo.checkpoints.portrait import portrait

    try:
        return portrait(record, experiment, members.__getitem__)
    except MissingDependencyError:
        return None
    except Exception as problem:
        warn(f"{record.name} has no portrait: drawing it failed with {problem!r}.", ZooWarning, stacklevel=3)
        return None


def citation(paper: str | None) -> str:
    """The paper's citation, where the catalogue knows the paper."""
    if paper is None:
        return ""
    try:
        found: Spec = load(find(paper))
    except LookupError:
        return ""
    return found.citation() if isinstance(found, PaperSpec) else ""
