"""Checkpoints by name: run, verify, publish, pull, tag, delete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zoo.cli.options import Device, HubName, Json
from zoo.cli.output import check_failed, emit, table


def add_to(app: typer.Typer) -> None:
    for command in (run, verify, publish, pull, tag, delete):
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
    columns = (
        "name",
        "files",
        "largest drift of outputs",
        "metrics drifted",
        "problems of the card",
        "verdict",
    )
    rows = [
        (
            name,
            len(r.files),
            max((x.worst for x in r.replays), default=0.0),
            r.drifted,
            "; ".join(r.card),
            "holds" if r.holds else "FAILS",
        )
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
    parent: Annotated[
        str | None, typer.Option(help="Commit to follow; refused if another came in between.")
    ] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Who may see it, on the Hugging Face Hub.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Put a checkpoint on a hub; of what is there already, only what is new travels."""
    import zoo
    from zoo.hub import plan

    if not dry_run:
        revision = zoo.publish(checkpoint, to, name=name, tag=tag, parent=parent, private=private)
        emit(
            {"name": revision.name, "commit": revision.commit, "tag": tag, "hub": to}, f"published {revision}"
        )
        return
    planned = plan(checkpoint, to, name=name)
    rows = [(each.file, each.size, each.change) for each in planned.files]
    travel = sum(each.size for each in planned.files if each.change in ("new", "changed"))
    after = f"after commit {planned.parent[:12]}" if planned.parent else "as a new name"
    emit(
        asdict(planned),
        planned.card.rstrip(),
        "",
        table("", ("file", "bytes", "change"), rows),
        f"{planned.target}, {after}: {travel:,} bytes would travel. Nothing has been changed.",
    )


def pull(
    names: Annotated[list[str], typer.Argument(help="[hub:]name[@revision], addresses and globs of them.")],
    to: HubName = "local",
    json: Json = False,
) -> None:
    """Copy checkpoints to a hub of your own; what was fetched before is not fetched again."""
    import zoo

    revisions = zoo.pull(names, to, progress=True)
    emit(
        [{"name": revision.name, "commit": revision.commit, "hub": to} for revision in revisions],
        *(f"pulled {revision}" for revision in revisions),
    )


def tag(
    name: Annotated[str, typer.Argument(help="name[@revision] on the hub.")],
    tag: Annotated[str, typer.Argument(help="v1, for example; it can never point elsewhere.")],
    to: HubName = "local",
    json: Json = False,
) -> None:
    """Give a revision a name."""
    from zoo.hub import Reference, open_hub

    asked = Reference.parse(name)
    revision = open_hub(to).tag(asked.name, tag, asked.revision)
    emit({"name": revision.name, "commit": revision.commit, "tag": tag, "hub": to}, f"tagged {revision}")


def delete(
    name: Annotated[str, typer.Argument(help="A name on the hub.")],
    hub: Annotated[str, typer.Option(help="local, a directory or an address.")] = "local",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove a name and all its revisions from a hub."""
    from zoo.hub import open_hub

    target = open_hub(hub)
    if not yes:
        typer.confirm(f"Remove {name} and all its revisions from {target.where}?", abort=True, err=True)
    target.delete(name)
    emit({"deleted": name, "hub": hub}, f"removed {name} from {hub}")
