"""The front matter of a card: what a hub reads of a checkpoint, in the terms of the Hugging Face Hub."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from zoo.errors import CheckpointError, SpecError
from zoo.hub.licenses import license_keys
from zoo.specs import reading
from zoo.specs.claim import Verdict
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

LIBRARY = "neuroai-zoo"
"""Library and tag of our checkpoints: how they are found on a hub."""
GENERATED = ("library_name", "license", "license_name", "license_link", "tags", "model-index")
"""Keys that are written anew with each card; of ``tags``, what people added stays."""
MAX_TAG = 100
NOT_FINITE = "not finite"
"""The value of a claim in the model-index where a member's is no finite number."""

_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def split(card: str) -> tuple[dict[str, Any], str]:
    """The front matter of a card as plain data, and what follows it.

    Read in bounded time, without aliases and tags. Raises :class:`CheckpointError` for what is no
    mapping in YAML.
    """
    found = _FRONT.match(card)
    if found is None:
        return {}, card
    body = card[found.end() :]
    if not found[1].strip():
        return {}, body
    try:
        return reading.read(f"\n{found[1]}", "README.md").data, body  # the line that was --- is counted
    except SpecError as problem:
        raise CheckpointError(
            "the lines between the first two --- of README.md should be 'key: value' lines in YAML: "
            f"{problem.problems[0]}. Correct them."
        ) from problem


def front_matter(record: Record, experiment: ExperimentSpec, known: dict[str, Any]) -> dict[str, Any]:
    """The whole front matter; of ``known``, what was there before, keys and tags that people added stay."""
    kinds = (experiment.model.kind, experiment.task.kind, experiment.learner.kind)
    before = known.get("tags")
    added = [tag for tag in before if isinstance(tag, str)] if isinstance(before, list) else []
    ours = [tag for tag in record.tags if is_tag(tag)]
    index = {"name": record.name, "results": list(results(record, experiment.task.kind))}
    return {
        **{key: value for key, value in known.items() if key not in GENERATED},
        "library_name": LIBRARY,
        **license_keys(record.license),
        "tags": list(dict.fromkeys([LIBRARY, *kinds, *ours, *added])),
        "model-index": [index],
    }


def results(record: Record, task: str) -> Iterator[dict[str, Any]]:
    """The results of the model-index: the metrics of each split, and the claims, which the Hub tells apart by
    the data set.

    A metric has its mean over the members, and is left out where no member's is finite; a claim has the
    measured value that is nearest to breaking its bound.
    """
    splits: dict[str, list[dict[str, Any]]] = {}
    for name, values in record.metrics.items():
        head, _, metric = name.rpartition("/")
        split = "" if head.partition("/")[0] == "update" else head  # of the last update, on no split
        if finite := [value for value in values if value is not None]:
            splits.setdefault(split, []).append({"type": metric, "value": mean(finite), "name": name})
    for split, metrics in splits.items():
        yield _result(task, metrics, {"split": split} if split else {})
    if record.claims:
        yield _result(task, list(map(_claim, record.claims)), {"config": "claims"})


def is_tag(tag: Any) -> bool:
    """Whether something can be a tag on a hub: a short text on one line."""
    return isinstance(tag, str) and 0 < len(tag) <= MAX_TAG and tag.isprintable()


def mean(values: Sequence[float]) -> float:
    """Of finite numbers, however large."""
    return math.fsum(value / len(values) for value in values)


def _result(task: str, metrics: list[dict[str, Any]], where: dict[str, str]) -> dict[str, Any]:
    dataset = {"name": task, "type": LIBRARY, **where}
    return {"task": {"type": "other", "name": task}, "dataset": dataset, "metrics": metrics}


def _claim(verdict: Verdict) -> dict[str, Any]:
    """A claim as a metric, with its verdict in the name."""
    claim = verdict.claim
    source = f"{claim.source.kind}: {claim.source.where}".removesuffix(": ")
    bounds = {"at_least": claim.at_least, "at_most": claim.at_most}
    return {
        "type": claim.metric,
        "value": _worst(verdict),
        "name": f"claim: {claim.subject()} {claim.bound()} {'holds' if verdict.holds else 'FAILS'}",
        "args": {
            "holds": verdict.holds,
            **{name: bound for name, bound in bounds.items() if bound is not None},
            "source": source,
        },
    }


def _worst(verdict: Verdict) -> float | str:
    """The measured value with the least room within the bounds."""
    claim, values = verdict.claim, [value for value in verdict.measured if value is not None]
    if not values or len(values) < len(verdict.measured):
        return NOT_FINITE

    def room(value: float) -> float:
        below = math.inf if claim.at_least is None else value - claim.at_least
        return below if claim.at_most is None else min(below, claim.at_most - value)

    return min(values, key=room)
