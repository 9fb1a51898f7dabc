"""Documents of earlier layouts, brought to the layout of today: one pure function a step.

A step takes plain data and gives plain data. It sees what a person wrote, which may be a fragment
or wrong, so it moves what it recognises, leaves the rest, and lets validation judge the outcome.
Step ``n`` of a family leads from ``family/n`` to ``family/n+1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from zoo.errors import NewerVersionError, Problem, SpecError
from zoo.registry.names import suggest

CURRENT = {"experiment": 1, "study": 1, "paper": 1, "derivation": 1}
"""Families of documents that a file can hold, with the version written today."""

_HEADER = re.compile(r"([a-z]+)/([0-9]{1,6})")


def upgrade(data: dict[str, Any], header: str) -> dict[str, Any]:
    """The data in the layout of today; the same object where the header asks for no step."""
    match = _HEADER.fullmatch(header)
    if not match:
        return data
    family, version = match[1], int(match[2])
    while (family, version) in STEPS:
        data = STEPS[family, version](data)
        version += 1
        if "spec" in data:
            data = {**data, "spec": f"{family}/{version}"}
    return data


def family_of(header: Any, place: str) -> str:
    """The family that a header names. Raises where it names none, or one of another version."""
    allowed = [f"{family}/{version}" for family, version in CURRENT.items()]
    if header is None:
        message = f"is required: begin the document with 'spec: {allowed[0]}' (or {', '.join(allowed[1:])})"
        raise SpecError(Problem(message, "spec", place))
    match = _HEADER.fullmatch(header) if isinstance(header, str) else None
    if not match or match[1] not in CURRENT:
        given = str(header)[:40]
        message = f"should be one of {', '.join(allowed)} (got {given!r}).{suggest(given, allowed)}"
        raise SpecError(Problem(message, "spec", place))
    family, version = match[1], int(match[2])
    if version > CURRENT[family]:
        message = f"{header} is newer than this installation, which reads up to {family}/{CURRENT[family]}"
        raise NewerVersionError(
            Problem(message, "spec", place), hint="Upgrade with: pip install --upgrade neuroai-zoo"
        )
    if version < CURRENT[family]:
        message = f"{header} is a layout that is no longer read; this is {family}/{CURRENT[family]}"
        raise SpecError(Problem(message, "spec", place))
    return family


def migrate_text(text: str) -> tuple[str, str]:
    """The header of a YAML text, and the text in the layout of today.

    The text itself where it is that already; otherwise written anew, with the comments of its first
    lines and none of the others. The bases that it names are files of their own.
    """
    from zoo.specs import reading, writing

    document = reading.read(text)
    header = document.data.get("spec")
    data = upgrade(document.data, header) if isinstance(header, str) else document.data
    family_of(data.get("spec"), "")
    if data.get("spec") == header:
        return str(header), text
    lines = text.removeprefix("\ufeff").splitlines()
    first = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return str(header), "".join(f"{line}\n" for line in lines[:first]) + writing.dump(data)


def _experiment_0(data: dict[str, Any]) -> dict[str, Any]:
    """Before the release: ``training`` with other names, and the rate on the learner itself."""
    names = {"iterations": "steps", "batch": "batch_size"}
    result: dict[str, Any] = {}
    for key, value in data.items():
        if key == "training" and isinstance(value, dict) and "train" not in data:
            free = {old: new for old, new in names.items() if new not in value}
            result["train"] = {free.get(name, name): item for name, item in value.items()}
        elif key == "learner" and isinstance(value, dict) and "lr" in value:
            result[key] = _rate_to_optimizer(value)
        else:
            result[key] = value
    return result


def _rate_to_optimizer(learner: dict[str, Any]) -> dict[str, Any]:
    optimizer = learner.get("optimizer", {"kind": "adam"})
    if not isinstance(optimizer, dict) or "lr" in optimizer:
        return learner
    rest = {key: value for key, value in learner.items() if key not in ("lr", "optimizer")}
    return {**rest, "optimizer": {**optimizer, "lr": learner["lr"]}}


Step = Callable[[dict[str, Any]], dict[str, Any]]
STEPS: dict[tuple[str, int], Step] = {("experiment", 0): _experiment_0}
