"""A tour of the zoo through its command line: train a network, publish it, load and compare others.

Each command is printed before it runs, with the time it took after. Everything that the zoo writes
goes to a temporary folder (--keep: to the usual one); the figures go to demo-output/.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

OUTPUT = Path("demo-output")
FIGURES = {metric: OUTPUT / f"{metric}.png" for metric in ("dsa", "procrustes")}
TRAINED = "{trained}"
"""Stands for the checkpoint folder that the first command writes."""

STEPS: list[tuple[str, list[str]]] = [
    ("Train one network, from a spec and an override.", ["train", "dsa-rnn-flipflop", "population=null"]),
    ("Publish it to the local hub.", ["publish", TRAINED, "--to", "local"]),
    ("What there is.", ["list"]),
    ("Load a network that ships with the zoo and run it on its task.", ["run", "dsa-gru-flipflop"]),
    *(
        (
            f"Compare every network on the task with every other, by {what}.",
            ["compare", "dsa-*-flipflop/*", "--metric", metric, "--plot", str(FIGURES[metric])],
        )
        for metric, what in (("dsa", "their dynamics (DSA)"), ("procrustes", "their geometry (Procrustes)"))
    ),
]


def main() -> int:
    """Run all steps; the exit status is that of the first one that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="write to the usual ZOO_HOME instead of a temporary one")
    keep: bool = parser.parse_args().keep

    OUTPUT.mkdir(exist_ok=True)
    began = time.monotonic()
    with nullcontext() if keep else tempfile.TemporaryDirectory(prefix="zoo-demo-") as home:
        environment = os.environ | ({"ZOO_HOME": home} if home else {})
        trained = ""
        for title, arguments in STEPS:
            command = ["zoo", *(trained if argument == TRAINED else argument for argument in arguments)]
            status, output = run(title, command, environment)
            if status:
                print(f"\nThis step failed, with exit status {status}.", file=sys.stderr)
                return status
            trained = trained or checkpoint(output)
    print(f"\nDone in {time.monotonic() - began:.0f} s. Two figures, the same networks in each:")
    for figure in FIGURES.values():
        print(f"  {figure.resolve()}")
    return 0


def run(title: str, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """One command, its output shown as it comes and returned."""
    print(f"\n# {title}\n$ {shlex.join(command)}", flush=True)
    began = time.monotonic()
    lines = []
    executable = Path(sys.executable).with_name("zoo")
    with subprocess.Popen(
        [str(executable), *command[1:]], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    print(f"({time.monotonic() - began:.1f} s)", flush=True)
    return process.returncode, "".join(lines)


def checkpoint(output: str) -> str:
    """The checkpoint folder that ``zoo train`` names in what it prints."""
    for word in re.findall(r"\S+", output):
        folder = Path(word.strip("'\"`.,;:()"))
        if folder.is_absolute() and (folder / "record.json").is_file():
            return str(folder)
    return ""


if __name__ == "__main__":
    sys.exit(main())
