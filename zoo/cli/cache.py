"""Caches: cache list, cache prune."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit, table


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What was fetched or computed, and could be again.")
    group.command("list")(list_)
    group.command("prune")(prune)
    app.add_typer(group, name="cache")


def list_(json: Json = False) -> None:
    """What is cached, the largest first, and when it was last used."""
    from zoo.hub.caches import cached, places

    now = time.time()
    rows = [
        (each.kind, each.what, each.size / 1e6, round((now - each.used) / 86_400, 1), str(each.path))
        for each in cached()
    ]
    columns = ("kind", "what", "MB", "days unused", "where")
    folders = [(name, str(path), purpose) for name, (path, purpose) in places().items()]
    emit(
        [dict(zip(columns, row, strict=True)) for row in rows],
        table("caches", ("cache", "where", "holds"), folders),
        table("", columns, rows),
        f"{sum(row[2] for row in rows):.1f} MB in all. Remove what is not needed with: zoo cache prune",
    )


def prune(
    days: Annotated[float, typer.Option(min=0, help="Remove what was not used for so long.")] = 30,
    kind: Annotated[
        str | None, typer.Option(help="checkpoints, results, indexes or leftovers; all, without one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove what was fetched or computed and could be again. Hubs and runs are never touched."""
    from zoo.errors import ZooError
    from zoo.hub.caches import KINDS, cached
    from zoo.hub.caches import prune as remove

    kinds = tuple(each for each in KINDS if kind in (None, each))
    if not kinds:
        raise ZooError(f"there is no kind {kind!r} in the caches; take one of {', '.join(KINDS)}.")
    if dry_run:
        before = time.time() - 86_400 * days
        gone = [each for each in cached() if each.kind in kinds and each.used <= before]
    else:
        gone = remove(days, kinds)
    size = sum(each.size for each in gone) / 1e6
    emit(
        [{"kind": each.kind, "what": each.what, "bytes": each.size} for each in gone],
        table("", ("kind", "what", "MB"), [(each.kind, each.what, each.size / 1e6) for each in gone]),
        f"{'would remove' if dry_run else 'removed'} {len(gone)} entries, {size:.1f} MB",
    )
