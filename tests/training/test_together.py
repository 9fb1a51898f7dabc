"""Members of a population that train together are what they are by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import examples
import pytest
import torch
from examples import experiment
from safetensors.torch import load_file

import zoo
from zoo.errors import DivergedError
from zoo.registry import implementation
from zoo.specs.experiment import ExperimentSpec
from zoo.training import together
from zoo.training.run import Run
from zoo.training.stacked import Together
from zoo.training.together import fit_all, groups

MODELS = [
    name
    for name, spec in {**examples.MODELS, **examples.LAYERED}.items()
    if implementation("models", spec["kind"]).vectorises
]
LEARNERS = [
    name for name, spec in examples.LEARNERS.items() if implementation("learners", spec["kind"]).vectorises
]
LONG = ("elman", "mlp")
"""Models that every run of the tests trains for 200 steps; the others for 40, and 200 if slow tests run."""
GRIDS: dict[str, Any] = {
    "seeds": {},
    "rates": {"learner.optimizer.lr": [1e-3, 1e-2]},
    "gains": {"model.init.gain": [0.5, 1.5]},
}
NUMBERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"model": "rate-leaky", "learner": "backprop-clipped"},
        {"model.tau": [0.05, 0.1], "model.noise": [0.0, 0.2], "learner.clip_norm": [0.1, None]},
    ),
    ({"model": "rate-dale"}, {"model.noise": [0.0, 0.2], "learner.activity_penalty": [0.0, 0.1]}),
    (
        {"learner": "backprop-clipped"},
        {
            "learner.optimizer.betas": [[0.9, 0.999], [0.5, 0.9]],
            "learner.optimizer.weight_decay": [0.0, 0.1],
            "learner.activity_penalty": [0.0, 0.1],
        },
    ),
    (
        {"learner": "backprop-sgd"},
        {
            "learner.optimizer.momentum": [0.0, 0.9],
            "learner.schedule": [{"kind": "step", "every": 20}, {"kind": "cosine", "warmup": 3}],
        },
    ),
    (
        {},
        {
            "task.pulse_probability": [0.05, 0.4],
            "record.ledger": [None, {"split": "test", "trials": 5}],
            "train.stop": [None, {"metric": "train/loss", "at_most": 0.9}],
        },
    ),
    ({"model": "mlp", "task": "digits"}, {"task.noise": [0.0, 0.5], "learner.optimizer.eps": [1e-8, 1e-3]}),
]
"""Cases, and grids of numbers in which members that train together may differ."""
CASES = [
    *[(model, "backprop", "seeds") for model in MODELS],
    *[
        (examples.PARTNERS.get(learner, ("elman", ""))[0], learner, grid)
        for learner in LEARNERS
        for grid in GRIDS
        if learner not in examples.RULES or grid == "seeds" or learner == "align-ada"
    ],
    ("rate-leaky", "backprop-clipped", "rates"),
]


def population(
    precision: str, steps: int, grid: dict[str, Any], members: int = 2, **case: Any
) -> list[ExperimentSpec]:
    learner = case.pop("learner", "backprop")
    if isinstance(learner, str) and learner in examples.PARTNERS:
        case["task"] = examples.PARTNERS[learner][1]
    spec = experiment(learner=learner if isinstance(learner, str) else "backprop", **case).plain()
    if not isinstance(learner, str):
        spec["learner"] = learner
    spec["train"] |= {"steps": steps, "batch_size": 8, "validate_every": 50, "validation_trials": 16}
    spec["train"] |= {"precision": precision}
    spec["population"] = {"members": members, "grid": grid}
    return list(ExperimentSpec.model_validate(spec).members())


def both(members: list[ExperimentSpec], folder: Path) -> tuple[list[Run], list[Run]]:
    """Trained one after another, and together."""
    alone = [Run.of(member, folder / f"alone-{k}") for k, member in enumerate(members)]
    joined = [Run.of(member, folder / f"joined-{k}") for k, member in enumerate(members)]
    for run in alone:
        run.fit(progress=False)
    assert [len(group) for group in groups(joined)] == [len(members)]
    fit_all(joined, progress=False)
    return alone, joined


def assert_same(one: Run, other: Run, within: float = 1e-8) -> None:
    """Two runs kept the same: results, curves, snapshots and ledgers."""
    a, b = one.result, other.result
    assert a["kept"] == b["kept"]
    assert (a["steps"], a["stopped"]) == (b["steps"], b["stopped"])
    assert a["metrics"] == pytest.approx(b["metrics"], rel=within, abs=within)
    assert a["curve"]["steps"] == b["curve"]["steps"]
    for name, values in a["curve"]["values"].items():
        assert values == pytest.approx(b["curve"]["values"][name], rel=within, abs=within)
    for step in a["kept"]:
        theirs, ours = load_file(one.snapshot(step)), load_file(other.snapshot(step))
        assert theirs.keys() == ours.keys()
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, rtol=within, atol=within)


@pytest.mark.parametrize(("model", "learner", "grid"), CASES)
def test_the_same_in_double_precision(model: str, learner: str, grid: str, tmp_path: Path) -> None:
    steps = 200 if model in LONG and (learner, grid) == ("backprop", "seeds") else 40
    members = population("64-true", steps, GRIDS[grid], model=model, learner=learner)
    for one, other in zip(*both(members, tmp_path), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(("case", "grid"), NUMBERS)
def test_members_may_differ_in_numbers(case: dict[str, Any], grid: dict[str, Any], tmp_path: Path) -> None:
    members = population("64-true", 40, grid, members=1, **case)
    assert len({member.digest() for member in members}) == len(members) > 3
    for one, other in zip(*both(members, tmp_path), strict=True):
        assert_same(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("model", [model for model in MODELS if model not in LONG])
def test_the_same_after_many_steps(model: str, tmp_path: Path) -> None:
    for one, other in zip(*both(population("64-true", 200, {}, model=model), tmp_path), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(
    "model", [model if model in LONG else pytest.param(model, marks=pytest.mark.slow) for model in MODELS]
)
def test_the_same_curve_in_single_precision(model: str, tmp_path: Path) -> None:
    members = population("32-true", 200, {}, model=model)
    for one, other in zip(*both(members, tmp_path), strict=True):
        a, b = (run.result["curve"]["values"]["validation/loss"] for run in (one, other))
        assert a == pytest.approx(b, rel=1e-3)


def test_one_that_diverges_leaves_the_others_alone(tmp_path: Path) -> None:
    members = population(
        "64-true",
        40,
        {"learner.optimizer.lr": [1e-2, 1e200]},
        members=2,
        learner={"kind": "backprop", "optimizer": {"kind": "sgd"}},
    )
    assert [member.learner.optimizer.lr for member in members] == [1e-2, 1e-2, 1e200, 1e200]
    alone = [Run.of(member, tmp_path / f"alone-{k}") for k, member in enumerate(members[:2])]
    joined = [Run.of(member, tmp_path / f"joined-{k}") for k, member in enumerate(members)]
    for run in alone:
        run.fit(progress=False)
    with pytest.raises(
        DivergedError, match=r"2 members diverged; the others have ended.*\n.*1e\+200 is too large"
    ):
        fit_all(joined, progress=False)
    assert [run.finished for run in joined] == [True, True, False, False]
    for one, other in zip(alone, joined, strict=False):
        assert one.result["metrics"] == pytest.approx(other.result["metrics"], rel=1e-8)


def test_all_groups_are_trained_whoever_diverges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sgd = {"kind": "backprop", "optimizer": {"kind": "sgd"}}
    members = population("64-true", 12, {"learner.optimizer.lr": [1e200, 1e-2]}, members=2, learner=sgd)
    runs = [Run.of(member, tmp_path / str(k)) for k, member in enumerate(members)]
    monkeypatch.setattr(together, "MOST", together.MOST * 2 // together.most_of(runs[0]))
    assert [len(group) for group in groups(runs)] == [2, 2]
    with pytest.raises(DivergedError, match="2 members diverged"):
        fit_all(runs, progress=False)
    assert [run.finished for run in runs] == [False, False, True, True]


def test_each_stops_at_its_own_target(tmp_path: Path) -> None:
    members = population("64-true", 150, {"learner.optimizer.lr": [3e-3, 3e-2]})
    stop = {"metric": "train/loss", "at_most": 0.9}
    members = [member.updated(train=member.train.updated(stop=stop)) for member in members]
    alone, joined = both(members, tmp_path)
    steps = [run.result["steps"] for run in joined]
    assert steps == [run.result["steps"] for run in alone]
    assert len(set(steps)) > 2
    for one, other in zip(alone, joined, strict=True):
        assert other.result["stopped"] == one.result["stopped"]
        last = one.result["steps"]
        for name, value in load_file(one.snapshot(last)).items():
            torch.testing.assert_close(load_file(other.snapshot(last))[name], value, rtol=1e-8, atol=1e-8)


class KilledError(RuntimeError):
    pass


def test_a_killed_group_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = population("64-true", 60, {"learner.optimizer.lr": [3e-3, 3e-2]}, model="rate-leaky")
    members = [member.updated(train=member.train.updated(save_every=20)) for member in members]
    straight = [Run.of(member, tmp_path / f"straight-{k}") for k, member in enumerate(members)]
    fit_all(straight, progress=False)
    broken = [Run.of(member, tmp_path / f"broken-{k}") for k, member in enumerate(members)]
    original = Together.on_train_batch_start

    def dies(self: Together, *arguments: Any) -> None:
        if self.batches_seen == 50:
            raise KilledError
        original(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Together, "on_train_batch_start", dies)
        with pytest.raises(KilledError):
            fit_all(broken, progress=False)
    fit_all(broken, progress=False)
    for one, other in zip(straight, broken, strict=True):
        a, b = one.result, other.result
        assert (a["kept"], a["curve"], a["metrics"]) == (b["kept"], b["curve"], b["metrics"])
        for step in a["kept"]:
            theirs, ours = load_file(one.snapshot(step)), load_file(other.snapshot(step))
            assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_members_that_have_ended_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = population("64-true", 150, {"learner.optimizer.lr": [3e-3, 3e-2]}, model="rate-leaky")
    stop = {"metric": "train/loss", "at_most": 0.9}
    members = [member.updated(train=member.train.updated(stop=stop, save_every=20)) for member in members]
    alone = [Run.of(member, tmp_path / f"alone-{k}") for k, member in enumerate(members)]
    joined = [Run.of(member, tmp_path / f"joined-{k}") for k, member in enumerate(members)]
    for run in alone:
        run.fit(progress=False)
    original, sizes = Together.on_train_batch_start, []

    def dies(self: Together, *arguments: Any) -> None:
        original(self, *arguments)
        sizes.append(len(self.members))
        assert all(len(weight) == sizes[-1] for weight in self.stack.weights)
        if sizes[-1] == 2 and len(sizes) > 1:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Together, "on_train_batch_start", dies)
        with pytest.raises(KilledError):
            fit_all(joined, progress=False)
    assert (sizes[0], sizes[-1]) == (4, 2)
    first = sorted(range(4), key=lambda k: alone[k].result["steps"])[:2]
    assert [k for k, run in enumerate(joined) if run.finished] == sorted(first)
    fit_all(joined, progress=False)
    for one, other in zip(alone, joined, strict=True):
        assert_same(one, other)


def test_what_cannot_be_grouped_trains_by_itself(tmp_path: Path) -> None:
    members = population("32-true", 12, {"model.hidden": [4, 5]}, members=2)
    runs = [Run.of(member, tmp_path / str(k)) for k, member in enumerate(members)]
    assert [len(group) for group in groups(runs)] == [2, 2]
    assert [len(group) for group in groups(runs[:1])] == [1]
    mixed = [Run.of(m, tmp_path / f"m{k}") for k, m in enumerate(population("bf16-mixed", 12, {}))]
    assert [len(group) for group in groups(mixed)] == [1, 1]


def test_a_population_is_trained_together(tmp_path: Path) -> None:
    spec = experiment(train={"steps": 12, "batch_size": 4, "validate_every": 6})
    whole = ExperimentSpec.model_validate({**spec.plain(), "population": {"members": 3}})
    folder = zoo.train(whole, progress=False)
    assert folder.record.members == 3
    assert zoo.verify(folder, metrics=True).holds
    networks = [zoo.load(f"{folder.path}/{k}") for k in range(3)]
    assert len({network.digest for network in networks}) == 3
