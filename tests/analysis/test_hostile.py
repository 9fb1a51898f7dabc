"""Data that should not be compared are refused with a reason; the rest of odd data is compared rightly."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories

KINDS = [
    ("cka", {}),
    ("cka", {"kernel": "rbf", "estimator": "unbiased"}),
    ("procrustes", {}),
    ("cca", {}),
    ("svcca", {"summary": "projection-weighted"}),
    ("unit-matching", {}),
    ("unit-matching", {"matching": "soft"}),
    ("linear-predictivity", {}),
    ("rsa", {"dissimilarity": "euclidean"}),
    ("dsa", {"delays": 3, "rank": 2}),
    ("dsa", {"delays": 3, "rank": 2, "score": "angular"}),
    ("fast-dsa", {"delays": 3, "rank": 2, "steps": 100}),
    ("kernel-dsa", {"delays": 3, "rank": 2}),
    ("input-dsa", {"delays": 3, "rank": 2}),
    ("input-dsa", {"delays": 3, "rank": 2, "distance": "state", "identification": "dmdc"}),
]


@pytest.fixture(scope="module")
def wrap(driven):
    return driven


@pytest.mark.parametrize(("kind", "fields"), KINDS)
@pytest.mark.parametrize(
    ("states", "message"),
    [
        (torch.full((3, 20, 4), float("nan")), "NaN"),
        (torch.full((3, 20, 4), float("inf")), "infinite"),
        (torch.zeros(3, 20, 4), "never change"),
        (torch.full((3, 20, 4), 0.1), "never change"),
        (torch.randn(1, 1, 4), "never change"),
        (torch.randn(20, 4), "shape"),
        (torch.randn(0, 20, 4), "shape"),
        (torch.randn(3, 20, 4, dtype=torch.complex64), "complex"),
        (torch.ones(3, 20, 4, dtype=torch.bool), "bool"),
        (np.ones((3, 20, 4)), "ndarray"),
    ],
)
def test_refused(kind, fields, states, message, comparator) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        comparator(kind, **fields).features(
            Trajectories(states=states, inputs=torch.ones(3, 20, 1), name="odd one")
        )
    assert "'odd one'" in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_what_is_required_must_be_there(kind, fields, comparator, wrap, rnn, monkeypatch) -> None:
    metric = comparator(kind, **fields)
    monkeypatch.setattr(type(metric), "requires", frozenset({"states", "inputs"}))
    with pytest.raises(AnalysisError, match="needs the inputs of every network, and 'x' has none"):
        metric.features(Trajectories.wrap(rnn(0), name="x"))


@pytest.mark.parametrize(("kind", "fields"), KINDS)
@pytest.mark.parametrize("count", [0, 1])
def test_one_network_has_no_distance(kind, fields, count, comparator, wrap, rnn) -> None:
    with pytest.raises(AnalysisError, match="at least two networks"):
        comparator(kind, **fields).matrix([wrap(rnn(0))] * count)


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_the_callers_arrays_stay_as_they_are(kind, fields, comparator, wrap, rnn) -> None:
    for make in (np.array, torch.tensor):
        a, b = (make(rnn(seed)) for seed in (0, 1))
        before = [np.asarray(rnn(seed)) for seed in (0, 1)]
        comparator(kind, **fields).matrix([wrap(a), wrap(b)])
        comparator(kind, **fields).matrix([replace(wrap(x), states=torch.as_tensor(x)) for x in (a, b)])
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(b, before[1])


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_types_and_layouts_give_the_same_distance(kind, fields, comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, size=(2, 6, 20, 4))  # exact in every type
    metric = comparator(kind, **fields)
    expected = metric.distance(wrap(a), wrap(b))
    for dtype in (np.int8, np.int64, np.float16, np.float32, np.float64):
        assert metric.distance(wrap(a.astype(dtype)), wrap(b.astype(dtype))) == pytest.approx(
            expected, rel=1e-6
        )
    transposed = np.asfortranarray(a.astype(float))
    strided = np.repeat(b.astype(float), 2, axis=1)[:, ::2]
    assert metric.distance(wrap(transposed), wrap(strided)) == pytest.approx(expected, rel=1e-6)
    flipped = torch.from_numpy(a[:, :, ::-1].copy()).flip(2).permute(2, 0, 1).contiguous().permute(1, 2, 0)
    direct = (replace(wrap(b), states=states) for states in (flipped, torch.from_numpy(b)))  # integers
    assert metric.distance(*direct) == pytest.approx(expected, rel=1e-6)
    grad = torch.from_numpy(a.astype(float)).requires_grad_()
    assert metric.distance(replace(wrap(a), states=grad), wrap(b)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_one_trial_and_one_unit(kind, fields, comparator, wrap, rnn) -> None:
    metric = comparator(kind, **fields)
    a, b = rnn(0, trials=1), rnn(1, trials=1)
    assert metric.distance(wrap(a), wrap(b)) > 0
    assert metric.distance(wrap(a[..., :1]), wrap(b[..., :1])) > 0
    if kind != "fast-dsa":  # which refuses networks of different width
        assert metric.distance(wrap(a[..., :1]), wrap(b)) > 0


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_extreme_scales_are_compared_or_refused_but_never_zero(kind, fields, comparator, wrap, rnn) -> None:
    metric = comparator(kind, **fields)
    expected = metric.distance(wrap(rnn(0)), wrap(rnn(1)))
    for scale in (1e-200, 1e-30, 1e30, 1e200):
        found = metric.distance(wrap(scale * rnn(0)), wrap(rnn(1)))
        if "isotropic scaling" in metric.invariances:
            assert found == pytest.approx(expected, rel=1e-6)
        assert found > 0
    outlier = rnn(0)
    outlier[0, 0, 0] = 1e200
    with contextlib.suppress(AnalysisError):
        assert metric.distance(wrap(outlier), wrap(rnn(1))) > 0
