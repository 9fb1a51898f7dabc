"""Exact optimal transport, against an independent solver."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from zoo.analysis.dynamics.transport import transport_costs
from zoo.analysis.transport import _programme, transport_cost

ONE_PAIR = np.array([[0, 1]])


def _cloud(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=size) + 1j * rng.normal(size=size)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (15, 15), (4, 6), (1, 9), (15, 16), (30, 31), (101, 7), (60, 90)]
)
def test_costs_are_those_of_pot(rows, columns, order) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ot = pytest.importorskip("ot")
    a, b = _cloud(rows, 0), _cloud(columns, 1)
    ground = np.abs(a[:, None] - b[None]) ** order
    found = transport_costs([a, b], order, ONE_PAIR)[0]
    assert found == transport_cost(ground)
    assert found == pytest.approx(ot.emd2([], [], ground), rel=1e-9)
    assert _programme(ground) == pytest.approx(found, rel=1e-9)


def test_duplicates_and_points_far_away() -> None:
    a = np.array([0, 0, 1e6], dtype=complex)
    b = np.array([0, 1e6], dtype=complex)
    # Masses 1/3, 1/3, 1/3 onto 1/2, 1/2: a sixth goes from 0 to 1e6.
    ground = np.abs(a[:, None] - b[None])
    assert transport_costs([a, b], 1, ONE_PAIR)[0] == pytest.approx(1e6 / 6)
    assert _programme(ground) == pytest.approx(1e6 / 6)
    assert transport_costs([a, a], 2, ONE_PAIR)[0] == 0


def test_clouds_at_one_place_cost_nothing_whatever_their_sizes() -> None:
    assert _programme(np.zeros((5, 7))) == 0
    assert transport_costs([np.ones(31, complex), np.ones(30, complex)], 2, ONE_PAIR)[0] == 0
