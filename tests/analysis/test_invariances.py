"""Each comparator is blind to what it says it is blind to, and to nothing else that matters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from zoo import registry
from zoo.specs.analyses.base import ComparatorSpec

CASES = [
    ("cka", {}),
    ("cka", {"estimator": "unbiased"}),
    ("cka", {"kernel": "rbf", "samples": 300}),
    ("cka", {"kernel": "rbf", "estimator": "unbiased", "bandwidth": 0.5, "samples": 300}),
    ("procrustes", {}),
    ("cca", {}),
    ("cca", {"summary": "mean-square"}),
    ("cca", {"summary": "projection-weighted"}),
    ("svcca", {"variance": 0.9}),
    ("unit-matching", {}),
    ("unit-matching", {"matching": "soft", "signed": False}),
    ("linear-predictivity", {}),
    ("linear-predictivity", {"score": "correlation", "folds": 3}),
    ("rsa", {}),
    ("rsa", {"dissimilarity": "euclidean"}),
    ("rsa", {"dissimilarity": "sqeuclidean", "comparison": "pearson"}),
    ("rsa", {"dissimilarity": "euclidean", "comparison": "cosine", "conditions": 50}),
    ("dsa", {"rank": 12}),
    ("dsa", {"delays": 4, "rank": None, "order": 1}),
    ("dsa", {"delays": 3, "interval": 2, "rank": 6, "squared": True}),
    ("dsa", {"delays": 3, "rank": 8, "score": "angular"}),
    ("dsa", {"delays": 2, "rank": 5, "score": "euclidean"}),
    ("fast-dsa", {"delays": 2, "steps": 100}),
    ("fast-dsa", {"delays": 2, "rank": 6, "optimizer": "penalty", "score": "euclidean", "steps": 100}),
    ("fast-dsa", {"delays": 2, "rank": 6, "optimizer": "riemannian", "reflections": True, "steps": 100}),
    ("kernel-dsa", {"delays": 3}),
    ("kernel-dsa", {"delays": 2, "rank": 5, "order": 2}),
    ("input-dsa", {"delays": 4, "rank": 6}),
    ("input-dsa", {"delays": 4, "rank": 6, "distance": "joint-state", "extended": True}),
    ("input-dsa", {"delays": 4, "rank": 6, "distance": "joint-input"}),
    ("input-dsa", {"delays": 4, "rank": 6, "distance": "state"}),
    ("input-dsa", {"delays": 4, "rank": 6, "distance": "input"}),
    ("input-dsa", {"delays": 2, "interval": 2, "rank": 5, "identification": "dmdc"}),
]
SAME_WIDTH = {"fast-dsa"}
"""Comparators that refuse networks of different width."""
EXACT = 5e-7
"""Angles near 0 keep half of the digits: arccos(1 - 1e-16) is 1e-8."""


@pytest.fixture(scope="module")
def wrap(driven):
    return driven


def _invertible(states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stretched = _orthogonal(states, rng) * np.geomspace(0.3, 3, states.shape[2])
    return _orthogonal(stretched, rng)


def _orthogonal(states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return states @ np.linalg.qr(rng.normal(size=(states.shape[2],) * 2))[0]


CHANGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "orthogonal": _orthogonal,
    "invertible linear": _invertible,
    "scale of each unit": lambda states, rng: states * np.geomspace(0.1, 10, states.shape[2]),
    "isotropic scaling": lambda states, rng: 1e3 * states,
    "translation": lambda states, rng: states + rng.normal(size=states.shape[2]),
    "offset common to all units": lambda states, rng: states + 3.0,
    "permutation of units": lambda states, rng: states[..., rng.permutation(states.shape[2])],
    "permutation of trials": lambda states, rng: states[rng.permutation(states.shape[0])],
    "silent units": lambda states, rng: np.pad(states, ((0, 0), (0, 0), (0, 5))),
}
FOLLOWS = {"orthogonal": "permutation of units"}
"""An invariance that is a case of another."""


def test_every_comparator_is_tested() -> None:
    kinds = registry.kinds("analyses")
    comparators = {k for k in kinds if issubclass(registry.spec_class("analyses", k), ComparatorSpec)}
    assert {kind for kind, _ in CASES} == comparators


@pytest.mark.parametrize(("kind", "fields"), CASES)
def test_claimed_invariances_hold(kind, fields, comparator, wrap, rnn) -> None:
    metric, rng = comparator(kind, **fields), np.random.default_rng(0)
    states, third = rnn(0), metric.features(wrap(rnn(5)))
    before = metric.distance(wrap(states), third)
    assert metric.invariances, "a comparator says to what it is invariant"
    for claim in metric.invariances:
        for change in filter(None, (claim, FOLLOWS.get(claim))):
            changed = wrap(CHANGES[change](states, rng))
            assert metric.distance(wrap(states), changed) <= EXACT, change
            if metric.aligned:  # alignments of dynamics are found by searches
                assert metric.distance(changed, third) == pytest.approx(before, abs=1e-6), change


@pytest.mark.parametrize(("kind", "fields"), CASES)
def test_what_is_not_claimed_is_seen(kind, fields, comparator, wrap, rnn) -> None:
    metric, rng = comparator(kind, **fields), np.random.default_rng(0)
    states, third = rnn(0), metric.features(wrap(rnn(5)))
    before = metric.distance(wrap(states), third)
    claimed = {*metric.invariances, *(FOLLOWS.get(claim) for claim in metric.invariances)}
    if kind == "dsa":  # whose whitening sees neither
        claimed |= {"invertible linear", "scale of each unit"}
    seen = {}
    for change, apply in CHANGES.items():
        if change not in {*claimed, "silent units", "offset common to all units"}:
            changed = metric.features(wrap(apply(states, rng)))
            itself = metric.distance(wrap(states), changed)
            # Some maps lead back to where they came from, but not to another network.
            seen[change] = max(itself, abs(metric.distance(changed, third) - before))
    assert all(value > 1e-5 for value in seen.values()), seen


@pytest.mark.parametrize(
    ("kind", "fields"),
    [c for c in CASES if (c[1].get("dissimilarity") or c[0] != "rsa") and c[0] not in SAME_WIDTH],
)
def test_silent_units_change_nothing(kind, fields, comparator, wrap, rnn) -> None:
    states = rnn(1)
    padded = CHANGES["silent units"](states, np.random.default_rng(0))
    assert comparator(kind, **fields).distance(wrap(states), wrap(padded)) <= EXACT


@pytest.mark.parametrize(("kind", "fields"), CASES)
def test_duplicated_units_change_nothing_but_scale(kind, fields, comparator, wrap, rnn) -> None:
    """Every unit recorded twice is a rotation, scaled by √2, into more dimensions."""
    metric, states = comparator(kind, **fields), rnn(1)
    if not {"orthogonal", "isotropic scaling"} <= {*metric.invariances}:
        return
    assert metric.distance(wrap(states), wrap(np.concatenate([states, states], 2))) <= EXACT


@pytest.mark.parametrize(("kind", "fields"), CASES)
def test_a_stretched_axis_and_another_network_are_seen(kind, fields, comparator, wrap, rnn) -> None:
    metric, states = comparator(kind, **fields), rnn(0)
    assert metric.distance(wrap(states), wrap(rnn(7))) > 1e-3
    # The whitening of dsa sees no stretch, nor, but for the ridge, do correlations of what is predicted.
    blind = kind == "dsa" or "scale of each unit" in metric.invariances or "score" in fields
    if not blind:
        third = metric.features(wrap(rnn(7)))
        stretched = metric.features(wrap(states * np.geomspace(0.1, 10, 8)))
        there = abs(metric.distance(stretched, third) - metric.distance(wrap(states), third))
        assert max(there, metric.distance(wrap(states), stretched)) > 1e-3


@pytest.mark.parametrize(("kind", "fields"), [case for case in CASES if case[0] not in SAME_WIDTH])
def test_networks_of_different_width(kind, fields, comparator, wrap, rnn) -> None:
    found = [wrap(rnn(seed, units=units)) for seed, units in ((0, 8), (1, 3), (2, 21))]
    values = comparator(kind, **fields).matrix(found)
    assert np.isfinite(values).all()
    assert (values[np.triu_indices(3, 1)] > 1e-4).all()


@pytest.mark.parametrize("kind", ["cka", "procrustes"])
def test_more_units_than_samples(kind, comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2, 5, 40))
    metric = comparator(kind)
    assert metric.distance(wrap(a), wrap(_orthogonal(a, rng))) <= EXACT
    assert metric.features(wrap(a)).values["shape"].shape == (10, 10)
    wide, narrow = metric.distance(wrap(a), wrap(b)), comparator(kind).distance(wrap(a[..., :4]), wrap(b))
    assert 0.1 < wide < np.pi / 2
    assert 0.1 < narrow < np.pi / 2
