"""Documents of an earlier layout still load, and can be rewritten."""

from __future__ import annotations

import copy

import pytest

from zoo.errors import SpecError
from zoo.specs import migrations
from zoo.specs.loading import parse

OLD = """\
# yaml-language-server: $schema=../schema/experiment.json
# A network from before the release.
spec: experiment/0
name: old
model: {kind: elman, hidden: 32}
task: {kind: flip-flop}
learner: {kind: backprop, lr: 1e-2, clip_norm: 1.0}  # the rate was here
training: {iterations: 500, batch: 16, seed: 3}
"""
NEW = """\
# yaml-language-server: $schema=../schema/experiment.json
# A network from before the release.
spec: experiment/1
name: old
model: {kind: elman, hidden: 32}
task: {kind: flip-flop}
learner:
  kind: backprop
  clip_norm: 1.0
  optimizer: {kind: adam, lr: 0.01}
train: {steps: 500, batch_size: 16, seed: 3}
"""


def test_an_old_document_loads_as_the_new_one() -> None:
    assert parse(OLD) == parse(NEW)
    assert parse(OLD, ["train.steps=7", "learner.optimizer.lr=0.5"]) == parse(
        NEW, ["train.steps=7", "learner.optimizer.lr=0.5"]
    )


def test_it_can_be_rewritten() -> None:
    assert migrations.migrate_text(OLD) == ("experiment/0", NEW)
    assert migrations.migrate_text(NEW) == ("experiment/1", NEW)


@pytest.mark.parametrize(
    "text", ["spec: experiment/9\n", "spec: x\n", "name: x\n", "spec: [1]\n", "spec: study/0\n"]
)
def test_what_cannot_be_rewritten(text: str) -> None:
    with pytest.raises(SpecError):
        migrations.migrate_text(text)


def test_places_still_point_into_the_file() -> None:
    with pytest.raises(SpecError) as caught:
        parse(OLD.replace("hidden: 32", "hidden: many"), place="old.yaml")
    assert str(caught.value) == (
        "old.yaml:5:22: model.hidden: should be a whole number (got 'many')\n"
        "The document is of the layout experiment/0 and was read as experiment/1; "
        "`zoo migrate` writes it anew."
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({"training": 5, "learner": "x"}, {"training": 5, "learner": "x"}),
        ({"training": {"iterations": 5, "steps": 6}}, {"train": {"iterations": 5, "steps": 6}}),
        ({"training": {"seed": 5}, "train": {}}, {"training": {"seed": 5}, "train": {}}),
        ({"learner": {"lr": 1, "optimizer": 2}}, {"learner": {"lr": 1, "optimizer": 2}}),
        (
            {"learner": {"lr": 1, "optimizer": {"kind": "sgd"}}},
            {"learner": {"optimizer": {"kind": "sgd", "lr": 1}}},
        ),
        (
            {"learner": {"lr": 1, "optimizer": {"lr": 2}}},
            {"learner": {"lr": 1, "optimizer": {"lr": 2}}},
        ),
    ],
)
def test_a_step_moves_what_it_knows_and_loses_nothing(old: dict[str, object], new: dict[str, object]) -> None:
    before = copy.deepcopy(old)
    assert migrations.upgrade(old, "experiment/0") == new
    assert old == before


def test_steps_lead_to_the_layout_of_today() -> None:
    for family, version in migrations.STEPS:
        assert (family, version + 1) in migrations.STEPS or version + 1 == migrations.CURRENT[family]
