"""What needs no network: difficulty in closed form, margins and dimensions, exact inductive bias."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

import zoo
from zoo.analysis.bias.difficulty import eigenfunctions
from zoo.analysis.bias.estimates import extreme_margin, intrinsic_dimension, least_margin
from zoo.analysis.bias.examples import different
from zoo.analysis.bias.inductive import Errors, posterior_errors
from zoo.cli.app import app
from zoo.errors import AnalysisError, SpecError
from zoo.specs.loading import parse
from zoo.specs.problems import validate
from zoo.specs.study import StudySpec
from zoo.specs.tasks.images import DigitsSpec
from zoo.specs.tasks.points import SineSumSpec
from zoo.studies.study import run_study

SINES = {"kind": "sine-sum"}
SPHERE = {"kind": "classification", "examples": 1, "dimension": 2.0}


def test_the_authors_chart_values_are_reproduced() -> None:
    found = zoo.reproduce("difficulty-benchmarks")
    assert found.holds
    assert len(found.studies[0].verdicts) == 24


def test_eigenfunctions_on_a_sphere_are_counted() -> None:
    # degree K has eigenvalue K (K + m - 1), and there are (K + 1)^2 up to it on the sphere of two dimensions
    for degree in (1, 5, 40):
        highest, count = eigenfunctions(2.0, math.sqrt(degree * (degree + 1)))
        assert highest == pytest.approx(degree)
        assert math.exp(count) == pytest.approx((degree + 1) ** 2)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"kind": "control", "observations": 1, "actions": 1, "resolution": 0.5}, "determine all of"),
        ({"kind": "history", "examples": 1e30, "resolution": 0.9}, "determine all of"),
        ({**SPHERE, "radius": 1e99, "margin": 1.0}, "give a larger margin"),
        ({**SPHERE, "radius": 0.01, "margin": 10.0}, "bits a parameter, which is nothing"),
    ],
)
def test_what_leaves_nothing_to_be_told_is_refused(problem: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=f"(?i){message}"):
        zoo.analyse(None, "difficulty", problem=problem, error=0.9)


def test_calculations_ask_no_network(tmp_path: Path) -> None:
    problem = {"kind": "control", "observations": 6, "actions": 2}
    with pytest.raises(AnalysisError, match="asks no network; leave the names out"):
        zoo.analyse("dsa-rnn-sine", "difficulty", problem=problem)
    with pytest.raises(AnalysisError, match="spectrum is asked of networks; name one or more"):
        zoo.analyse(None, "spectrum")
    with pytest.raises(AnalysisError, match="'difficulty' does not compare networks"):
        zoo.compare(["dsa-rnn-sine/0", "dsa-rnn-sine/1"], "difficulty", problem=problem)
    given = f"problem={json.dumps(problem)}"
    ran = CliRunner().invoke(app, ["analyse", "difficulty", "-p", given], env={"COLUMNS": "120"})
    assert ran.exit_code == 0
    assert "log10_bits" in ran.output


def test_dimension_of_a_cube() -> None:
    generator = torch.Generator().manual_seed(0)
    for m in (2, 5):
        points = torch.rand(4000, m, generator=generator, dtype=torch.float64)
        turned = points @ torch.linalg.qr(torch.randn(12, m, dtype=torch.float64, generator=generator)).Q.T
        assert intrinsic_dimension(turned, 5) == pytest.approx(m, rel=0.1)
        assert intrinsic_dimension(turned, 5) == pytest.approx(intrinsic_dimension(points, 5))


def test_margins() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 2, generator=generator, dtype=torch.float64)
    labels = (torch.arange(400) % 3).long()
    apart = (x[:, None] - x).norm(dim=2)[labels[:, None] != labels]
    assert least_margin(x, labels) == pytest.approx(float(apart.min()))
    some = extreme_margin(x, labels, 20_000, 200, generator)
    # of 20,000 pairs of about 107,000: less than what they show, and near the truth
    assert 0.2 * float(apart.min()) < some < 3 * float(apart.min())
    with pytest.raises(AnalysisError, match="is no tail; draw more pairs"):
        extreme_margin(x, labels, 300, 200, generator)


def test_a_task_is_estimated() -> None:
    digits = {"kind": "digits"}
    found = zoo.analyse(None, "task-difficulty", task=digits, examples=300, draws=2, seed=5)
    assert list(found) == ["task-difficulty@5", "task-difficulty@6"]
    first, second = (each.numbers for each in found.values())
    assert first != second
    assert zoo.analyse(None, "task-difficulty", task=digits, examples=300, seed=6).only.numbers == second
    with pytest.raises(AnalysisError, match="task-difficulty is of tasks with classes"):
        zoo.analyse(None, "task-difficulty", task=SINES)


def test_the_tail_is_that_of_known_distributions() -> None:
    one = torch.ones(50, dtype=torch.float64)
    central = Errors(one / 50, 0 * one)
    for error in (0.02, 0.3, 0.999999, 1.0, 1.4):
        exact = stats.chi2.logcdf(50 * error, 50)
        assert central.log_probability(error) == pytest.approx(exact, rel=0.01, abs=1e-3)
        assert central.by_moments(error) == pytest.approx(exact, rel=1e-9)
    shifted = Errors(one / 50, 0.04 * one)
    for error in (0.5, 2.0, 3.5):
        assert shifted.log_probability(error) == pytest.approx(
            stats.ncx2.logcdf(50 * error, 50, 100), rel=0.01, abs=1e-3
        )
    with pytest.raises(AnalysisError, match="2 is left at points where all of them agree"):
        Errors(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])).log_probability(1.9)


def test_samples_agree_with_the_tail() -> None:
    asked: dict[str, Any] = {
        "task": SINES,
        "examples": 60,
        "test_examples": 40,
        "error": 0.2,
        "samples": 20_000,
    }
    numbers = zoo.analyse(None, "inductive-bias", **asked).only.numbers
    assert 1e-3 < numbers["probability"] < 0.5
    assert numbers["sampled"] == pytest.approx(numbers["probability"], rel=0.1)
    assert numbers["nats"] == pytest.approx(-math.log(numbers["probability"]))


def test_errors_of_a_process_are_those_of_its_functions() -> None:
    generator = torch.Generator().manual_seed(1)
    x, at = torch.rand(2, 9, 3, generator=generator, dtype=torch.float64).unbind()
    y, target = torch.rand(2, 9, 2, generator=generator, dtype=torch.float64).unbind()
    errors = posterior_errors(x, y, at, target, width=0.7)
    kernel = lambda a, b: (-0.5 * ((a[:, None] - b) / 0.7).square().sum(-1)).exp()  # noqa: E731
    gain = kernel(at, x) @ torch.linalg.inv(kernel(x, x))
    spread = kernel(at, at) - gain @ kernel(x, at)
    mean = (gain @ y - target).square().mean() + spread.trace() / 9
    assert errors.cumulants(0.0)[0] == pytest.approx(float(mean))
    known = posterior_errors(x, y, x[:4], y[:4] + 1, width=0.7, nugget=0.0)
    assert known.cumulants(0.0)[0] == pytest.approx(1.0, abs=1e-6)  # no doubt where there are examples


def test_examples_differ() -> None:
    x, y = different(SineSumSpec(dimensions=3), "train", 0, 50)
    assert x.shape == (50, 3)
    assert y.shape == (50, 1)
    digits = DigitsSpec()
    images, _ = different(digits, "train", 0, 500)
    assert len(images.unique(dim=0)) == 500
    with pytest.raises(AnalysisError, match="different examples or little more, and 1000 are asked for"):
        different(digits, "test", 0, 1000)
    with pytest.raises(SpecError, match="no split 'tset'"):
        zoo.analyse(None, "inductive-bias", task=SINES, split="tset")
    close: dict[str, Any] = {"task": {"kind": "sine-sum", "dimensions": 1}, "examples": 100, "nugget": 0.0}
    with pytest.raises(AnalysisError, match="cannot tell the 100 examples apart"):
        zoo.analyse(None, "inductive-bias", **close)


STUDY = """
spec: study/1
name: small
calculations:
  easy: {kind: inductive-bias, task: {kind: sine-sum, dimensions: 2}, examples: 40, draws: 3}
  hard: {kind: inductive-bias, task: {kind: sine-sum, dimensions: 6}, examples: 40, draws: 3}
claims:
  - {metric: hard/nats, minus: easy/nats, at_least: 0.0, source: {kind: design}}
"""


def test_a_study_of_calculations(tmp_path: Path) -> None:
    study = parse(STUDY, expected=StudySpec)
    result = run_study(study)
    assert result.holds
    assert len(result.verdicts[0].measured) == 3
    assert {path.name for path in result.write(tmp_path)} == {"small.png", "small.svg", "small.json"}
    assert json.loads((tmp_path / "small.json").read_text())["measured"]["easy"].keys() == {
        "inductive-bias@0",
        "inductive-bias@1",
        "inductive-bias@2",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoints": ["a"]}, r"checkpoints: calculations ask no network: leave them out"),
        ({"comparisons": {"x": {"kind": "cka"}}}, r"checkpoints: comparisons and measurements ask networks"),
        (
            {"measurements": {"easy": {"kind": "spectrum"}}, "checkpoints": ["a"]},
            r"calculations: 'easy' is asked of networks, too",
        ),
        (
            {"calculations": {"easy": {"kind": "cka"}}},
            r"calculations\.easy: 'cka' is no analysis that needs no network",
        ),
    ],
)
def test_studies_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    document = parse(STUDY, expected=StudySpec).plain()
    with pytest.raises(SpecError, match=message):
        validate(StudySpec, {**document, "claims": [], **changes})


def test_a_finding_is_drawn(tmp_path: Path) -> None:
    found = zoo.analyse(None, "inductive-bias", task=SINES, examples=40, test_examples=20).only
    assert found.plot(tmp_path / "bias.png").stat().st_size > 5000
    assert (found["log_probability"][1:] >= found["log_probability"][:-1]).all()
    problem = {"kind": "control", "observations": 6, "actions": 2}
    with pytest.raises(AnalysisError, match="difficulty finds numbers alone"):
        zoo.analyse(None, "difficulty", problem=problem).only.figure()
