"""A tour of the zoo through its command line: train a network, publish it, load and compare others.

Each command is printed before it runs, with the time it took after. Everything that the zoo writes
goes to a temporary folder (--keep: to the usual one); the figures go to demo-output/.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from zoo import paths

OUTPUT = Path("demo-output")
FIGURES = {metric: OUTPUT / f"{metric}.png" for metric in ("dsa", "procrustes")}
NAME = "dsa-rnn-flipflop"
MINE = "my-rnn"
TRAINED = "{trained}"
"""Stands for the checkpoint folder that the first command leaves in ZOO_HOME."""

STEPS: list[tuple[str, list[str]]] = [
    ("Train one network, from a spec and an override.", ["train", NAME, "population=null", "train.seed=7"]),
    ("Publish it to the local hub.", ["publish", TRAINED, "--to", "local", "--name", MINE]),
    ("What there is.", ["list"]),
    ("Load a network that ships with the zoo and run it on its task.", ["run", "dsa-gru-flipflop"]),
    *(
        (
            f"Compare it and all that ship with each other, by {what}.",
            ["compare", MINE, "dsa-*-flipflop/*", "--metric", metric, "--plot", str(FIGURES[metric])],
        )
        for metric, what in (("dsa", "their dynamics (DSA)"), ("procrustes", "their geometry (Procrustes)"))
    ),
]


def main() -> int:
    """Run all steps; the exit status is that of the first one that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--keep", action="store_true", help="write to the usual ZOO_HOME, not to a temporary one"
    )
    keep: bool = parser.parse_args().keep

    OUTPUT.mkdir(exist_ok=True)
    began = time.monotonic()
    with nullcontext(paths.home()) if keep else tempfile.TemporaryDirectory(prefix="zoo-demo-") as home:
        for title, arguments in STEPS:
            if TRAINED in arguments:
                arguments[arguments.index(TRAINED)] = newest_checkpoint(Path(home), NAME)
            status = run(title, arguments, Path(home))
            if status:
                print(f"\nThis step failed, with exit status {status}.", file=sys.stderr)
                return status
    print(f"\nDone in {time.monotonic() - began:.0f} s. Two figures, the same networks in each:")
    for figure in FIGURES.values():
        print(f"  {figure.resolve()}")
    return 0


def run(title: str, arguments: list[str], home: Path) -> int:
    """One ``zoo`` command, with its output and its time; the exit status."""
    print(f"\n# {title}\n$ {shlex.join(['zoo', *arguments])}", flush=True)
    began = time.monotonic()
    zoo = Path(sys.executable).with_name("zoo")
    status = subprocess.run(
        [zoo, *arguments], env=os.environ | {"ZOO_HOME": str(home)}, check=False
    ).returncode
    print(f"({time.monotonic() - began:.1f} s)", flush=True)
    return status


def newest_checkpoint(home: Path, name: str) -> str:
    """The folder in which the latest run of an experiment left its checkpoint."""
    found = home.glob(f"runs/{name}-*/checkpoint/record.json")
    return str(max(found, key=lambda path: path.stat().st_mtime).parent)


if __name__ == "__main__":
    sys.exit(main())
