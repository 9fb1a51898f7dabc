"""What a distance must be, on random data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = [
    ("cka", {}),
    ("cka", {"estimator": "unbiased"}),
    ("cka", {"kernel": "rbf"}),
    ("cka", {"kernel": "rbf", "estimator": "unbiased"}),
    ("cca", {}),
    ("cca", {"summary": "projection-weighted"}),
    ("svcca", {}),
    ("unit-matching", {}),
    ("unit-matching", {"matching": "soft"}),
    ("linear-predictivity", {}),
    ("procrustes", {}),
    ("rsa", {"comparison": "pearson"}),
    ("dsa", {"delays": 2, "rank": 3}),
    ("dsa", {"delays": 2, "rank": None, "order": 1}),
    ("dsa", {"delays": 2, "rank": 3, "score": "angular", "starts": 2}),
    ("dsa", {"delays": 2, "rank": 3, "score": "euclidean", "starts": 2}),
    ("fast-dsa", {"delays": 2, "rank": 3, "steps": 20}),
    ("fast-dsa", {"delays": 2, "rank": 3, "steps": 20, "optimizer": "penalty", "score": "euclidean"}),
    ("kernel-dsa", {"delays": 2, "rank": 3}),
    ("input-dsa", {"delays": 2, "rank": 3}),
    ("input-dsa", {"delays": 2, "rank": 3, "distance": "joint-state"}),
    ("input-dsa", {"delays": 2, "rank": 3, "distance": "input", "identification": "dmdc"}),
]
NONE = {"rsa", "fast-dsa", "cca", "svcca", "linear-predictivity"}
METRICS = [
    case
    for case in CASES
    if case[0] not in NONE and case[1].get("distance") != "joint-state" and case != ("unit-matching", {})
]
"""One minus a correlation has no triangle inequality, nor has what a descent does not reach, nor a part of
a distance, nor a match that leaves out units."""
SAME_WIDTH = {"fast-dsa"}
"""Comparators that refuse networks of different width."""


@pytest.fixture(scope="module")
def wrap(driven):
    return driven


systems = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(3, 9), st.floats(0.1, 3.0)), min_size=3, max_size=4
)


def _run(rnn, wrap, drawn, kind):
    drawn = [(seed, 3 if kind in SAME_WIDTH else units, gain) for seed, units, gain in drawn]
    return [wrap(rnn(seed, trials=4, steps=15, units=units, gain=gain)) for seed, units, gain in drawn]


@pytest.mark.parametrize(("kind", "fields"), CASES)
@given(drawn=systems)
@settings(max_examples=5)
def test_symmetric_zero_on_the_diagonal_and_as_by_pairs(kind, fields, comparator, wrap, rnn, drawn) -> None:
    metric = comparator(kind, **fields)
    found = _run(rnn, wrap, drawn, kind)
    values = metric.matrix(found)
    assert (values == values.T).all()
    assert (values.diagonal() == 0).all()
    assert (values >= 0).all()
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            if i != j:
                alone = metric.distance(a, b)
                assert alone == pytest.approx(values[i, j], abs=1e-7)
    reversed_order = metric.matrix([metric.features(item) for item in found[::-1]])[::-1, ::-1]
    np.testing.assert_allclose(values, reversed_order, atol=1e-7)


@pytest.mark.parametrize(("kind", "fields"), METRICS)
@given(drawn=systems)
@settings(max_examples=5)
def test_triangle_inequality(kind, fields, comparator, wrap, rnn, drawn) -> None:
    values = comparator(kind, **fields).matrix(_run(rnn, wrap, drawn, kind))
    detour = (values[:, :, None] + values[None]).min(1)
    assert (values <= detour + 1e-6).all()
