"""The files of a new kind: in a checkout of the zoo where it belongs, elsewhere as a package of one's own."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from zoo import registry
from zoo.errors import RegistryError, ZooError, brief
from zoo.placing import write_whole

TEMPLATES = Path(__file__).parent / "templates"
KIND = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
WIDTH = 110
"""Of a line in the checkout."""
FAMILIES = {"model": "models", "task": "tasks", "learner": "learners", "analysis": "analyses"}
EXAMPLES = {
    "model": ("MODELS: dict[str, dict[str, Any]] = {", '{{"kind": "{kind}", "units": 7}}'),
    "task": ("TASKS: dict[str, dict[str, Any]] = {", '{{"kind": "{kind}", "steps": 12}}'),
    "learner": ("RULES: dict[str, dict[str, Any]] = {", '{{"kind": "{kind}", "optimizer": FAST}}'),
}
"""Where the examples of a family begin in ``tests/examples.py``, and what a new one is."""


@dataclass(frozen=True)
class Written:
    """What :func:`new` did."""

    folder: Path
    """The checkout or the package."""
    files: tuple[Path, ...]
    """New ones, and those in which a line is new."""
    package: bool
    tests: tuple[str, ...]
    """What pytest is given, from the folder, to see what there is to write."""


def new(family: str, kind: str, folder: Path | str | None = None, start: Path | str = ".") -> Written:
    """Write the files of a new kind: spec, implementation, registry line, example, test and YAML.

    Args:
        family: ``model``, ``task``, ``learner`` or ``analysis``.
        kind: Its name, such as ``my-cell``.
        folder: Where a package of one's own goes; without it, ``zoo-<kind>`` below ``start``, unless that
            is in a checkout of the zoo, whose own files are written then.
        start: Where the search for a checkout begins.

    Raises:
        RegistryError: No such family, or a name that cannot be or is taken. Nothing is written.
        ZooError: Files that are there already, or a checkout that has no place for the lines.
    """
    _check(family, kind)
    module = kind.replace("-", "_")
    names = {
        "kind": kind,
        "module": module,
        "title": "".join(part.capitalize() for part in kind.split("-")),
        "family": family,
        "families": FAMILIES[family],
    }
    found = checkout(Path(start)) if folder is None else None
    if found is not None:
        return _into_tree(found, names)
    return _package(Path(start) / f"zoo-{kind}" if folder is None else Path(folder), names)


def checkout(start: Path) -> Path | None:
    """The checkout of the zoo that a folder is in, if any."""
    for folder in (start.absolute(), *start.absolute().parents):
        project = folder / "pyproject.toml"
        if (folder / "zoo/registry/builtin.py").is_file() and project.is_file():
            return folder if 'name = "neuroai-zoo"' in project.read_text(encoding="utf-8") else None
    return None


def _check(family: str, kind: str) -> None:
    if family not in FAMILIES:
        raise RegistryError(
            f"there is no family {brief(family)} of kinds; a new kind is one of {', '.join(FAMILIES)}."
        )
    if not KIND.fullmatch(kind) or len(kind) > 60 or keyword.iskeyword(kind):
        raise RegistryError(
            f"{brief(kind)} cannot be the name of a kind: give lower-case letters and digits, with dashes "
            "between words, and a letter first, such as 'my-cell'."
        )
    if kind in registry.kinds(FAMILIES[family]):
        raise RegistryError(f"there is a {family} of kind {kind!r}; choose another name.")


def _into_tree(root: Path, names: Mapping[str, str]) -> Written:
    """Spec, implementation, test and YAML, and a line in the registry and among the examples."""
    family, module, kind = names["family"], names["module"], names["kind"]
    room = "analysis" if family == "analysis" else names["families"]
    names = {
        **names,
        "spec": f"zoo.specs.{names['families']}.{module}",
        "implementation": f"zoo.{room}.{module}",
        "file": f"zoo/{room}/{module}.py",
    }
    example = f"specs/examples/{kind}.yaml"
    test = f"tests/{room}/test_{module}.py"
    texts = {
        root / f"zoo/specs/{names['families']}/{module}.py": _filled(family, "spec.py", names),
        root / names["file"]: _filled(family, "implementation.py", names),
        root / test: _filled(family, "test.py", names),
        root / example: "# yaml-language-server: $schema=../schema/"
        + ("study" if family == "analysis" else "experiment")
        + ".json\n"
        + _filled(family, "example.yaml", names),
    }
    entry = f'"{names["spec"]}:{names["title"]}Spec"', f'"{names["implementation"]}:{names["title"]}"'
    line = f'        "{kind}": Kind({entry[0]}, {entry[1]}),\n'
    if len(line) > WIDTH + 1:
        line = f'        "{kind}": Kind(\n            {entry[0]}, {entry[1]}\n        ),\n'
    registered = root / "zoo/registry/builtin.py"
    changed = {registered: _inserted(registered, f'    "{names["families"]}": {{', "\n    },\n", line)}
    if family in EXAMPLES:
        begins, value = EXAMPLES[family]
        examples = root / "tests/examples.py"
        line = f'    "{kind}": {value.format(kind=kind)},\n'
        changed[examples] = _inserted(examples, begins, "\n}\n", line)
    _write(texts, changed)
    contract = {"model": "models", "task": "tasks", "learner": "learners"}.get(family)
    either = kind if kind == module else f"{kind} or {module}"  # which is how files and examples are called
    tests = (test,) if contract is None else (test, f"tests/contract/test_{contract}.py", "-k", either)
    return Written(root, (*texts, *changed), package=False, tests=tests)


def _package(folder: Path, names: Mapping[str, str]) -> Written:
    """A package with an entry point, a test and an experiment or study."""
    family, module, kind = names["family"], names["module"], names["kind"]
    package = f"zoo_{module}"
    names = {
        **names,
        "package": package,
        "constant": module.upper(),
        "spec": f"{package}.spec",
        "implementation": f"{package}.{family}",
        "file": f"{package}/{family}.py",
    }
    texts = {
        folder / "pyproject.toml": _filled("package", "pyproject.toml", names),
        folder / "README.md": _filled("package", "README.md", names),
        folder / package / "__init__.py": _filled("package", "init.py", names),
        folder / package / "spec.py": _filled(family, "spec.py", names),
        folder / names["file"]: _filled(family, "implementation.py", names),
        folder / f"tests/test_{module}.py": _filled(family, "test.py", names),
        folder / f"examples/{kind}.yaml": _filled(family, "example.yaml", names),
    }
    _write(texts, {})
    return Written(folder, tuple(texts), package=True, tests=("tests",))


def _filled(family: str, name: str, names: Mapping[str, str]) -> str:
    text = Template((TEMPLATES / family / f"{name}.txt").read_text(encoding="utf-8")).substitute(names)
    block = re.compile(
        r"(?:^from zoo[._].* import .*\n)+", re.MULTILINE
    )  # where the spec is depends on names
    return block.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)


def _inserted(path: Path, begins: str, ends: str, line: str) -> str:
    """The text of a file with a line more, at the end of the table that begins so."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    start = text.find(f"\n{begins}\n")
    end = text.find(ends, start)
    if start < 0 or end < 0:
        raise ZooError(
            f"{path} has no table that begins with {begins.strip()!r}, where a line for the new kind "
            "belongs. Write a package of your own in its place: zoo new … --folder FOLDER"
        )
    return f"{text[: end + 1]}{line}{text[end + 1 :]}"


def _write(texts: Mapping[Path, str], changed: Mapping[Path, str]) -> None:
    """New files and changed ones; nothing where one of the new ones is there already."""
    there = [str(path) for path in texts if path.exists()]
    if there:
        raise ZooError(f"{', '.join(there)}: there already. Choose another name, or another folder.")
    for path, text in {**texts, **changed}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
