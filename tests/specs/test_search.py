"""Populations that are drawn, listed or searched for: the members follow from the spec, or say why not."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import parse
from zoo.specs.population import PopulationSpec
from zoo.specs.search import ChoiceSpec, IntegerSpec, UniformSpec, uniform

TEXT = """\
spec: experiment/1
name: x
model: {kind: elman, hidden: 8}
task: {kind: flip-flop, bits: 1}
learner: {kind: backprop}
"""
SPACE: dict[str, Any] = {
    "learner.optimizer.lr": {"kind": "log-uniform", "low": 1e-4, "high": 1e-1},
    "model.hidden": {"kind": "integer", "low": 4, "high": 64},
    "model.init.gain": {"kind": "uniform", "low": 0.5, "high": 2.0},
    "model.nonlinearity": {"kind": "choice", "values": ["tanh", "relu"]},
}
QUANTILES = st.floats(0, 1, exclude_max=True)


def declared(**population: Any) -> ExperimentSpec:
    return parse(TEXT, [f"population={json.dumps(population)}"], expected=ExperimentSpec)


def searched(trials: int = 5, space: dict[str, Any] = SPACE, **more: Any) -> dict[str, Any]:
    return {"kind": "random", "trials": trials, "space": space, **more}


# What is drawn ------------------------------------------------------------------------------------


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), QUANTILES)
def test_a_uniform_number_lies_in_its_range(low: float, high: float, quantile: float) -> None:
    assume(low < high)
    drawn = UniformSpec(kind="uniform", low=low, high=high)
    value = drawn.at(quantile)
    assert low <= value <= high
    assert drawn.short(value) == value
    assert abs(value - (low * (1 - quantile) + high * quantile)) <= 1e-5 * (high / 2 - low / 2) + 1e-300
    assert drawn.at(0) - low <= 1e-5 * (high / 2 - low / 2)
    assert math.isclose(drawn.at(0.5), low / 2 + high / 2, rel_tol=1e-4, abs_tol=1e-4 * (high / 2 - low / 2))


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), QUANTILES)
def test_its_logarithm_is_uniform(low: float, high: float, quantile: float) -> None:
    assume(low < high)
    drawn = UniformSpec(kind="log-uniform", low=low, high=high)
    value = drawn.at(quantile)
    assert low <= value <= high
    expected = math.log(low) + quantile * (math.log(high) - math.log(low))
    assert math.isclose(math.log(value), expected, rel_tol=1e-9, abs_tol=1e-5)


@given(st.sampled_from(["integer", "log-integer"]), st.integers(1, 10**6), st.integers(1, 10**6), QUANTILES)
def test_a_whole_number_lies_in_its_range(kind: Any, low: int, span: int, quantile: float) -> None:
    drawn = IntegerSpec(kind=kind, low=low, high=low + span)
    value = drawn.at(quantile)
    assert isinstance(value, int)
    assert low <= value <= low + span
    assert drawn.at(0) == low
    assert drawn.at(1 - 2**-53) == low + span


def test_draws_are_as_likely_as_they_say() -> None:
    """4000 draws of each; four standard errors."""
    draws = [uniform(0, "a", trial) for trial in range(4000)]
    places = [sorted(draws)[rank] - rank / 4000 for rank in range(4000)]
    assert max(map(abs, places)) < 1.95 / math.sqrt(4000), "Kolmogorov and Smirnov, p = 0.001"
    small = IntegerSpec(kind="log-integer", low=1, high=3)
    for value, likely in ((1, math.log(2, 4)), (2, math.log(3 / 2, 4)), (3, math.log(4 / 3, 4))):
        share = sum(small.at(draw) == value for draw in draws) / 4000
        assert abs(share - likely) < 4 * math.sqrt(likely / 4000)
    letters = ChoiceSpec(kind="choice", values=("a", "b", "c"))
    for letter in "abc":
        assert abs(sum(letters.at(draw) == letter for draw in draws) / 4000 - 1 / 3) < 4 / math.sqrt(9 * 2000)
    apart = [(uniform(0, "a", t) - 0.5) * (uniform(0, "b", t) - 0.5) * 12 for t in range(4000)]
    assert abs(sum(apart) / 4000) < 4 / math.sqrt(4000), "paths are drawn independently"


GOLDEN = [
    {"learner.optimizer.lr": 0.00091919, "model.hidden": 60, "model.init.gain": 1.231968},
    {"learner.optimizer.lr": 0.00022767, "model.hidden": 58, "model.init.gain": 0.539534},
]
"""By SHA-256 of ``["search",0,path,trial]``, by hand."""


def test_members_follow_from_the_spec_alone() -> None:
    spec = declared(search=searched(), members=2)
    assert spec.population is not None
    assert len(spec.members()) == 10
    variations = [spec.population.variation(index, 0) for index in range(10)]
    assert [{path: value[path] for path in GOLDEN[0]} for value in variations[::2][:2]] == GOLDEN
    assert [value.pop("train.seed") for value in variations] == [0, 1] * 5
    assert variations[::2] == variations[1::2]
    code = "import sys; from zoo.specs.loading import parse; p = parse(sys.stdin.read()).population; "
    code += "import json; print(json.dumps([p.variation(k, 0) for k in range(0, 10, 2)]))"
    text = f"{TEXT}population: {json.dumps({'search': searched(), 'members': 2})}\n"
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    again = [{path: v for path, v in value.items() if path != "train.seed"} for value in eval(done.stdout)]
    assert again == variations[::2]


def test_more_trials_paths_and_seeds_keep_the_points() -> None:
    first = declared(search=searched(3)).members()
    assert declared(search=searched(5)).members()[:3] == first
    assert declared(search=searched(3), members=2).members()[::2] == first
    fewer = {path: SPACE[path] for path in list(SPACE)[:2]}
    for one, other in zip(declared(search=searched(3, fewer)).members(), first, strict=True):
        assert one.model.plain()["hidden"] == other.model.plain()["hidden"]
    assert declared(search=searched(3, seed=1)).members() != first


def test_each_place_of_a_grid_gets_the_same_points() -> None:
    spec = declared(
        search=searched(3, {"model.init.gain": SPACE["model.init.gain"]}), grid={"task.bits": [1, 2]}
    )
    gains = [member.model.plain()["init"]["gain"] for member in spec.members()]
    assert gains[::2] == gains[1::2]
    assert len(set(gains)) == 3
    assert [member.task.plain()["bits"] for member in spec.members()] == [1, 2] * 3


def test_points_are_listed() -> None:
    points = [
        {"model.hidden": 4, "model.init": {"gain": 2.0}},
        {"model.hidden": 6, "model.init": {"gain": 1.0}},
    ]
    spec = declared(points=points, members=2)
    assert [member.model.plain()["hidden"] for member in spec.members()] == [4, 4, 6, 6]
    assert [member.train.seed for member in spec.members()] == [0, 1, 0, 1]
    seeds = declared(points=[{"train.seed": 7}, {"train.seed": 3}]).members()
    assert [member.train.seed for member in seeds] == [7, 3]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("population", "message"),
    [
        ({"search": searched(space={})}, "search.space: should have at least 1 items"),
        ({"search": {"kind": "random", "space": SPACE}}, "search.trials: is required"),
        ({"search": searched(0)}, "search.trials: .*greater than or equal to 1"),
        ({"search": searched(5000)}, "search.trials: .*less than or equal to 4096"),
        ({"search": {"kind": "randm"}}, r"search.kind: should be one of random, tpe .*Did you mean 'random'"),
        ({"search": searched(space={"model.hiden": SPACE["model.hidden"]})}, "model.hiden: there is no such"),
        (
            {"search": searched(space={"model.init.gain": {"kind": "uniform", "low": 2, "high": 2}})},
            "space.model.init.gain.high: should be above 'low', which is 2",
        ),
        (
            {"search": searched(space={"model.init.gain": {"kind": "log-uniform", "low": -1, "high": 2}})},
            "space.model.init.gain.low: should be above 0 .*logarithm",
        ),
        (
            {"search": searched(space={"model.hidden": {"kind": "log-integer", "low": 0, "high": 2}})},
            "space.model.hidden.low: should be above 0",
        ),
        (
            {"search": searched(space={"model.hidden": {"kind": "integer", "low": 0.5, "high": 2}})},
            "space.model.hidden.low: should be a whole number",
        ),
        (
            {"search": searched(space={"model.hidden": {"kind": "normal", "low": 0.5, "high": 2}})},
            "space.model.hidden.kind: should be one of uniform, log-uniform, integer, log-integer, choice",
        ),
        (
            {
                "search": searched(
                    space={"model.nonlinearity": {"kind": "choice", "values": ["tanh", "tanh"]}}
                )
            },
            "has a value twice",
        ),
        (
            {"search": searched(200, {"model.hidden": {"kind": "integer", "low": 0, "high": 8}})},
            "population.search: the member with 'model.hidden=0, train.seed=0' is refused: model.hidden",
        ),
        (
            {"search": searched(space={"model.hidden": {"kind": "uniform", "low": 4, "high": 8}})},
            "population.search: the member with .* is refused: model.hidden: should be a whole number",
        ),
        (
            {"search": searched(), "grid": {"model.hidden": [4]}},
            "space.model.hidden: has its values in the grid",
        ),
        (
            {"search": searched(), "grid": {"model.init": [{"gain": 1.0}]}},
            "space.model.init.gain: is a part of model.init, which varies too",
        ),
        ({"search": searched(), "points": [{"task.bits": 1}]}, "give one of 'points' and 'search'"),
        (
            {"search": searched(space={"train.seed": SPACE["model.hidden"]}), "members": 2},
            "space.train.seed: the seeds follow from 'members'",
        ),
        ({"search": searched(4096), "members": 30}, "4096 combinations of grid and points times 30 seeds"),
        (
            {"search": {**searched(), "kind": "tpe", "metric": "loss"}},
            "search.metric: should be of validation",
        ),
        ({"search": {**searched(), "kind": "tpe", "metric": "longer/loss"}}, "of validation or test"),
        ({"search": {**searched(), "kind": "tpe"}, "grid": {"task.bits": [1, 2]}}, "goes with no grid"),
        ({"search": {**searched(), "kind": "tpe", "direction": "up"}}, "one of minimise, maximise"),
        ({"search": searched(metric="test/loss")}, "search.metric: unknown key"),
        ({"points": []}, "points: should have at least 1 items"),
        ({"points": [{}]}, "points.0: should have the same paths as the first point, one at least"),
        ({"points": [{"task.bits": 1}, {"model.hidden": 4}]}, "points.1: should have the same paths"),
        ({"points": [{"task.bit": 1}]}, "population.points: there is no such field"),
        ({"points": [{"task.bits": 0}]}, "population.points: the member with .*task.bits=0.* is refused"),
    ],
)
def test_what_declares_no_population_is_refused(population: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        declared(**population)


def test_members_that_a_search_has_to_find_are_not_known() -> None:
    spec = declared(search={**searched(12), "kind": "tpe", "startup": 4}, members=2)
    random = declared(search=searched(12), members=2)
    assert isinstance(spec.population, PopulationSpec)
    assert (len(spec.population), spec.population.known) == (24, 8)
    assert [spec.member(index) for index in range(8)] == random.members()[:8]
    for look in (spec.members, lambda: spec.member(8)):
        with pytest.raises(SpecError, match="Call: zoo sweep"):
            look()
