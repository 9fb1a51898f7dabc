"""Documents and kinds: show, kinds, validate, schema, migrate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.options import Json
from zoo.cli.output import check_failed, emit, table, verdicts
from zoo.errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    from zoo.specs.base import Spec


def add_to(app: typer.Typer) -> None:
    for command in (show, kinds, validate, schema, migrate):
        app.command(command.__name__)(command)


def show(
    name: Annotated[str, typer.Argument(help="A spec or a checkpoint.")],
    full: Annotated[bool, typer.Option("--full", help="Write every default of the spec.")] = False,
    json: Json = False,
) -> None:
    """The spec of a name, and what is known of its checkpoint."""
    from zoo.hub import fetch
    from zoo.specs.catalogue import find
    from zoo.specs.loading import load
    from zoo.specs.writing import to_yaml

    try:
        record = fetch(name).record
    except UnknownNameError as problem:
        record, missing = None, problem
    try:
        spec: Spec = load(find(name))
    except UnknownNameError:
        if record is None:
            raise missing from None
        spec = fetch(name).experiment
    data = {"spec": spec.plain(), "digest": spec.digest(), "record": record and record.plain()}
    shown: list[Any] = [to_yaml(spec, full=full).rstrip()]
    if record is not None:
        facts = [
            ("members", record.members or 1),
            ("parameters", record.parameters),
            ("steps", record.steps),
            ("snapshots", ", ".join(f"#{step}" for step in record.series[0]) if record.series else "none"),
            ("size", f"{sum(entry.size for entry in record.files.values()) / 1e3:.0f} kB"),
            ("licence", record.license),
            (
                "trained",
                f"{record.created}, {record.environment.device}, commit {record.code.commit or 'unknown'}",
            ),
        ]
        metrics = [
            (metric, min(kept), max(kept))
            for metric, values in record.metrics.items()
            if (kept := [v for v in values if v is not None])
        ]
        shown += [
            "",
            table("published", ("", ""), facts),
            "",
            table("metrics over members", ("metric", "lowest", "highest"), metrics),
        ]
        shown += ["", verdicts((name, verdict) for verdict in record.claims)] if record.claims else []
    emit(data, *shown)


def kinds(
    family: Annotated[
        str | None, typer.Argument(help="models, tasks, learners, analyses, operations.")
    ] = None,
    json: Json = False,
) -> None:
    """The kinds that a spec can name, ours and those of plugins."""
    from zoo import registry

    offered = {(plugin.family, plugin.kind): plugin for plugin in registry.plugins(load=True)}
    rows = []
    for each in registry.FAMILIES if family is None else (family,):
        for kind in sorted({*registry.kinds(each), *(k for f, k in offered if f == each)}):
            plugin = offered.get((each, kind))
            rows.append(
                (each, kind, plugin.distribution if plugin else "neuroai-zoo", plugin.error if plugin else "")
            )
    columns = ("family", "kind", "from", "error")
    emit([dict(zip(columns, row, strict=True)) for row in rows], table("", columns, rows))


def validate(
    specs: Annotated[
        list[str] | None, typer.Argument(help="Names, YAML files or folders; without any, everything.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Build the network, too, and run one batch.")] = False,
    json: Json = False,
) -> None:
    """Check specs, with the file and line of each mistake. Exit code 3 if there is any."""
    from zoo.specs.catalogue import files
    from zoo.specs.loading import load

    results: list[dict[str, Any]] = []
    for name in _targets(specs) if specs else list(files()):
        try:
            spec: Spec = load(name)
            if deep:
                _try_out(spec)
            results.append({"name": name, "valid": True, "digest": spec.digest(), "problems": []})
        except SpecError as problem:
            results.append(
                {"name": name, "valid": False, "digest": None, "problems": str(problem).splitlines()}
            )
    rows = [(r["name"], r["valid"], (r["digest"] or "")[:12]) for r in results]
    emit(
        results,
        table("", ("spec", "valid", "digest"), rows),
        *(line for r in results for line in r["problems"]),
    )
    if not all(result["valid"] for result in results):
        check_failed()


def _targets(given: list[str]) -> Iterator[str]:
    """Names and files as they are, folders file by file; what else a glob brings is passed over."""
    from zoo.specs.catalogue import SUFFIXES

    for text in given:
        path = Path(text)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
            yield from (str(file) for file in found if not file.name.startswith(("_", ".")))
        elif not path.is_file() or (path.suffix in SUFFIXES and not path.name.startswith("_")):
            yield text


def _try_out(spec: Any) -> None:
    from zoo.specs.experiment import ExperimentSpec

    if isinstance(spec, ExperimentSpec):
        from zoo import registry

        learner, _ = registry.resolve(spec.member(0))
        learner.network.measure("train", 2)


def schema(
    family: Annotated[str, typer.Argument(help="experiment, study, paper or record.")] = "experiment",
    write: Annotated[Path | None, typer.Option(help="Write all of them to this folder.")] = None,
    json: Json = False,
) -> None:
    """The JSON Schema of a family of documents, for editors."""
    import json as encoder

    from zoo.registry import suggest
    from zoo.specs.schema import schemas
    from zoo.specs.schema import write as write_all

    known = schemas()
    if write is not None:
        write_all(write)
        emit({"written": sorted(known)}, f"wrote {', '.join(sorted(known))} to {write}")
    elif f"{family}.json" not in known:
        raise UnknownNameError(f"there is no schema {family!r}.{suggest(family, [k[:-5] for k in known])}")
    else:
        print(encoder.dumps(known[f"{family}.json"], indent=1))


def migrate(
    file: Annotated[Path, typer.Argument(help="A spec of an older version.")],
    write: Annotated[bool, typer.Option("--write", help="Replace the file.")] = False,
    json: Json = False,
) -> None:
    """Bring a spec to the current version; shows the difference unless told to write."""
    import difflib

    from zoo.placing import write_whole
    from zoo.specs.migrations import migrate_text

    if not file.is_file():
        raise UnknownNameError(f"there is no file {file}.")
    text = file.read_text(encoding="utf-8")
    _, new = migrate_text(text)
    difference = list(
        difflib.unified_diff(
            text.splitlines(), new.splitlines(), str(file), f"{file} (migrated)", lineterm=""
        )
    )
    if write and difference:
        write_whole(file, new)
    data = {
        "file": str(file),
        "changed": bool(difference),
        "written": write and bool(difference),
        "text": new,
    }
    emit(data, "\n".join(difference) or f"{file} is of the current version.")
