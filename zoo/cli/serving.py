"""A hub of one's own: serve a folder, and the tokens of those who may write to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit, note, table

Folder = Annotated[Path, typer.Option("--hub", help="The folder that is served.")]


def add_to(app: typer.Typer) -> None:
    app.command("serve")(serve)
    tokens = typer.Typer(help="Who may write to a served hub, or read what is private in it.")
    for command in (add, list_, remove):
        tokens.command(command.__name__.strip("_"))(command)
    app.add_typer(tokens, name="token", no_args_is_help=True)


def serve(
    folder: Annotated[Path, typer.Argument(help="The folder; it is a local hub as well.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8008,
    private: Annotated[bool, typer.Option("--private", help="Reading needs a token, too.")] = False,
    max_file: Annotated[int, typer.Option(min=1, max=100_000, help="Largest file, in MB.")] = 1024,
    json: Json = False,
) -> None:
    """Serve a folder as a hub, for the zoo and for everything that knows the Hugging Face Hub."""
    from zoo.hub.server import running, tokens
    from zoo.hub.server.limits import MB, Limits

    limits = Limits(file=max_file * MB, commit=4 * max_file * MB)
    if not tokens.read(folder.expanduser()):
        note(f"no tokens yet, so everyone may only read; add one with: zoo token add NAME --hub {folder}")

    def ready(url: str) -> None:
        emit(
            {"url": url, "folder": str(folder), "private": private},
            f"serving {folder} at {url} until Ctrl-C\n"
            f"  read with    HF_ENDPOINT={url}\n"
            f"  write with   ZOO_TOKEN=… zoo push NAME --to {url}/ORGANISATION",
        )
        sys.stdout.flush()

    running.serve(folder, host, port, private=private, limits=limits, ready=ready)


def add(
    name: Annotated[str, typer.Argument(help="Whose token it is; they may write under NAME/….")],
    hub: Folder,
    read: Annotated[bool, typer.Option("--read", help="For reading only.")] = False,
    org: Annotated[
        list[str] | None, typer.Option(help="Also under this organisation; can be repeated.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Under every name.")] = False,
    json: Json = False,
) -> None:
    """Make a token. It is shown now and never again."""
    from zoo.hub.server import tokens

    secret = tokens.add(hub.expanduser(), name, write=not read, admin=admin, organisations=tuple(org or ()))
    note("this token is not kept anywhere and cannot be shown again:")
    emit({"name": name, "token": secret}, secret)


def list_(hub: Folder, json: Json = False) -> None:
    """Whose tokens there are, and what they allow."""
    from zoo.hub.server import tokens

    columns = ("name", "may", "under", "since")
    rows = [
        (
            token.name,
            token.role,
            "every name" if token.admin else (token.name, *token.organisations),
            token.created,
        )
        for token in tokens.read(hub.expanduser())
    ]
    emit([dict(zip(columns, row, strict=True)) for row in rows], table("", columns, rows))


def remove(
    name: Annotated[str, typer.Argument(help="Whose token it is.")], hub: Folder, json: Json = False
) -> None:
    """Take a token back; the server refuses it from now on."""
    from zoo.hub.server import tokens

    tokens.remove(hub.expanduser(), name)
    emit({"removed": name}, f"removed the token {name!r}")
