"""Writes the table of what ships with the zoo into README.md, from ``registry/``.

python scripts/readme_table.py --write    rewrites what stands between the markers
python scripts/readme_table.py --check    fails when that would change anything
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from zoo.specs.claim import Verdict
from zoo.specs.record import Record

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- catalogue:begin -->", "<!-- catalogue:end -->"
COLUMNS = ("name", "model", "task", "networks", "parameters each", "first claim, and its worst network")
RIGHT = {"networks", "parameters each"}


def main(arguments: list[str]) -> int:
    """Check or rewrite; the exit status is 1 when the table is out of date."""
    if arguments not in (["--write"], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    before = README.read_text(encoding="utf-8")
    if before.count(BEGIN) != 1 or before.count(END) != 1:
        print(f"README.md needs one line {BEGIN} and one line {END}.", file=sys.stderr)
        return 1
    head, rest = before.split(BEGIN)
    tail = rest.split(END)[1]
    after = f"{head}{BEGIN}\n{table(ROOT / 'registry')}\n{END}{tail}"
    if after == before:
        return 0
    if arguments == ["--check"]:
        print("README.md is out of date. Run: scripts/check-generated --write", file=sys.stderr)
        return 1
    README.write_text(after, encoding="utf-8", newline="\n")
    return 0


def table(registry: Path) -> str:
    """A Markdown table, one row a checkpoint, by name."""
    rows = [row(folder.parent) for folder in sorted(registry.glob("*/record.json"))]
    rule = ["---:" if column in RIGHT else "---" for column in COLUMNS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, rule, *rows))


def row(folder: Path) -> list[str]:
    """The cells of one checkpoint."""
    record = Record.model_validate(json.loads((folder / "record.json").read_text(encoding="utf-8")))
    spec: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    return [
        f"[{record.name}](registry/{folder.name}/README.md)",
        spec["model"]["kind"],
        spec["task"]["kind"],
        str(record.members or 1),
        f"{record.parameters:,}",
        verdict(record.claims[0]) if record.claims else "",
    ]


def verdict(found: Verdict) -> str:
    """``test/sign_accuracy 0.994 (≥ 0.99)``, with the value nearest to breaking the claim."""
    claim = found.claim
    values = [value for value in found.measured if value is not None]
    worst = min if claim.at_least is not None else max
    value = f"{worst(values):.4g}" if len(values) == len(found.measured) > 0 else "not finite"
    return f"{claim.subject()} {value} ({claim.bound()}){'' if found.holds else ' ✗'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
