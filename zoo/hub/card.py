"""The model card: ``README.md`` with one generated block, around which people write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

import yaml

from zoo.errors import CheckpointError
from zoo.specs.base import Spec
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

BEGIN, END = "<!-- zoo:begin -->", "<!-- zoo:end -->"
NOTE = "<!-- Generated from record.json and spec.json. What stands above and below these marks is kept. -->"
_FRONT = re.compile(r"\A---\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def render(record: Record, experiment: ExperimentSpec, existing: str | None = None) -> str:
    """The card of a checkpoint; of ``existing``, everything outside the generated block is kept.

    So are keys of its front matter that are not generated. Raises :class:`CheckpointError` where its
    front matter is no YAML or its markers do not go in a pair.
    """
    block = "\n\n".join([f"{BEGIN}\n{NOTE}", *_sections(record, experiment), END])
    front, body = _split(existing or "")
    head = yaml.safe_dump(
        {**front, **_front(record, experiment)}, sort_keys=False, allow_unicode=True, width=100
    )
    if (body.count(BEGIN), body.count(END)) not in ((0, 0), (1, 1)) or body.find(BEGIN) > body.find(END):
        raise CheckpointError(
            f"README.md of {record.name} should have one line {BEGIN} and one {END} after it. Restore "
            "the pair, or remove both to have the block put in front."
        )
    if BEGIN in body:
        before, after = body[: body.index(BEGIN)], body[body.index(END) + len(END) :]
    else:
        before, after = "\n", f"\n\n{body.lstrip()}" if body.strip() else "\n"
    return f"---\n{head}---\n{before}{block}{after}"


def text(value: Any) -> str:
    """Anything as one line of plain text in Markdown: nothing in it is markup, a link or HTML."""
    line = " ".join(str(value).split())
    line = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]|#~$!@])", r"\\\1", line)
    line = re.sub(r"(?i)\b(https?|ftp|mailto|www)([:.])", r"\1&#8203;\2", line)
    return re.sub(r"^(?:[-+=]+|[0-9]+[.)])(?= |$)", lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)


def _split(card: str) -> tuple[dict[str, Any], str]:
    found = _FRONT.match(card)
    if found is None:
        return {}, card
    try:
        front = yaml.safe_load(found[1]) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise CheckpointError(
            f"the lines between the first two --- of README.md are no valid YAML: {problem}. Correct them."
        ) from problem
    if not isinstance(front, dict):
        raise CheckpointError(
            "the lines between the first two --- of README.md should be 'key: value' lines."
        )
    return front, card[found.end() :]


def _front(record: Record, experiment: ExperimentSpec) -> dict[str, Any]:
    kinds = (experiment.model.kind, experiment.task.kind, experiment.learner.kind)
    license = record.license.lower()
    known = re.fullmatch("[a-z0-9.-]+", license)
    front: dict[str, Any] = {"library_name": "zoo", "license": license if known else "other"}
    if not known:
        front["license_name"] = record.license
    front["tags"] = list(dict.fromkeys(["zoo", *kinds, *record.tags]))
    return front | {"model-index": [{"name": record.name, "results": list(_results(record, experiment))}]}


def _results(record: Record, experiment: ExperimentSpec) -> Iterator[dict[str, Any]]:
    """Means over the members, in the form that the Hugging Face Hub reads."""
    splits: dict[str, list[dict[str, Any]]] = {}
    for name, values in record.metrics.items():
        split, _, metric = name.rpartition("/")
        if finite := _finite(values):
            splits.setdefault(split, []).append({"type": metric, "name": name, "value": fmean(finite)})
    for split, metrics in splits.items():
        dataset = {"type": "zoo", "name": experiment.task.kind, **({"split": split} if split else {})}
        task = {"type": "other", "name": experiment.task.kind}
        yield {"task": task, "dataset": dataset, "metrics": metrics}


def _sections(record: Record, experiment: ExperimentSpec) -> Iterator[str]:
    yield f"# {text(record.title or record.name)}"
    yield _what(record, experiment)
    if experiment.description.strip():
        yield text(experiment.description)
    member = "" if record.members is None else f"  # the first member; the others are {record.name}/1 …"
    yield (
        f'```python\nimport zoo\n\nnet = zoo.load("{record.name}"){member}\n'
        "run = net.trajectories(trials=64, seed=1)  # states, inputs, outputs\n```"
    )
    parts = {"model": experiment.model, "task": experiment.task, "learner": experiment.learner}
    rows = [(part, spec.kind, ", ".join(_settings(spec))) for part, spec in parts.items()]
    rows.append(("train", "", ", ".join(_settings(experiment.train))))
    if experiment.population is not None:
        rows.append(("population", "", ", ".join(_settings(experiment.population))))
    yield "## Spec\n\n" + _table(("part", "kind", "settings other than defaults"), rows)
    yield "## Metrics\n\n" + _table(("metric", "mean", "lowest", "highest", "members"), _metric_rows(record))
    yield "## Claims\n\n" + _claims(record)
    yield "## Provenance\n\n" + _table(("", ""), _provenance(record))
    yield "## Limits\n\n" + _limits(record, experiment)


def _what(record: Record, experiment: ExperimentSpec) -> str:
    count = "One network" if record.members is None else f"A population of {record.members} networks"
    return (
        f"{count} of kind {text(experiment.model.kind)} with {record.parameters:,} parameters each, trained "
        f"by {text(experiment.learner.kind)} on the task {text(experiment.task.kind)}."
    )


def _settings(spec: Spec) -> Iterator[str]:
    """Fields that differ from their defaults, as ``init.gain = 1.5``."""

    def flat(data: dict[str, Any], above: str) -> Iterator[str]:
        for key, value in data.items():
            if isinstance(value, dict) and value:
                yield from flat(value, f"{above}{key}.")
            elif above or key != "kind":
                yield f"{above}{key} = {value}"

    return flat(spec.canonical(), "")


def _metric_rows(record: Record) -> Iterator[Sequence[Any]]:
    for name, values in record.metrics.items():
        finite = _finite(values)
        count = f"{len(finite)} of {len(values)} finite" if len(finite) < len(values) else len(values)
        yield (name, *(map(_number, (fmean(finite), min(finite), max(finite))) if finite else "———"), count)


def _claims(record: Record) -> str:
    if not record.claims:
        return "None: nothing is claimed of this checkpoint."
    rows = []
    for verdict in record.claims:
        claim, finite = verdict.claim, _finite(verdict.measured)
        measured = "not finite" if len(finite) < len(verdict.measured) or not finite else _number(min(finite))
        if len(verdict.measured) > 1 and finite and measured != "not finite":
            measured += f" to {_number(max(finite))}"
        source = f"{claim.source.kind}: {claim.source.where}".removesuffix(": ")
        rows.append(
            (claim.subject(), claim.bound(), measured, source, Bold("holds" if verdict.holds else "FAILS"))
        )
    failing = [verdict for verdict in record.claims if not verdict.holds]
    lines = [_table(("claim", "bound", "measured", "source", "verdict"), rows)]
    if failing:
        lines.append(f"**{len(failing)} of {len(record.claims)} claims fail.**")
    lines += [f"- {text(v.claim.subject())} fails: {text(v.note)}" for v in failing if v.note]
    return "\n\n".join(lines)


def _provenance(record: Record) -> Iterator[Sequence[Any]]:
    code, environment = record.code, record.environment
    commit = (
        ""
        if code.commit is None
        else f", commit {code.commit}" + (" with local changes" if code.dirty else "")
    )
    yield "trained", f"{record.created}, {sum(record.wall_time):.0f} s in all"
    yield "on", f"{environment.device}, {environment.platform}, {environment.threads} threads"
    yield "code", f"neuroai-zoo {code.version}{commit}"
    yield "packages", ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    yield "seeds", _listed(record.seeds)
    yield "batches", _listed(record.steps)
    yield "snapshots", _listed([f"#{step}" for step in record.series[0]]) if record.series else "none"
    yield "experiment", record.experiment
    yield "derived from", _listed(record.parents) or "nothing"
    yield "licence", f"{record.license} (weights), {record.code_license} (code)"
    yield "citation", record.citation or "none given"


def _limits(record: Record, experiment: ExperimentSpec) -> str:
    splits = ", ".join(map(text, experiment.record.evaluation.splits))
    seeds = "one seed" if len(set(record.seeds)) == 1 else f"{len(set(record.seeds))} seeds"
    return (
        f"A research network from {seeds}, measured on generated trials of the splits {splits} and on "
        "nothing else. Outputs on other hardware agree within the tolerances of the record, not bit for bit. "
        "What is not claimed above was not tested."
    )


class Bold(str):
    """A cell in bold."""


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        return f"**{text(value)}**" if isinstance(value, Bold) else text(value)

    lines = [head, ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:12]))
    return shown if len(values) <= 12 else f"{shown}, … ({len(values)} in all)"
