"""The command's root, and the groups of commands that it gathers."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli import (
    analysis,
    cache,
    catalogue,
    checkpoints,
    deriving,
    importing,
    listing,
    making,
    recording,
    serving,
    sweeping,
    system,
    training,
    trials,
)

app = typer.Typer(
    help="A declarative model zoo for the science of neural networks.",
    epilog="Exit codes: 0 done · 1 a bug of ours · 2 bad input · 3 a check failed · 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    listing,
    catalogue,
    trials,
    training,
    sweeping,
    deriving,
    importing,
    recording,
    checkpoints,
    analysis,
    making,
    cache,
    serving,
    system,
):
    group.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from zoo import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Output for programs; works after a command, too.")
    ] = False,
) -> None:
    """Specs, training, hubs and comparisons, by name."""
