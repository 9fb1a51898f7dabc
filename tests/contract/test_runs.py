"""What every learner owes: counted steps, snapshots from step 0, a resumed run equal to a straight one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from examples import (
    LAYERED,
    LEARNERS,
    MEMORIES,
    MODELS,
    PARTNERS,
    RULES,
    SAMPLERS,
    SYSTEMS,
    TASKS,
    experiment,
)
from pydantic import ValidationError
from safetensors.torch import load_file

from zoo import registry
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.training.recorder import Recorder
from zoo.training.run import Run

STORING = {learner for _, learner in MEMORIES.values()}
LEARNING = [learner for learner in LEARNERS if learner not in STORING]
EVERY = 4
"""One in so many tasks and models, which keep nothing but weights, is resumed where slow tests do not run."""
OF_LEARNERS = [(*PARTNERS.get(learner, ("elman", "flip-flop")), learner) for learner in LEARNING]
OF_TASKS = [("elman", task, "backprop") for task in TASKS]
OF_MODELS = [
    (model, "flip-flop", "backprop-clipped")
    for model in [*MODELS, *LAYERED]
    if model not in {**SYSTEMS, **MEMORIES, **SAMPLERS}
]
CASES = [
    *OF_LEARNERS,
    *[
        pytest.param(*case, marks=pytest.mark.slow if place % EVERY else ())
        for cases in (OF_TASKS, OF_MODELS)
        for place, case in enumerate(cases)
    ],
    ("kv-memory", "pairs", "delta-rule"),
    ("map-memory", "grid-exploration", "farmap"),
    ("unet-diffusion", "bumps", "denoising"),
]


def test_every_kind_has_an_example() -> None:
    assert {example["kind"] for example in LEARNERS.values()} >= set(registry.BUILTIN["learners"])


class KilledError(RuntimeError):
    pass


@pytest.mark.parametrize(("model", "task", "learner"), CASES)
def test_resumed_equals_straight(
    model: str, task: str, learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(model, task, learner)
    straight = Run.of(spec, tmp_path / "straight")
    expected = straight.fit(progress=False)
    assert expected["steps"] == 12
    assert expected["kept"] == [0, 1, 2, 4, 8, 12]

    broken = Run.of(spec, tmp_path / "broken")
    original = Recorder.on_train_batch_end

    def dies(self: Recorder, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        if self.counter.batches_seen == 9:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "on_train_batch_end", dies)
        with pytest.raises(KilledError):
            broken.fit(progress=False)
    torch.rand(7)  # whatever the process does in between
    resumed = broken.fit(progress=False)
    assert resumed["kept"] == expected["kept"]
    assert resumed["curve"] == expected["curve"]
    assert resumed["metrics"] == expected["metrics"]
    for step in expected["kept"]:
        a, b = load_file(straight.snapshot(step)), load_file(broken.snapshot(step))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), f"step {step}"


@pytest.mark.parametrize("learner", LEARNING)
def test_training_lowers_the_loss(learner: str, tmp_path: Path) -> None:
    model, task = PARTNERS.get(learner, ("elman", "flip-flop"))
    train = {"steps": 150, "batch_size": 16, "validate_every": 150}
    spec = experiment(model, task, learner, train=train)
    narrow = spec.model.plain()["hidden"]
    if learner == "align-recurrent":
        spec = spec.updated(model={**spec.model.plain(), "hidden": 64})
    elif learner in RULES and not isinstance(narrow, int):
        # those for layers are made for wide ones, and lower other things than the loss measured
        spec = spec.updated(model={**spec.model.plain(), "hidden": [64]})
        measured = Run.of(spec, tmp_path / "run").fit(progress=False)["curve"]["values"]
        assert measured["validation/accuracy"][1] > max(0.3, 2 * measured["validation/accuracy"][0])
        return
    curve = Run.of(spec, tmp_path / "run").fit(progress=False)["curve"]
    assert curve["steps"] == [0, 150]
    before, after = curve["values"]["validation/loss"]
    assert after < 0.9 * before


@pytest.mark.parametrize("model", [name for name in MEMORIES if MEMORIES[name][1] != "none"])
def test_storing_lowers_the_loss(model: str, tmp_path: Path) -> None:
    curve = Run.of(experiment(model), tmp_path / "run").fit(progress=False)["curve"]
    before, *_, after = curve["values"]["validation/loss"]
    assert after < 0.5 * before


@pytest.mark.parametrize("model", ["elman", *SYSTEMS])
def test_nothing_learned_is_the_initial_network(model: str, tmp_path: Path) -> None:
    spec = experiment(model, learner="none")
    run = Run.of(spec, tmp_path / "run")
    result = run.fit(progress=False)
    assert (result["steps"], result["stopped"], result["kept"]) == (0, "steps", [0])
    kept, initial = load_file(run.snapshot(0)), build(spec).model.state_dict()
    assert all(torch.equal(kept[name], initial[name]) for name in initial)


def test_learning_needs_a_learner_and_something_to_learn() -> None:
    with pytest.raises(ValidationError, match=r"train\.steps: should be 0 .* learns nothing"):
        experiment().updated(learner={"kind": "none"})
    with pytest.raises(ValidationError, match=r"learner\.kind: .*'lorenz' has nothing to learn"):
        experiment("lorenz").updated(learner={"kind": "backprop"})


def test_the_digest_is_of_what_matters() -> None:
    spec = experiment()
    assert spec.updated(title="another", tags=("x",), name="other").digest() == spec.digest()
    changed = ExperimentSpec.model_validate({**spec.plain(), "model": {"kind": "elman", "hidden": 8}})
    assert changed.digest() != spec.digest()
