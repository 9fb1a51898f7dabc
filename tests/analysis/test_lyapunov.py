"""Lyapunov exponents of systems where they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from examples import experiment

import zoo
from zoo.analysis.dynamics.lyapunov import kaplan_yorke
from zoo.network import build


def test_of_a_linear_map() -> None:
    """Of its eigenvalues the logarithms; and 0 of the clock that it carries along."""
    made = build(experiment("switching-linear", train={"precision": "64-true", "steps": 0}))
    transition = made.model.matrices(committed=True)[0].double()
    found = zoo.analyse([made], "lyapunov", trials=2, steps=300, transient=300, autonomous=True).only
    expected = np.sort(np.log(np.abs(torch.linalg.eigvals(transition).numpy())))[::-1]
    np.testing.assert_allclose(found["exponents"], [0, *expected], atol=0.01)


def test_of_lorenz() -> None:
    """0.9056, 0, -14.5723 (Sprott 2003, table 1); the sum is -(σ + 1 + β) exactly. Long: benchmarks."""
    lorenz = {"kind": "lorenz", "rho": 28.0, "dt": 0.02, "substeps": 2, "spread": 5.0}
    made = build(experiment("lorenz", train={"precision": "64-true", "steps": 0}).updated(model=lorenz))
    found = zoo.analyse(
        [made], "lyapunov", trials=1, steps=2000, transient=300, dt=0.02, autonomous=True
    ).only
    assert found.numbers["largest"] == pytest.approx(0.9056, rel=0.1)
    assert found.numbers["sum"] == pytest.approx(-(10 + 1 + 8 / 3), rel=1e-3)
    assert abs(found["exponents"][1]) < 0.03
    assert found.numbers["dimension"] == pytest.approx(2.062, abs=0.01)


@pytest.mark.parametrize("model", ["gru", "lru", "s4d"])
def test_leading_ones_are_those_of_all(model: str, tmp_path) -> None:
    """Also where the first units, which are read out, forget within a step."""
    made = build(experiment(model, train={"precision": "64-true"}))
    every = zoo.analyse([made], "lyapunov", trials=3, steps=200, transient=50).only
    some = zoo.analyse([made], "lyapunov", trials=3, steps=200, transient=50, exponents=2, every=4).only
    np.testing.assert_allclose(some["exponents"], every["exponents"][:2], atol=1e-3)
    assert "dimension" not in some.numbers
    assert every["exponents"][0] > -5
    for found in (every, some):
        assert (np.diff(found["course"][-1]) <= 0).all(), "the order of the legend"
        np.testing.assert_allclose(found["course"][-1], found["exponents"], atol=1e-3, rtol=0.01)
    assert every.plot(tmp_path / "spectrum.png").stat().st_size > 5_000


def test_dimension() -> None:
    assert float(kaplan_yorke(torch.tensor([-1.0, -2.0]))) == 0
    assert float(kaplan_yorke(torch.tensor([1.0, -0.5]))) == 2
    assert float(kaplan_yorke(torch.tensor([0.9056, 0.0, -14.5723]))) == pytest.approx(2.0621, abs=1e-4)
