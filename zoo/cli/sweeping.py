"""Populations through an engine: sweep, status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.options import Json
from zoo.cli.output import as_json, check_failed, emit, table

if TYPE_CHECKING:
    from rich.table import Table

    from zoo.sweeps.folder import FailedMember
    from zoo.sweeps.standing import Standing


def add_to(app: typer.Typer) -> None:
    app.command("sweep")(sweep)
    app.command("status")(status)


def sweep(
    spec: Annotated[str, typer.Argument(help="A name of the catalogue, or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Dotted overrides: model.hidden=32 train.steps=500")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="path=one,two,three; every combination is trained.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds for each combination.")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="path=log:1e-4..1e-1, also int:4..64, log-int:4..64, 0.5..2 or one,two,three: searched."
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Points of the search.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="random, or tpe, which goes by the outcomes (extra search).")
    ] = None,
    search_seed: Annotated[int | None, typer.Option(help="Of the search.")] = None,
    objective: Annotated[str | None, typer.Option(help="Metric that tpe is after: validation/loss.")] = None,
    maximise: Annotated[
        bool | None, typer.Option("--maximise/--minimise", help="Which way is better for tpe.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Trials that tpe has on their way at a time: 8.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="here, local:4, dask://host:8786, slurm:workers=4,queue=short, or a YAML file."),
    ] = "here",
    hub: Annotated[
        str | None,
        typer.Option(
            help="Where those exchange runs that share no disk: https://host/lab, s3://…, a directory."
        ),
    ] = None,
    group: Annotated[int, typer.Option(min=1, help="Members that a worker gets at a time.")] = 1,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End at the first that fails.")] = False,
    publish: Annotated[
        str | None, typer.Option(help="Publish the population to this hub when all are done.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Table to write: .csv or .parquet; a row a member and metric.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Figure to write: .png, .svg or .pdf; learning curves and grid.")
    ] = None,
    metric: Annotated[str, typer.Option(help="What the figure shows over what varies.")] = "test/loss",
    json: Json = False,
) -> None:
    """Train every member of a population. Call it again to go on: what is finished is not run again.

    Exit code 3 if some members failed; they are tried again with the next call.
    """
    import zoo
    from zoo.hub.lookup import open_hub
    from zoo.sweeps.declaring import grid_of, space_of
    from zoo.sweeps.results import check_suffix, write_results
    from zoo.sweeps.standing import standing
    from zoo.sweeps.trials import adaptive

    if publish:  # a wrong one is known before hours of training
        open_hub(publish)
    if results:
        check_suffix(results)
    asked = {
        "kind": sampler,
        "space": space_of(search or ()) or None,
        "trials": trials,
        "seed": search_seed,
        "metric": objective,
        "direction": None if maximise is None else "maximise" if maximise else "minimise",
        "parallel": parallel,
    }
    made = zoo.sweep(
        spec,
        overrides or (),
        grid=grid_of(grid or ()),
        seeds=seeds,
        search={key: value for key, value in asked.items() if value is not None},
        engine=engine,
        hub=hub,
        group=group,
        fail_fast=fail_fast,
        progress=not as_json(),
    )
    found = standing(made.folder)
    revision = zoo.publish(made.checkpoint(), publish) if publish and made.trained else None
    best = made.best() if adaptive(made.folder.experiment) else None
    data = {**_data(found), "best": best and asdict(best), "revision": revision and revision.commit}
    notes = [f"{found.done} of {found.members} members are done; {len(found.failed)} failed."]
    notes += [str(best)] if best else []
    notes += [f"published as {revision}"] if revision else []
    if results and found.done:
        notes.append(f"wrote {write_results(made.experiment, results)}")
    if plot and found.done:
        from zoo.sweeps.figures import sweep_figure

        notes.append(f"wrote {sweep_figure(made.experiment, plot, metric)}")
    emit(data, *_failures(found.failed), *notes, f"sweep: {found.name}")
    if found.left:
        check_failed()


def status(
    name: Annotated[str | None, typer.Argument(help="A sweep, or the beginning of its name.")] = None,
    json: Json = False,
) -> None:
    """How sweeps stand: done, running, failed, rate and estimate. Without a name, all of them."""
    from zoo.sweeps.folder import SweepFolder, all_sweeps
    from zoo.sweeps.live import duration, pace
    from zoo.sweeps.standing import standing

    folders = [SweepFolder.named(name)] if name else all_sweeps()
    found = [standing(folder) for folder in folders]
    columns = ("sweep", "members", "done", "running", "failed", "left", "driver", "rate", "estimate")
    rows = [
        (
            each.name,
            each.members,
            each.done,
            each.running,
            len(each.failed),
            each.left,
            each.engine or "none",
            pace(each.per_second),
            None if each.seconds_left is None else duration(each.seconds_left),
        )
        for each in found
    ]
    shown = [table("", columns, rows)] if rows else ["there is no sweep yet; begin one with: zoo sweep SPEC"]
    emit([_data(each) for each in found], *shown, *(_failures(found[0].failed) if name else []))


def _data(found: Standing) -> dict[str, Any]:
    return {**asdict(found), "left": found.left}


def _failures(failed: Sequence[FailedMember]) -> list[Table]:
    columns = ("member", "digest", "varied", "error", "message", "log")
    rows = [
        (
            each.member,
            each.digest[:12],
            " ".join(f"{path}={value}" for path, value in each.varied.items()),
            each.kind,
            each.message,
            each.log,
        )
        for each in failed
    ]
    return [table("failed", columns, rows)] if rows else []
