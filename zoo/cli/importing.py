"""What was made elsewhere: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import Json
from zoo.cli.output import as_json, check_failed, emit, table, verdicts


def add_to(app: typer.Typer) -> None:
    app.command("import")(adopt)
    app.command("adopt", help="The same as import.")(adopt)


def adopt(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Weights: .safetensors, .pt. Recordings: .npy, .npz, .h5, .nwb. Several: a population."
        ),
    ],
    source: Annotated[str, typer.Option(help="Who made them, and where they were published.")],
    licence: Annotated[str, typer.Option(help="SPDX expression under which they were.")],
    output: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    spec: Annotated[
        str | None, typer.Option(help="Of weights: an experiment that says model and task, or a YAML file.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", help="YAML file: from their names and layouts to ours.")
    ] = None,
    member: Annotated[
        int | None, typer.Option(min=0, help="Member of the spec's population that the file is.")
    ] = None,
    steps: Annotated[int, typer.Option(min=0, help="Batches that they were trained on, if known.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the checkpoint.")] = None,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of a recording's trials for testing.")
    ] = 0.2,
    json: Json = False,
) -> None:
    """Make a checkpoint of weights or recordings from elsewhere, without running any code of theirs.

    Exit code 3 if a claim of the spec does not hold for them.
    """
    import zoo

    folder = zoo.adopt(
        files,
        source=source,
        licence=licence,
        output=output,
        spec=spec,
        mapping=mapping,
        member=member,
        steps=steps,
        name=name,
        held_out=held_out,
        progress=not as_json(),
    )
    record = folder.record
    assert record.imported is not None
    tensors = folder.tensors(record.weights())
    made = [(ours, list(tensors[ours].shape), theirs) for ours, theirs in record.imported.tensors.items()]
    shown = [table("", ("ours", "shape", "made of"), made)]
    shown += [table("", ("metric", "each member"), [(n, list(v)) for n, v in record.metrics.items()])]
    if record.claims:
        shown += [verdicts((record.name, verdict) for verdict in record.claims)]
    emit(
        {"checkpoint": str(folder.path), "record": record.plain()},
        *shown,
        *record.imported.notes,
        f"checkpoint: {folder.path}",
        f"publish it with: zoo publish {folder.path}",
    )
    if not all(verdict.holds for verdict in record.claims):
        check_failed()
