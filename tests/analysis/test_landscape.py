"""Loops and basins against cases that are known exactly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from examples import system

import zoo
from zoo.analysis.homology import landmarks, loops
from zoo.errors import AnalysisError, SpecError
from zoo.models.systems import Planar

BISTABLE = {"kind": "drive", "levels": [-0.1, 0.1], "disturbances": 2, "width": 2, "steps": 60}


@pytest.mark.parametrize("count", [4, 9, 12, 30])
def test_a_polygon_is_one_loop_that_dies_when_a_triangle_holds_its_middle(count: int) -> None:
    angle = 2 * math.pi * np.arange(count) / count
    bars = loops(np.stack([np.cos(angle), np.sin(angle)], 1))
    dies = 2 * math.sin(math.pi * math.ceil(count / 3) / count)
    assert bars[0] == pytest.approx([2 * math.sin(math.pi / count), dies])
    assert len(bars) == 1


def test_two_squares_are_two_loops_and_a_line_is_none() -> None:
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    bars = loops(np.concatenate([square, square * 3 + 10]))
    np.testing.assert_allclose(bars, [[3, 3 * math.sqrt(2)], [1, math.sqrt(2)]])
    assert loops(np.arange(10.0)[:, None]).shape == (0, 2)
    assert loops(np.zeros((2, 3))).shape == (0, 2)
    with pytest.raises(AnalysisError, match="at most 200 points, not 201"):
        loops(np.zeros((201, 2)))


def test_a_flat_torus_has_two_loops_that_last() -> None:
    a, b = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 1500))
    torus = np.stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b)], 1)
    bars = loops(torus[landmarks(torus, 70)])
    ratio = np.sort(bars[:, 1] / bars[:, 0])[::-1]
    assert (ratio > 2).sum() == 2
    assert ratio[2] < 1.8


def test_landmarks_cover() -> None:
    points = np.random.default_rng(1).normal(size=(300, 2))
    chosen = landmarks(points, 40)
    assert len(set(chosen.tolist())) == 40
    reach = np.sqrt(((points[:, None] - points[chosen][None]) ** 2).sum(-1)).min(1).max()
    apart = np.sqrt(((points[chosen][:, None] - points[chosen][None]) ** 2).sum(-1))
    assert reach <= apart[apart > 0].min()
    assert len(landmarks(points[:5], 40)) == 5


def test_basins_of_the_bistable_system_are_half_planes(tmp_path: Path) -> None:
    network = system({"kind": "planar"}, BISTABLE)
    found = zoo.analyse([network], "basins", side=24, trials=16).only
    assert found.numbers["attractors"] == 2
    assert found.numbers["settled"] == 1
    second, first = np.meshgrid(found["axis"], found["axis"], indexing="ij")
    starts = found["centre"] + np.stack([first, second], -1) @ found["plane"]
    reached = found["points"][found["basins"]]
    assert (np.sign(reached[..., 0]) == np.sign(starts[..., 0])).all()
    model = network.model
    assert isinstance(model, Planar)
    a, b, _ = model.bistable.tolist()
    assert sorted(found["points"][:, 0]) == pytest.approx([-math.sqrt(-b / a), math.sqrt(-b / a)], abs=1e-8)
    assert found.numbers["effective"] == pytest.approx(2, abs=0.05)
    assert found.plot(tmp_path / "basins.png").stat().st_size > 5_000


def test_states_that_go_on_moving_belong_to_no_basin() -> None:
    network = system({"kind": "lorenz"}, {"kind": "drive", "channels": 3, "width": 3, "steps": 60})
    found = zoo.analyse([network], "basins", side=5, trials=2, steps=40).only
    assert found.numbers["attractors"] == found.numbers["settled"] == found.numbers["effective"] == 0
    assert (found["basins"] == -1).all()
    assert (found["steps"] == -1).all()


def test_bad_input_of_basins() -> None:
    network = system({"kind": "planar"}, BISTABLE)
    with pytest.raises(AnalysisError, match="has 2 principal components"):
        zoo.analyse([network], "basins", components=[0, 2])
    with pytest.raises(AnalysisError, match="2 inputs are given"):
        zoo.analyse([network], "basins", input=[0.0, 1.0])
    with pytest.raises(SpecError, match="components: names one component twice"):
        zoo.analyse([network], "basins", components=[1, 1])
    with pytest.raises(AnalysisError, match="too few to see loops"):
        zoo.analyse([network], "loops", starts=32, trials=4)
    assert torch.get_num_threads() == 1
