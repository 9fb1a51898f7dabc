"""Networks as a lab would see them: record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit, table
from zoo.errors import SpecError


def add_to(app: typer.Typer) -> None:
    app.command("record")(record)


def record(
    name: Annotated[str, typer.Argument(help="A network; a recording is only written anew.")],
    kind: Annotated[str, typer.Option(help="poisson (spike counts) or calcium (fluorescence).")] = "poisson",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="field=value of the kind, such as rate=20.")
    ] = None,
    units: Annotated[int | None, typer.Option(min=1, help="How many are recorded; all without it.")] = None,
    held_out_units: Annotated[int, typer.Option(min=0, help="Further units that are kept apart.")] = 0,
    held_out: Annotated[float, typer.Option(min=0, max=0.99, help="Share of the trials for testing.")] = 0.2,
    trials: Annotated[int, typer.Option(min=1, help="Of the network's task.")] = 64,
    split: Annotated[str, typer.Option(help="Of the task.")] = "test",
    site: Annotated[str | None, typer.Option(help="Of the network; without it, what is read out.")] = None,
    dt: Annotated[float, typer.Option(help="Seconds that a step of the network stands for.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Of the units, the spikes and the noise.")] = 0,
    called: Annotated[str | None, typer.Option("--name", help="Name of the recording.")] = None,
    output: Annotated[Path | None, typer.Option(help="Checkpoint folder to write.")] = None,
    to: Annotated[Path | None, typer.Option(help="NWB file to write.")] = None,
    json: Json = False,
) -> None:
    """Record spikes or fluorescence from some units of a network, as a checkpoint, an NWB file, or both."""
    if output is None and to is None:
        raise SpecError("nothing would be kept. Give --output FOLDER, --to FILE.nwb, or both.")
    import zoo
    from zoo.specs.reading import value as parsed

    fields: dict[str, Any] = {}
    for text in parameter or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise SpecError(f"a parameter is field=value, not {text!r}.")
        fields[key] = parsed(value, f"parameter {text!r}")
    made = zoo.record(
        name,
        units=units,
        held_out_units=held_out_units,
        held_out=held_out,
        trials=trials,
        split=split,
        site=site,
        dt=dt,
        seed=seed,
        name=called,
        output=output,
        nwb=to,
        signal={"kind": kind, **fields},
    )
    spec: Any = made.experiment.model
    facts: dict[str, Any] = {
        "name": made.name,
        "signal": spec.signal,
        "trials": spec.trials,
        "steps": spec.steps,
        "units": spec.units,
        "seconds of a step": spec.dt,
        "latents": [*spec.latents],
        "checkpoint": output and str(output),
        "nwb": to and str(to),
    }
    rows = [
        (key, ", ".join(value) if isinstance(value, list) else str(value)) for key, value in facts.items()
    ]
    emit(facts, table("", ("", ""), rows))
