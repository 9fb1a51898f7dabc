"""Making networks: train."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import Json
from zoo.cli.output import as_json, check_failed, emit, table, verdicts
from zoo.errors import UnknownNameError


def add_to(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    spec: Annotated[str, typer.Argument(help="A name of the catalogue, or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Dotted overrides: model.hidden=32 train.seed=7")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Run folder, instead of the one the spec's digest names.")
    ] = None,
    publish: Annotated[
        str | None, typer.Option(help="Publish to this hub when done: local, or a directory.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Name of the published revision.")] = None,
    json: Json = False,
) -> None:
    """Train what a spec declares. Goes on where a killed run stopped; a finished one is not run again.

    Exit code 3 if a claim of the spec does not hold for the trained network.
    """
    import zoo
    from zoo.hub.lookup import open_hub
    from zoo.hub.reference import check_revision
    from zoo.specs.loading import load
    from zoo.training.place import Place

    if tag:
        check_revision(tag)
    if publish:  # one that cannot be reached is known before hours of training
        hub = open_hub(publish)
        with suppress(UnknownNameError):
            hub.resolve(hub.owned(load(spec, overrides or ()).name))
    checkpoint = zoo.train(spec, overrides or (), folder=folder, progress=not as_json())
    if not Place.of(checkpoint.experiment.train).first:
        return  # the first of several processes says what there is to say
    revision = zoo.publish(checkpoint, publish, tag=tag) if publish else None
    record = checkpoint.record
    data = {
        "checkpoint": str(checkpoint.path),
        "record": record.plain(),
        "revision": revision and revision.commit,
    }
    members = range(record.members or 1)
    facts = ("seeds", "steps", "stopped", "wall_time")
    rows = [(fact.replace("_", " "), *getattr(record, fact)) for fact in facts]
    rows += [(name, *values) for name, values in record.metrics.items() if name != "train/steps"]
    shown = [table("", ("", *map(str, members)), rows)] if len(members) <= 12 else []
    if record.claims:
        shown += [verdicts((record.name, verdict) for verdict in record.claims)]
    where = f"published as {revision}" if revision else f"publish it with: zoo publish {checkpoint.path}"
    emit(data, *shown, f"checkpoint: {checkpoint.path}", where)
    if not all(verdict.holds for verdict in record.claims):
        check_failed()
