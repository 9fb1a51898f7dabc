"""What a person reads after a typical mistake: one problem each, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import registry
from zoo.errors import NewerVersionError, SpecError
from zoo.specs.loading import load, parse

GOOD = """\
spec: experiment/1
name: exp
model:
  kind: rate
  hidden: 8
  init: {gain: 1.5}
task: {kind: flip-flop, bits: 2}
learner:
  kind: backprop
  optimizer: {kind: adam, lr: 1e-3}
train: {steps: 100}
claims:
  - metric: test/loss
    at_most: 0.1
    source: {kind: design, where: a test}
"""
STUDY = """\
spec: study/1
name: s
checkpoints: ["a/*"]
comparisons:
  geometry: {kind: cka}
  shape: {kind: procrustes, trials: 10}
"""
ANALYSES = ", ".join(sorted(registry.BUILTIN["analyses"]))
MODELS = ", ".join(sorted(registry.BUILTIN["models"]))
TOP = (
    "title, description, paper, tags, license, model, task, learner, train, record, population, start, "
    "derived, claims"
)


def message(text: str, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text, overrides, place="exp.yaml")
    return str(caught.value)


def test_the_good_ones_are_good() -> None:
    parse(GOOD)
    parse(STUDY)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "hidden: 8",
            "hiden: 8",
            "5:3: model.hiden: unknown key (got 8). Did you mean 'hidden'? "
            "Known keys: kind, hidden, init, constraints, nonlinearity, tau, dt, noise, input_scale.",
        ),
        ("hidden: 8", "hidden: two", "5:3: model.hidden: should be a whole number (got 'two')"),
        ("hidden: 8", "hidden: 8.0", "5:3: model.hidden: should be a whole number (got 8.0)"),
        ("hidden: 8", "hidden: true", "5:3: model.hidden: should be a whole number (got true)"),
        ("hidden: 8", "hidden: 0", "5:3: model.hidden: should be greater than or equal to 1 (got 0)"),
        ("hidden: 8", "hidden:", "5:3: model.hidden: should be a whole number (got null)"),
        ("{gain: 1.5}", "{gain: high}", "6:10: model.init.gain: should be a number (got 'high')"),
        ("{gain: 1.5}", "1.5", "6:3: model.init: should be a mapping (got 1.5)"),
        (
            "{gain: 1.5}",
            "{distribution: ortogonal}",
            "6:10: model.init.distribution: should be one of uniform, normal, orthogonal, identity "
            "(got 'ortogonal'). Did you mean 'orthogonal'?",
        ),
        ("{gain: 1.5}", "{rank: 9}", "6:10: model.init.rank: 9 is above the 8 hidden units"),
        (
            "kind: rate",
            "kind: rat",
            f"4:3: model.kind: there is no model of kind 'rat'. Did you mean 'rate'? Known kinds: {MODELS}.",
        ),
        ("  kind: rate\n", "", f"3:1: model: needs a 'kind', one of: {MODELS}"),
        (
            "kind: adam,",
            "kind: adm,",
            "10:15: learner.optimizer.kind: should be one of adam, adamw, sgd (got 'adm'). "
            "Did you mean 'adam'?",
        ),
        ("kind: adam,", "", "10:3: learner.optimizer: needs a 'kind', one of: adam, adamw, sgd"),
        ("lr: 1e-3", "lr: -1", "10:27: learner.optimizer.lr: should be greater than 0 (got -1)"),
        (
            "lr: 1e-3",
            "betas: [0.9, x]",
            "10:40: learner.optimizer.betas.1: should be a number (got 'x')",
        ),
        ("name: exp\n", "", "1:1: name: is required"),
        (
            "name: exp",
            "nam: exp",
            f"2:1: nam: unknown key (got 'exp'). Did you mean 'name'? Known keys: spec, name, {TOP}.",
        ),
        (
            "name: exp",
            "name: My Experiment",
            "2:1: name: should be a name: at most 96 lower-case letters, digits, dots, dashes and "
            "underscores (got 'My Experiment')",
        ),
        (
            "bits: 2}",
            "splits: {longer: {stesp: 9}}}",
            "7:43: task.splits.longer.stesp: unknown key (got 9). Did you mean 'steps'? "
            "Known keys: kind, splits, stream, bits, steps, pulse_probability.",
        ),
        (
            "bits: 2}",
            "splits: {longer: {bits: 9}}}",
            "7:34: task.splits.longer: a split may not change the width of the inputs or outputs",
        ),
        (
            "train: {steps: 100}",
            "record: {evaluation: {splits: [test, longr]}}",
            "11:23: record.evaluation.splits: the task has no split 'longr'; it has train, validation, "
            "test, longer, sparse. Did you mean 'longer'?",
        ),
        (
            "train: {steps: 100}",
            "train: {stop: {metric: longer/loss, at_most: 0.1}}",
            "11:16: train.stop.metric: 'longer/loss' is not looked at while training: give train/loss or a "
            "metric of validation, or name its split in record.curve",
        ),
        ("    at_most: 0.1\n", "", "13:5: claims.0: a claim needs 'at_least' or 'at_most'"),
        (
            "metric: test/loss",
            "metric: longer/loss",
            "13:5: claims.0.metric: 'longer/loss' would fail: 'longer' is not measured: name it in "
            "record.evaluation.splits",
        ),
        (
            "metric: test/loss",
            "metric: tset/loss",
            "13:5: claims.0.metric: 'tset/loss' would fail: begin with what is measured: test. "
            "Did you mean 'test'?",
        ),
        (
            "metric: test/loss",
            "metric: update/angle",
            "13:5: claims.0.metric: 'update/angle' would fail: say with record.updates that updates are "
            "compared with the gradient",
        ),
        ("    source: {kind: design, where: a test}\n", "", "13:5: claims.0.source: is required"),
        (
            "kind: design",
            "kind: papr",
            "15:14: claims.0.source.kind: should be one of paper, design (got 'papr'). Did you mean 'paper'?",
        ),
        (
            "train: {steps: 100}",
            "train: {loggers: csv}",
            "11:9: train.loggers: should be a list (got 'csv')",
        ),
        (
            "train: {steps: 100}",
            "population: {grid: {model.hiden: [8, 9]}}",
            "11:21: population.grid.model.hiden: there is no such field in this experiment",
        ),
        (
            "train: {steps: 100}",
            "population: {grid: {model.hidden: [8, none]}}",
            "11:14: population.grid: the member with \"model.hidden='none', train.seed=0\" is refused: "
            "model.hidden: should be a whole number (got 'none')",
        ),
        (
            "train: {steps: 100}",
            "population: {grid: {model.hidden: []}}",
            "11:21: population.grid.model.hidden: should have at least 1 items, not 0",
        ),
        (
            "spec: experiment/1",
            "spec: experimnt/1",
            "1:1: spec: should be one of experiment/1, study/1, paper/1, derivation/1 (got 'experimnt/1'). "
            "Did you mean 'experiment/1'?",
        ),
        (
            "spec: experiment/1\n",
            "",
            "1:1: spec: is required: begin the document with 'spec: experiment/1' (or study/1, paper/1, "
            "derivation/1)",
        ),
    ],
)
def test_one_mistake_one_problem(old: str, new: str, problem: str) -> None:
    assert GOOD.count(old) == 1
    assert message(GOOD.replace(old, new)) == f"exp.yaml:{problem}"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "kind: cka}",
            "kind: cka2}",
            "5:14: comparisons.geometry.kind: there is no analysis of kind 'cka2'. Did you mean 'cka'? "
            f"Known kinds: {ANALYSES}.",
        ),
        (
            "trials: 10",
            "trails: 10",
            "6:29: comparisons.shape.trails: unknown key (got 10). Did you mean 'trials'? "
            "Known keys: kind, site, trials, split, seed, observe.",
        ),
        (
            "shape:",
            "Shape:",
            "6:3: comparisons.Shape: should be a name: at most 96 lower-case letters, digits, dots, dashes "
            "and underscores (got 'Shape')",
        ),
        (
            "trials: 10}",
            "trials: 10}\nclaims: [{metric: shap/decoding, at_least: 0.5, source: {kind: design}}]",
            "7:11: claims.0.metric: 'shap/decoding' is about no comparison, measurement or calculation of "
            "this study; it has geometry, shape. Did you mean 'shape'?",
        ),
        ('["a/*"]', "[]", "3:1: checkpoints: comparisons and measurements ask networks: name some"),
        (
            "kind: cka}",
            "kind: gramian}",
            "5:3: comparisons.geometry: 'gramian' is no analysis that compares networks",
        ),
        (
            "comparisons:",
            "label: model.kind\ngroups: {a: [a]}\ncomparisons:",
            "4:1: label: labels come from 'groups' or from 'label', not from both",
        ),
        ("comparisons:", "matched: train.seed\ncomparisons:", "4:1: matched: goes with a 'reference'"),
        (
            "comparisons:",
            "labels: {shap: model.kind}\ncomparisons:",
            "4:10: labels.shap: there is no 'shap'. Did you mean 'shape'?",
        ),
    ],
)
def test_mistakes_in_a_study(old: str, new: str, problem: str) -> None:
    assert message(STUDY.replace(old, new)) == f"exp.yaml:{problem}"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.hidden=abc", "model.hidden: should be a whole number (got 'abc')"),
        (
            "model.hiden=9",
            "model.hiden: unknown key (got 9). Did you mean 'hidden'? "
            "Known keys: kind, hidden, init, constraints, nonlinearity, tau, dt, noise, input_scale.",
        ),
        (
            "modle.hidden=9",
            f"modle: unknown key (got {{'hidden': 9}}). Did you mean 'model'? Known keys: spec, name, {TOP}.",
        ),
        ("model.hidden", "should read path.to.key=value"),
        ("=3", "should read path.to.key=value"),
        ("model..hidden=3", "should read path.to.key=value"),
        ("model.hidden=", "model.hidden: has no value; write null for none, '' for an empty text"),
        ("model.hidden.x=1", "model.hidden: has the value 8, so there is nothing below it"),
        ("claims.7.at_most=1", "claims.7: there is no item '7' in a list of 1; the first is 0"),
        ("claims.first.at_most=1", "claims.first: there is no item 'first' in a list of 1; the first is 0"),
        ("spec=study/1", "spec: cannot be overridden: it decides how the document is read"),
        ("train.seed=-1", "train.seed: should be greater than or equal to 0 (got -1)"),
        ("train.seed=1e999", "the number 1e999 is too large; quote it if it is text"),
    ],
)
def test_mistakes_in_an_override(override: str, problem: str) -> None:
    assert message(GOOD, override) == f"override {override!r}: {problem}"


def test_a_changed_kind_says_how_to_replace_the_node() -> None:
    text = message(GOOD.replace("hidden: 8", "tau: 2.0"), "model.kind=gru")
    assert text.splitlines() == [
        "exp.yaml:5:3: model.tau: unknown key (got 2.0). Known keys: kind, hidden, init, constraints.",
        "To replace the whole node and not only its kind, override 'model={kind: …}'.",
    ]


def test_several_mistakes_are_all_told() -> None:
    text = GOOD.replace("hidden: 8", "hiden: 8\n  tau: -1").replace("steps: 100", "steps: 1.5")
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert [(p.path, p.place) for p in caught.value.problems] == [
        ("model.tau", "<text>:6:3"),
        ("model.hiden", "<text>:5:3"),
        ("train.steps", "<text>:12:9"),
    ]


def test_a_thousand_mistakes_are_not() -> None:
    text = message(GOOD + "tags: [" + "1," * 1000 + "]\n")
    assert len(text.splitlines()) == 21
    assert text.splitlines()[-1] == "exp.yaml:1:1: and 980 more problems"


def test_newer_documents() -> None:
    with pytest.raises(NewerVersionError) as caught:
        parse("spec: study/4\nwhatever: 1\n", place="s.yaml")
    assert str(caught.value) == (
        "s.yaml:1:1: spec: study/4 is newer than this installation, which reads up to study/1\n"
        "Upgrade with: pip install --upgrade neuroai-zoo"
    )
    assert message("spec: paper/0\n") == (
        "exp.yaml:1:1: spec: paper/0 is a layout that is no longer read; this is paper/1"
    )


def test_files_are_named_as_seen_from_here(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exp.yaml").write_text(GOOD.replace("name: exp", "name: other"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        load("exp.yaml", ["name=third"])  # an override may give a new name; the file must keep its own
    assert str(caught.value) == "exp.yaml:2:1: name: should be 'exp', after the file (got 'other')"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(SpecError, match=rf"^{tmp_path}/exp.yaml:2:1: name: "):
        load(tmp_path / "exp.yaml")
