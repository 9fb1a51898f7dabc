"""What a task asks: trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.options import Json
from zoo.cli.output import emit, table
from zoo.errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    from zoo.specs.families import TaskSpec


def add_to(app: typer.Typer) -> None:
    app.command("trials")(trials)


def trials(
    name: Annotated[str, typer.Argument(help="A kind of task, a spec or a checkpoint.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="field=value of the task.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which of its splits.")] = "test",
    seed: Annotated[int, typer.Option(help="Of the trials that are drawn.")] = 0,
    count: Annotated[int, typer.Option("--trials", min=1, max=12, help="How many to draw.")] = 3,
    plot: Annotated[list[Path] | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
    json: Json = False,
) -> None:
    """What a task gives a network and asks of it: widths, splits, latents, and a picture of some trials."""
    from zoo import registry
    from zoo.analysis.trials import describe, save

    spec = _task(name, parameter or [])
    facts: dict[str, Any] = {
        "kind": spec.kind,
        **describe(spec.for_split(split)),
        "splits": [*spec.split_names()],
    }
    made = registry.implementation("tasks", spec.kind)(spec)
    for path in plot or ():
        save(made, path, split, seed, count, f"{name}, {split}")
    rows = [(key, _text(value)) for key, value in facts.items()]
    emit(facts, table("", ("", ""), rows), *(f"wrote {path}" for path in plot or ()))


def _task(name: str, given: list[str]) -> TaskSpec:
    """The task of a kind, of a spec or of a checkpoint, with some fields changed."""
    from zoo import registry
    from zoo.hub import fetch
    from zoo.specs.catalogue import find
    from zoo.specs.experiment import ExperimentSpec
    from zoo.specs.loading import load
    from zoo.specs.problems import validate
    from zoo.specs.reading import value as parsed

    changes: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise SpecError(f"a parameter is field=value, not {text!r}.")
        changes[key] = parsed(value, f"parameter {text!r}")
    if name in registry.kinds("tasks"):
        return validate(registry.spec_class("tasks", name), {"kind": name, **changes})
    experiment: Any
    try:
        experiment = load(find(name))
    except UnknownNameError as problem:
        try:
            experiment = fetch(name).experiment
        except UnknownNameError:
            raise UnknownNameError(
                f"{name!r} is no kind of task, and no spec or checkpoint either. Kinds: "
                f"{', '.join(registry.kinds('tasks'))}."
            ) from problem
    if not isinstance(experiment, ExperimentSpec):
        raise SpecError(f"{name} is no experiment and has no task of its own. Name one of its experiments.")
    return validate(type(experiment.task), {**experiment.task.plain(), **changes})


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name} ({', '.join(map(str, ['trial', *shape]))})" for name, shape in value.items()
        )
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
