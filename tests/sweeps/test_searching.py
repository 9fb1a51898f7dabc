"""Searches: drawn at random as any population, or by outcomes, with the same points whatever happens."""

from __future__ import annotations

import json
import math
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from examples import experiment

import zoo
from zoo.engine.job import Job, Report, perform
from zoo.engine.local import Here
from zoo.engine.versions import versions
from zoo.errors import MissingDependencyError, SpecError, TrainingError
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.search import TPESearchSpec
from zoo.sweeps import searching
from zoo.sweeps.asking import ask
from zoo.sweeps.declaring import declared, space_of
from zoo.sweeps.figures import _draw
from zoo.sweeps.folder import SweepFolder
from zoo.sweeps.results import finished, results
from zoo.sweeps.sweep import Sweep, sweep
from zoo.training import together
from zoo.training.run import Run

QUICK = {"steps": 4, "batch_size": 4, "validate_every": 2, "validation_trials": 4}
RATE = {"learner.optimizer.lr": {"kind": "log-uniform", "low": 1e-4, "high": 1e-1}}
WIDTH = {"model.hidden": {"kind": "integer", "low": 3, "high": 6}}


def quick(**train: Any) -> ExperimentSpec:
    return experiment("rate", train={**QUICK, **train}, record={"evaluation": {"trials": 4}})


def tpe(trials: int = 10, space: dict[str, Any] = RATE | WIDTH, **more: Any) -> dict[str, Any]:
    return {"kind": "tpe", "trials": trials, "space": space, "startup": 3, "parallel": 2, **more}


def asked(made: Sweep) -> list[dict[str, Any]]:
    rows = json.loads((made.folder.path / "trials.json").read_text())["trials"]
    return [row["point"] for row in rows]


def stamps(spec: ExperimentSpec) -> dict[str, int]:
    """When each finished member was finished."""
    runs = [Run.of(member) for member in spec.members()]
    return {run.folder.name: (run.folder / "result.json").stat().st_mtime_ns for run in runs if run.finished}


# What is asked for --------------------------------------------------------------------------------

SEARCH = TPESearchSpec.model_validate(
    {
        "kind": "tpe",
        "trials": 60,
        "parallel": 4,
        "space": {
            "rate": {"kind": "log-uniform", "low": 1e-4, "high": 1e-1},
            "gain": {"kind": "uniform", "low": 0.0, "high": 1.0},
            "width": {"kind": "log-integer", "low": 4, "high": 64},
            "init": {"kind": "choice", "values": [{"gain": 1.0}, "normal", None]},
        },
    }
)


def bowl(point: dict[str, Any]) -> float | None:
    """Least at a rate of 0.01, a gain of 0.3 and a normal init; fails for large gains."""
    if point["gain"] > 0.8:
        return None
    return (math.log10(point["rate"]) + 2) ** 2 + (point["gain"] - 0.3) ** 2 + (point["init"] != "normal")


def search_for(search: TPESearchSpec, score: Callable[[Any], float | None]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for trial in range(search.trials):
        known = points[: max(0, trial + 1 - search.parallel)]
        points.append(ask(search, points, [score(point) for point in known]))
    return points


def test_it_finds_what_is_better_than_chance(capfd: pytest.CaptureFixture[str]) -> None:
    found = search_for(SEARCH, bowl)
    assert found[:10] == [SEARCH.drawn(trial) for trial in range(10)], "as at random, to begin with"
    assert all(SEARCH.holds(point) for point in found)
    late = [value if (value := bowl(point)) is not None else math.inf for point in found[-20:]]
    chance = [value if (value := bowl(SEARCH.drawn(t))) is not None else math.inf for t in range(1000)]
    assert statistics.median(late) < sorted(chance)[50], "below the best twentieth of what is drawn at random"
    upwards = search_for(
        SEARCH.updated(direction="maximise"), lambda point: None if bowl(point) is None else -bowl(point)
    )
    assert upwards == found
    assert capfd.readouterr() == ("", "")


def test_what_is_asked_depends_on_its_arguments_alone() -> None:
    points = search_for(SEARCH, bowl)[:20]
    outcomes = [bowl(point) for point in points[:16]]
    first = ask(SEARCH, points, outcomes)
    assert ask(SEARCH, json.loads(json.dumps(points)), outcomes) == first
    code = """
import sys, json
from zoo.specs.search import TPESearchSpec
from zoo.sweeps.asking import ask
search, points, outcomes = json.load(sys.stdin)
print(json.dumps(ask(TPESearchSpec.model_validate(search), points, outcomes)))
"""
    text = json.dumps([SEARCH.plain(), points, outcomes])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == first
    assert ask(SEARCH, points, [*outcomes[:-1], -5.0]) != first
    beside = ask(SEARCH, [*points[:16], *([first] * 4)], outcomes)
    assert beside != first, "it keeps away from what is on its way"
    assert ask(SEARCH.updated(seed=1), points, outcomes) != first


# At random ----------------------------------------------------------------------------------------


def test_a_random_search_is_a_population_like_any_other() -> None:
    search = {"trials": 4, "space": RATE}
    made = sweep(quick(), search=search, seeds=2, group=8)
    assert made.standing.done == 8
    frame = results(made)
    assert frame["learner.optimizer.lr"].nunique() == 4
    before = stamps(made.experiment)
    more = sweep(quick(), search={**search, "trials": 6}, seeds=2)
    assert more.standing.done == 12
    assert stamps(more.experiment).items() >= before.items()
    checkpoint = made.checkpoint()
    assert checkpoint.record.members == 8
    assert checkpoint.experiment == made.experiment
    loaded = zoo.load(str(checkpoint.path) + "/3").experiment
    assert loaded.learner == made.experiment.member(3).learner
    best = made.best("test/loss")
    assert best is not None
    means = frame[frame["metric"] == "test/loss"].groupby("learner.optimizer.lr")["value"].mean()
    assert best.value == pytest.approx(means.min())
    assert best.varied == {"learner.optimizer.lr": means.idxmin()}


def test_the_figure_has_numbers_on_an_axis() -> None:
    rate = {"kind": "log-uniform", "low": 1e-6, "high": 1e-2}
    space = WIDTH | {"learner.optimizer.lr": rate}
    made = sweep(quick(steps=2), search={"trials": 10, "space": space}, group=10)
    drawn = _draw(made.experiment, finished(made.experiment), "validation/loss")
    rates, widths, both = drawn.axes[1:4]
    shown = sorted(rates.collections[0].get_offsets()[:, 0])
    assert shown == sorted(member.varied["learner.optimizer.lr"] for member in finished(made.experiment))
    assert (rates.get_xscale(), rates.get_xlabel()) == ("log", "learner.optimizer.lr")
    assert [label.get_text() for label in widths.get_xticklabels()] == ["3", "4", "6"]
    assert len(both.collections[0].get_offsets()) == 10
    assert (both.get_yscale(), both.get_xscale()) == ("log", "linear")


# By outcomes --------------------------------------------------------------------------------------


def test_trials_follow_from_the_outcomes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, list[float | None]]] = []

    def watched(search: TPESearchSpec, points: Sequence[Any], outcomes: Sequence[float | None]) -> Any:
        calls.append((len(points), list(outcomes)))
        return ask(search, points, outcomes)

    monkeypatch.setattr(searching, "ask", watched)
    made = sweep(quick(), search=tpe(parallel=3), seeds=2)
    assert made.standing.done == made.standing.members == len(made.experiment.members())
    losses: dict[str, list[float]] = {}
    for member in finished(made.experiment):
        point = json.dumps({path: member.varied[path] for path in RATE | WIDTH})
        losses.setdefault(point, []).append(member.result["curve"]["values"]["validation/loss"][-1])
    assert [number for number, _ in calls] == list(range(10))
    for number, outcomes in calls:
        told = [statistics.fmean(losses[json.dumps(point)]) for point in asked(made)[: max(0, number - 2)]]
        assert outcomes == pytest.approx(told), "those before the three on their way, averaged over the seeds"
    best = made.best()
    assert best is not None
    assert best.value == pytest.approx(min(map(statistics.fmean, losses.values())))
    assert made.trained == made.experiment


class Backwards(Here):
    """Two workers of which the one that begins last ends first."""

    slots = 2

    def __init__(self) -> None:
        self.held: list[tuple[Job, Future[Report]]] = []
        self.order: list[str] = []

    def submit(self, job: Job) -> Future[Report]:
        future: Future[Report] = Future()
        self.held.append((job, future))
        threading.Timer(0.1, self._end).start()
        return future

    def _end(self) -> None:
        job, future = self.held.pop()
        self.order.append(job.key)
        future.set_result(perform(job, versions()))


@pytest.mark.parametrize("engine", ["backwards", pytest.param("local:2", marks=pytest.mark.slow)])
def test_points_do_not_depend_on_the_engine_or_how_many_trials_there_are(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sweep(quick(), search=tpe(8))
    before = stamps(first.experiment)
    longer = sweep(quick(), search=tpe(10))
    assert asked(longer)[:8] == asked(first)
    assert stamps(longer.experiment).items() >= before.items()
    assert longer.folder.path != first.folder.path
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    opened = Backwards()
    elsewhere = sweep(quick(), search=tpe(10), engine=opened if engine == "backwards" else engine)
    assert asked(elsewhere) == asked(longer)
    members = [member.digest() for member in elsewhere.experiment.members()]
    assert engine != "backwards" or (opened.order != members and sorted(opened.order) == sorted(members))


DRIVES = """
import sys, json, zoo
from zoo.specs.experiment import ExperimentSpec
zoo.sweep(ExperimentSpec.model_validate(json.loads(sys.argv[1])))
"""


def test_killed_for_real_it_goes_on(zoo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 of the driver in the middle; and what it has asked for is lost."""
    spec = declared(quick(steps=30, validate_every=30, save_every=10), search=tpe(7))
    folder = SweepFolder.of(spec)
    driver = subprocess.Popen([sys.executable, "-c", DRIVES, json.dumps(spec.plain())])
    while len(list(zoo_home.glob("runs/*/result.json"))) < 4:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    before, points = stamps(folder.found), folder.trials(SEARCH.updated(space=RATE | WIDTH))
    assert 4 <= len(before) < 7
    made = sweep(spec)
    assert made.standing.done == made.standing.members == 7
    after = stamps(made.experiment)
    assert after.items() >= before.items(), "what was finished was left alone"
    assert [trial.point for trial in points] == asked(made)[: len(points)]
    for damage in ('{"trials": [{"point": {"model.hidden": 3}}]}', '{"trials": 3}', "{"):
        (folder.path / "trials.json").write_text(damage)
        assert asked(sweep(spec)) == asked(made)
    assert stamps(made.experiment) == after
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    assert asked(sweep(spec)) == asked(made), "as if it had not been killed"


def test_what_diverges_is_the_worst_and_not_tried_again() -> None:
    spec = experiment(
        "elman-relu", train={**QUICK, "steps": 30}, record={"evaluation": {"trials": 4}}
    ).updated(learner={"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 0.01}})
    space = {"learner.optimizer.lr": {"kind": "choice", "values": [0.01, 0.02, 1e30, 1e29, 1e28]}}
    search = tpe(9, space, startup=6, parallel=1)
    made = sweep(spec, search=search)
    standing = made.standing
    failed = {row.varied["learner.optimizer.lr"] for row in standing.failed}
    assert failed
    assert failed <= {1e30, 1e29, 1e28}
    assert {row.kind for row in standing.failed} == {"DivergedError"}
    assert standing.left == len(failed)
    logs = {row.log: Path(row.log).read_text() for row in standing.failed}
    again = sweep(spec, search=search, fail_fast=True)
    assert asked(again) == asked(made)
    assert {row.log: Path(row.log).read_text() for row in again.standing.failed} == logs
    checkpoint = made.checkpoint()
    population = checkpoint.experiment.population
    assert population is not None
    rates = {point["learner.optimizer.lr"] for point in population.points or ()}
    assert rates == {0.01, 0.02} & {point["learner.optimizer.lr"] for point in asked(made)}
    assert checkpoint.record.members == len(rates)


def test_what_fails_for_another_reason_holds_the_search_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, done = together.fit_all, []

    def full(runs: list[Run], progress: bool = True, **more: Any) -> Any:
        done.append(runs)
        if len(done) > 4:
            raise TrainingError("the run folder cannot be written: No space left")
        return fit(runs, progress, **more)

    with monkeypatch.context() as patch:
        patch.setattr(together, "fit_all", full)
        made = sweep(quick(), search=tpe(10))
    assert made.standing.done == 4
    assert len(asked(made)) == 6, "no more than are on their way at a time"
    assert (made.standing.left, len(made.standing.failed)) == (6, 2)
    assert made.trained is None
    with pytest.raises(TrainingError, match=r"6 of 10 members .* Call the same sweep again"):
        made.checkpoint()
    again = sweep(quick(), search=tpe(10))
    assert not again.standing.failed
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    assert asked(sweep(quick(), search=tpe(10))) == asked(again)


def test_a_point_that_the_spec_refuses_is_a_failed_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(search: TPESearchSpec, points: Sequence[Any], outcomes: Sequence[float | None]) -> Any:
        point = ask(search, points, outcomes)
        return {**point, "model.dt": 9.0 if len(points) in (3, 5) else 0.5}

    monkeypatch.setattr(searching, "ask", slow)
    steps = {"model.dt": {"kind": "choice", "values": [0.5, 9.0]}}  # the longer is above tau
    search = tpe(7, RATE | steps, startup=1, seed=2)
    made = sweep(quick().updated(model={"kind": "rate", "hidden": 4, "tau": 1.0}), search=search)
    (row,) = made.standing.failed[:1]
    assert (row.member, row.kind, row.varied["model.dt"]) == (-1, "SpecError", 9.0)
    assert "the member with" in row.message
    assert made.standing.left == 2
    assert made.trained is not None
    assert len(made.trained.members()) == made.standing.done == len(made.experiment.members()) == 5


def test_a_point_that_comes_twice_is_trained_once() -> None:
    made = sweep(quick(), search=tpe(8, {"model.hidden": {"kind": "choice", "values": [3, 4]}}))
    assert len(asked(made)) == 8
    assert made.standing.done == made.standing.members == 2
    assert made.checkpoint().record.members == 2


# Bad input ----------------------------------------------------------------------------------------


def test_bad_input_leaves_nothing_behind(zoo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"search\.space: should have at least 1 items"):
        sweep(quick(), search={"trials": 3})
    with pytest.raises(SpecError, match=r"search\.trials: is required"):
        sweep(quick(), search={"space": RATE})
    with pytest.raises(SpecError, match=r"search\.space\.model\.hiden: there is no such field"):
        sweep(quick(), search=tpe(space={"model.hiden": WIDTH["model.hidden"]}))
    with pytest.raises(SpecError, match=r"the member with .* is refused"):
        sweep(quick(), search=tpe(space={"model.hidden": {"kind": "integer", "low": -9, "high": -3}}))
    with pytest.raises(SpecError, match="Call: zoo sweep"):
        zoo.train(declared(quick(), search=tpe()))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'neuroai-zoo\[search\]'"):
        sweep(quick(), search=tpe())
    assert list(zoo_home.iterdir()) == []


def test_a_metric_that_no_member_has_is_named_after_the_first() -> None:
    with pytest.raises(TrainingError, match=r"no metric 'validation/los'.*Did you mean 'validation/loss'"):
        sweep(quick(), search=tpe(metric="validation/los"))


def test_a_search_is_laid_over_the_specs_own() -> None:
    own = quick().updated(population={"search": {"kind": "random", "trials": 3, "seed": 5, "space": RATE}})
    more = declared(own, search={"trials": 4, "space": WIDTH}).population
    assert more is not None
    assert more.search is not None
    assert (more.search.kind, more.search.trials, more.search.seed) == ("random", 4, 5)
    assert list(more.search.space) == [*RATE, *WIDTH]
    other = declared(own, search={"kind": "tpe", "parallel": 3}).population
    assert other is not None
    assert other.search == TPESearchSpec.model_validate(
        {"kind": "tpe", "trials": 3, "seed": 5, "space": RATE, "parallel": 3}
    )
    assert declared(own, search={}) == own
    back = declared(own.updated(population=other), search={"kind": "random"})
    assert back.population == own.population


def test_spaces_are_read_as_they_are_written() -> None:
    assert space_of(["a=0.5..2", "b=log:1e-4..1e-1", "c = int: 4..64", "d=log-int:4..64", "e=tanh,relu"]) == {
        "a": {"kind": "uniform", "low": 0.5, "high": 2},
        "b": {"kind": "log-uniform", "low": 1e-4, "high": 0.1},
        "c": {"kind": "integer", "low": 4, "high": 64},
        "d": {"kind": "log-integer", "low": 4, "high": 64},
        "e": {"kind": "choice", "values": ["tanh", "relu"]},
    }
    assert space_of(["a=-1..-0.5", "b={gain: 1.0},{gain: 2.0}"]) == {
        "a": {"kind": "uniform", "low": -1, "high": -0.5},
        "b": {"kind": "choice", "values": [{"gain": 1.0}, {"gain": 2.0}]},
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "should read path.to.key=log:1e-4..1e-1"),
        (["=1..2"], "should read"),
        (["a=1..2", "a=2..3"], "give each path once"),
        (["a=lg:1..2"], "one of uniform, log, int, log-int, not 'lg'. Did you mean 'log'"),
        (["a=[1,2"], "--search"),
    ],
)
def test_what_is_no_space_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        space_of(texts)
