"""Checkpoints by name: run, verify, publish, pull, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli.options import Device, HubName, Json
from zoo.cli.output import check_failed, emit, table


def add_to(app: typer.Typer) -> None:
    for command in (run, verify, publish, pull, delete):
        app.command(command.__name__)(command)
    app.command("push", help="The same as publish.")(publish)


def run(
    name: Annotated[str, typer.Argument(help="[hub:]name[@revision][/member][#step]")],
    split: Annotated[str, typer.Option(help="Split of its task.")] = "test",
    trials: Annotated[int, typer.Option(min=1, max=1_000_000)] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Load a network and run it on its task: does it work here?"""
    import zoo

    network = zoo.load(name, device)
    measured = {metric: value.mean().item() for metric, value in network.measure(split, trials, seed).items()}
    rows = [(f"{split}/{metric}", value) for metric, value in measured.items()]
    steps, units = network.trajectories(1, seed, split).states.shape[1:]
    spec = network.experiment
    emit(
        {"name": name, "split": split, "trials": trials, "metrics": measured, "sites": network.model.sites},
        f"{name}: {spec.model.kind} on {spec.task.kind}, {steps} steps × {units} units",
        table("", ("metric", "value"), rows),
    )


def verify(
    names: Annotated[list[str], typer.Argument(help="Names, globs or folders.")],
    metrics: Annotated[bool, typer.Option("--metrics", help="Measure everything again, too.")] = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Check digests and replay golden outputs. Exit code 3 if anything drifted."""
    import zoo
    from zoo.hub import expand

    found = list(dict.fromkeys(str(r.whole()) for name in names for r in expand(name)))
    results = [zoo.verify(name, metrics=metrics, device=device) for name in found]
    columns = ("name", "files", "largest drift of outputs", "metrics drifted", "verdict")
    rows = [
        (name, len(r.files), max(x.worst for x in r.replays), r.drifted, "holds" if r.holds else "FAILS")
        for name, r in zip(found, results, strict=True)
    ]
    emit([dict(zip(columns, row, strict=True)) for row in rows], table("", columns, rows))
    if not all(result.holds for result in results):
        check_failed()


def publish(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, or a name.")],
    to: HubName = "local",
    name: Annotated[str | None, typer.Option(help="Publish under this name instead of its own.")] = None,
    tag: Annotated[
        str | None, typer.Option(help="Name of this revision; it can never point elsewhere.")
    ] = None,
    json: Json = False,
) -> None:
    """Put a checkpoint on a hub."""
    import zoo

    revision = zoo.publish(checkpoint, to, name=name, tag=tag)
    emit({"name": revision.name, "commit": revision.commit, "tag": tag, "hub": to}, f"published {revision}")


def pull(
    name: Annotated[str, typer.Argument(help="[hub:]name[@revision]")],
    to: HubName = "local",
    json: Json = False,
) -> None:
    """Copy a checkpoint to a hub of your own."""
    import zoo

    revision = zoo.pull(name, to)
    emit({"name": revision.name, "commit": revision.commit, "hub": to}, f"pulled {revision}")


def delete(
    name: Annotated[str, typer.Argument(help="A name on the hub.")],
    hub: Annotated[str, typer.Option(help="local, or a directory.")] = "local",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove a name and all its revisions from a hub."""
    from zoo.hub import open_hub

    target = open_hub(hub)
    if not yes:
        typer.confirm(f"Remove {name} and all its revisions from {hub}?", abort=True, err=True)
    target.delete(name)
    emit({"deleted": name, "hub": hub}, f"removed {name} from {hub}")
