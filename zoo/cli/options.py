"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Output for programs.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")]
HubName = Annotated[
    str, typer.Option("--to", help="local, a directory or an address: hf://lab, https://hub.lab.org.")
]
Engine = Annotated[
    str, typer.Option(help="here, local:4, dask://host:8786, slurm:workers=4,queue=short, or a YAML file.")
]
