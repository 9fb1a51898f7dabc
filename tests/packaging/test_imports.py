"""Imports run downwards only, and answering a question about names loads no heavy library."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "zoo"

VERBS = "__init__"
FLOORS = (  # from the roof to the cellar; rooms on one floor do not import each other
    ("__main__",),
    ("cli",),
    (VERBS,),
    ("importing", "scaffold", "studies", "sweeps"),
    ("deriving",),
    ("analysis", "training"),
    ("hub", "learners", "operations"),
    ("engine",),
    ("checkpoints",),
    ("network",),
    ("models", "tasks"),
    ("specs",),
    ("registry",),
    ("extras", "paths", "placing", "progress"),
    ("errors",),
)
FLOOR = {room: number for number, rooms in enumerate(reversed(FLOORS)) for room in rooms}

HEAVY = {
    "torch",
    "lightning",
    "scipy",
    "sklearn",
    "matplotlib",
    "huggingface_hub",
    "distributed",
    "loky",
    "optuna",
}


def room(module: str) -> str:
    """``zoo.specs.base`` is in ``specs``; the verbs are in ``zoo`` itself."""
    return [*module.split("."), VERBS][1]


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when the module is imported: not the inside of functions, not ``if TYPE_CHECKING``."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        checking = isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")
        for block in ("body", "orelse", "finalbody"):
            if not (checking and block == "body"):
                yield from statements(getattr(statement, block, []))
        for handler in getattr(statement, "handlers", []):
            yield from statements(handler.body)


def imported(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and name of each module of the zoo that importing this one imports."""
    for statement in statements(ast.parse(source).body):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name.startswith("zoo."):  # `import zoo` by itself loads no room
                    yield statement.lineno, alias.name
        elif isinstance(statement, ast.ImportFrom):
            base = statement.module or ""
            if statement.level:
                parents = module.split(".")[: len(module.split(".")) - statement.level + is_package]
                base = ".".join([*parents, *filter(None, [base])])
            if base == "zoo":  # `from zoo import hub` is a room, `from zoo import load` is a verb
                for alias in statement.names:
                    if alias.name != "__version__":
                        yield statement.lineno, f"zoo.{alias.name}" if alias.name in FLOOR else "zoo"
            elif base.startswith("zoo."):
                yield statement.lineno, base


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    here = room(module)
    return [
        f"{module}:{line} imports {other}, which is not below {here!r}"
        for line, other in imported(source, module, is_package)
        if room(other) != here and FLOOR[room(other)] >= FLOOR[here]
    ]


def test_every_room_has_a_floor() -> None:
    rooms = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert rooms <= set(FLOOR), "say in FLOORS where the new room stands"


def test_imports_run_downwards() -> None:
    found = [
        problem
        for file in sorted(PACKAGE.rglob("*.py"))
        for problem in violations(
            file.read_text(encoding="utf-8"), module_name(file), file.name == "__init__.py"
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "module", "count"),
    [
        ("from zoo.models import rate", "zoo.tasks.memory", 1),
        ("from zoo.tasks import memory", "zoo.models.recurrent", 1),
        ("from zoo import cli, errors", "zoo.specs.base", 1),
        ("from zoo import load", "zoo.hub.local", 1),
        ("from zoo import load", "zoo.cli.run", 0),
        ("from zoo import __version__", "zoo.hub.local", 0),
        ("import zoo", "zoo.hub.local", 0),
        ("import zoo.hub.local", "zoo.errors", 1),
        ("from ..training import train", "zoo.hub.local", 1),
        ("from ...training import train", "zoo.analysis.dynamics.dsa", 1),
        ("from ..registry import kinds", "zoo.specs.base", 0),
        ("from . import base", "zoo.specs", 0),
        ("try:\n    import zoo.cli\nexcept ImportError:\n    pass", "zoo.paths", 1),
        ("class A:\n    import zoo.cli", "zoo.paths", 1),
        ("def f():\n    import zoo.cli", "zoo.paths", 0),
        ("if TYPE_CHECKING:\n    import zoo.cli\nelse:\n    import zoo.hub", "zoo.paths", 1),
    ],
)
def test_the_rule_itself(source: str, module: str, count: int) -> None:
    assert len(violations(source, module, is_package=module.count(".") == 1)) == count


def modules_after(code: str, *arguments: str) -> set[str]:
    """Top-level modules in memory once the code has run in a fresh interpreter."""
    marker = "modules of this process: "
    ending = f"\nimport json, sys\nprint({marker!r} + json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + ending, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listing = next(line for line in done.stderr.splitlines() if line.startswith(marker))
    return {name.split(".")[0] for name in json.loads(listing.removeprefix(marker))}


def test_importing_the_zoo_is_free() -> None:
    ours = modules_after("import zoo") - modules_after("") - set(sys.stdlib_module_names)
    assert ours == {"zoo"}


def test_networks_run_and_are_compared_without_lightning(tmp_path: Path) -> None:
    """Loading it takes longer than loading torch."""
    code = """
import sys, zoo
network = zoo.load(sys.argv[1])
network.measure("test", 2)
zoo.compare({"a": network, "b": network.trajectories(4)}, metric="procrustes", trials=4)
"""
    assert "lightning" not in modules_after(code, "dsa-rnn-flipflop")


COMMAND = """
import sys
sys.argv[0] = "zoo"
from zoo.cli import main
try:
    status = main()
except SystemExit as end:
    status = end.code
assert not status, f"exit status {status}"
"""


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("list",), ("validate", "dsa-rnn-flipflop"), ("show", "dsa-rnn-flipflop")],
    ids=" ".join,
)
def test_questions_about_names_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not modules_after(COMMAND, *arguments) & HEAVY
