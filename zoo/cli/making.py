"""Begin something: new."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit


def add_to(app: typer.Typer) -> None:
    app.command("new")(new)


def new(
    family: Annotated[str, typer.Argument(help="model, task, learner or analysis.")],
    name: Annotated[str, typer.Argument(help="Of the kind, such as my-cell.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where a package of your own goes; zoo-NAME unless told.")
    ] = None,
    json: Json = False,
) -> None:
    """The files of a new kind, with tests that say what is to be written.

    In a checkout of the zoo they go where they belong; elsewhere they are a package, whose kind the zoo knows
    once it is installed.
    """
    from zoo.scaffold import new as write

    written = write(family, name, folder)
    tests = shlex.join(written.tests)
    install = f"cd {written.folder} && pip install -e . && " if written.package else ""
    run = "pytest" if written.package else f"scripts/test {tests}"
    emit(
        {
            "folder": str(written.folder),
            "files": [str(path) for path in written.files],
            "package": written.package,
            "tests": list(written.tests),
        },
        *(f"wrote {path}" for path in written.files),
        f"What is to be written is what fails: {install}{run}",
    )
