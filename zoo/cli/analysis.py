"""Asking networks: compare, reproduce."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.options import Engine, Json
from zoo.cli.output import as_json, check_failed, emit, table, verdicts
from zoo.errors import AnalysisError


def add_to(app: typer.Typer) -> None:
    app.command("compare")(compare)
    app.command("analyse")(analyse)
    app.command("identify")(identify)
    app.command("reproduce")(reproduce)


def compare(
    names: Annotated[
        list[str], typer.Argument(help="Names or globs (name/* is every member), .npy or .npz files.")
    ],
    metric: Annotated[
        str, typer.Option(help="Kind: dsa, input-dsa, procrustes, cka, rsa, …; zoo kinds lists them.")
    ] = "dsa",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="field=value of the analysis.")
    ] = None,
    plot: Annotated[list[Path] | None, typer.Option(help="Figure to write: .png or .svg.")] = None,
    save: Annotated[list[Path] | None, typer.Option(help="Matrix to write: .csv or .json.")] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Are labels further apart than chance? A permutation test.")
    ] = False,
    engine: Engine = "here",
    json: Json = False,
) -> None:
    """Distances between networks: a table, a heat map, a map."""
    import zoo

    matrix = zoo.compare(names, metric, progress=not as_json(), engine=engine, **_parameters(parameter))
    tested = matrix.permutation_test() if test else None
    for path in save or ():
        (matrix.to_json if path.suffix == ".json" else matrix.to_csv)(path)
    for path in plot or ():
        matrix.plot(path)
    statistics = matrix.statistics()
    rows = list(statistics.items())
    kept = ("spec", "measure", "names", "labels", "origins", "values", "details")
    data = {key: value for key, value in matrix.plain().items() if key in kept}
    data["statistics"] = statistics
    if tested:
        data["test"] = asdict(tested)
    written = [f"wrote {path}" for path in [*(save or ()), *(plot or ())]]
    shown = [table("", ("statistic", "value"), rows)] if rows else []
    emit(data, matrix.table(), *shown, *([str(tested)] if tested else []), *written)


def analyse(
    analysis: Annotated[str, typer.Argument(help="Kind, such as fixed-points; zoo kinds lists them.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names or globs (name/* is every member), .npy or .npz files; none for a calculation."
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="field=value of the analysis.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Figure to write: .png or .svg; or a folder.")] = None,
    save: Annotated[Path | None, typer.Option(help="Arrays to write: .npz or .json; or a folder.")] = None,
    json: Json = False,
) -> None:
    """What an analysis finds in each network by itself, or without any: numbers, arrays, a figure."""
    import zoo
    from zoo.registry import kinds

    if names and names[-1] in kinds("analyses") and analysis not in kinds("analyses"):
        raise AnalysisError(
            f"the kind comes first: zoo analyse {shlex.join([names[-1], analysis, *names[:-1]])}"
        )
    found = zoo.analyse(names or None, analysis, progress=not as_json(), **_parameters(parameter))
    written = []
    for name, finding in found.items():
        for path, write, suffix in ((save, finding.save, ".npz"), (plot, finding.plot, ".png")):
            if path is None:
                continue
            if len(found) > 1 and path.suffix:
                raise AnalysisError(f"there are {len(found)} findings; give a folder in the place of {path}.")
            written.append(write(path if path.suffix else path / f"{name.replace('/', '-')}{suffix}"))
    emit(
        [finding.plain() for finding in found.values()], found.table(), *(f"wrote {path}" for path in written)
    )


def identify(
    recordings: Annotated[
        list[str], typer.Argument(help="Recordings: .npy or .npz files; or names, to be recorded (-r).")
    ],
    among: Annotated[
        list[str], typer.Option("--among", help="Names or globs of networks that they may be of.")
    ],
    metric: Annotated[str, typer.Option(help="Kind of comparator; zoo kinds lists them.")] = "dsa",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="field=value of the comparator.")
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option("-r", "--record", help="field=value that differs for recordings: observe={units: 9}."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Figure of the confusion to write: .png or .svg.")] = None,
    save: Annotated[Path | None, typer.Option(help="Distances and guesses to write: .json.")] = None,
    json: Json = False,
) -> None:
    """Which network a recording was made of: the nearest, by any comparator."""
    from zoo.analysis.identify import identify

    found = identify(
        recordings,
        among,
        metric,
        record=_parameters(record),
        progress=not as_json(),
        **_parameters(parameter),
    )
    written = [write(path) for path, write in ((save, found.to_json), (plot, found.plot)) if path]
    data, rows = found.plain(), []
    if "accuracy" in data:
        rows = [("accuracy", found.accuracy), ("chance", found.chance), ("of labels", found.label_accuracy)]
    shown = [table("", ("statistic", "value"), rows)] if rows else []
    emit(data, found.table(), *shown, *(f"wrote {path}" for path in written))


def _parameters(given: list[str] | None) -> dict[str, Any]:
    """Fields of an analysis from ``field=value``. Raises :class:`AnalysisError` for anything else."""
    from zoo.specs.reading import value as parsed

    parameters: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise AnalysisError(f"a parameter is field=value, not {text!r}.")
        parameters[key] = parsed(value, f"parameter {text!r}")
    return parameters


def reproduce(
    name: Annotated[str, typer.Argument(help="A paper, a study or an experiment.")],
    measure: Annotated[bool, typer.Option("--measure", help="Measure each network again.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder for matrices and figures.")] = None,
    engine: Engine = "here",
    json: Json = False,
) -> None:
    """Check a paper's claims on its published checkpoints.

    Exit code 3 if any fails, or anything is missing or cannot be read.
    """
    import zoo

    result = zoo.reproduce(name, measure=measure, output=output, progress=not as_json(), engine=engine)
    judged = [(where, verdict) for where, verdicts in result.checkpoints.items() for verdict in verdicts]
    judged += [(study.study.name, verdict) for study in result.studies for verdict in study.verdicts]
    missing = [
        f"not published: {each}; make it with: zoo {_verb(each)} {each} --publish local"
        for each in result.missing
    ]
    broken = [f"cannot be read: {each}. {problem}" for each, problem in result.broken.items()]
    data = {
        "name": name,
        "holds": result.holds,
        "verdicts": [{"of": where, **verdict.plain()} for where, verdict in judged],
        "missing": result.missing,
        "broken": dict(result.broken),
        "metrics": {study.study.name: dict(study.metrics) for study in result.studies},
    }
    notes = [
        f"{where}: {verdict.claim.subject()} fails. {verdict.note}"
        for where, verdict in judged
        if verdict.note
    ]
    emit(
        data,
        verdicts(judged),
        *notes,
        *missing,
        *broken,
        *([f"figures and matrices: {output}"] if output else []),
    )
    if not result.holds:
        check_failed()


def _verb(name: str) -> str:
    """What makes a checkpoint of the catalogue that no hub has."""
    from zoo.specs.base import Spec
    from zoo.specs.derivation import DerivationSpec
    from zoo.specs.loading import load

    spec: Spec = load(name)
    return "derive" if isinstance(spec, DerivationSpec) else "train"
