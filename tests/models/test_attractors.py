"""Attractors of bumps: exact integration, a golden amplitude, and the shape of what they rest on."""

from __future__ import annotations

import math

import pytest
import torch
from examples import system
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.optimize import brentq

import zoo
from zoo.errors import SpecError
from zoo.models.attractors import GridAttractor, HeadDirectionAttractor
from zoo.network import Network


def ring(network: Network) -> HeadDirectionAttractor:
    assert isinstance(network.model, HeadDirectionAttractor)
    return network.model


def torus(network: Network) -> GridAttractor:
    assert isinstance(network.model, GridAttractor)
    return network.model


RING, GRID = {"kind": "head-direction-attractor"}, {"kind": "grid-attractor"}
TURNS = {"kind": "head-direction", "steps": 60}
WALK = {"kind": "path-integration", "start": "centre", "steps": 60}


def test_the_bump_has_the_amplitude_that_a_continuum_of_units_has() -> None:
    def missing(amplitude: float) -> float:
        mean = quad(lambda t: math.cos(t) / (1 + math.exp(-amplitude * math.cos(t))), 0, 2 * math.pi)[0]
        return 24 * mean / (2 * math.pi) - amplitude

    level, amplitude = ring(system(RING, TURNS)).shape.tolist()
    assert level == 0
    assert amplitude == pytest.approx(brentq(missing, 1, 12), abs=1e-9)


@pytest.mark.parametrize("start", ["zero", "random"])
def test_turns_are_integrated(start: str) -> None:
    run = system(RING, {**TURNS, "start": start}).trajectories(trials=20)
    assert run.outputs is not None
    assert run.targets is not None
    assert (run.outputs - run.targets).abs().max() < 1e-4
    assert run.targets[:, -1].std() > 0.3  # they do turn
    finer = system({**RING, "substeps": 16}, {**TURNS, "start": start}).trajectories(trials=20).outputs
    assert finer is not None
    # All of the error is that of the Runge-Kutta method, but for the task's single precision.
    assert (finer - run.targets).abs().max() < 4e-6


def test_the_bump_moves_with_its_shape_unchanged() -> None:
    model = ring(system(RING, TURNS))
    turn = torch.tensor([[0.3, 0, 0]], dtype=torch.float64)
    moved = model.rollout(model.bump(torch.zeros(1, 1).double()), turn.expand(10, -1)[None])[0, -1]
    torch.testing.assert_close(moved[None], model.bump(torch.full((1, 1), 3.0).double()), atol=1e-3, rtol=0)


def test_without_input_every_bump_rests() -> None:
    model = ring(system(RING, TURNS))
    states = model.bump(torch.linspace(0, 1, 50, dtype=torch.float64)[:, None])
    assert (model.step(states, torch.zeros(50, 3).double()) - states).abs().max() < 1e-10
    grid = torus(system(GRID, WALK))
    places = torch.rand(50, 2, dtype=torch.float64)
    phases = places @ grid.wave_vectors.T
    states = grid.bump(phases)
    assert (grid.step(states, torch.zeros(50, 2).double()) - states).abs().max() < 1e-4
    torch.testing.assert_close(grid.readout(states), places, atol=1e-4, rtol=0)


def test_displacements_are_integrated_and_units_fire_on_a_hexagonal_lattice() -> None:
    network = system({**GRID, "side": 12, "orientation": 0.4}, WALK)
    run = network.trajectories(trials=10)
    assert run.outputs is not None
    assert (run.outputs - run.latents["position"]).norm(dim=-1).max() < 0.01
    model = torus(network)
    # Six places around the origin, the spacing away, look like the origin, and others half way do not.
    angle = 0.4 + math.pi / 6 + torch.arange(6, dtype=torch.float64) * math.pi / 3
    corners = 4.0 * torch.stack([angle.cos(), angle.sin()], 1)
    waves = model.wave_vectors.T
    home = model.bump(torch.zeros(1, 3).double())
    torch.testing.assert_close(model.bump(corners @ waves), home.expand(6, -1))
    assert ((model.bump(corners / 2 @ waves) - home).norm(dim=1) > 1).all()


def test_rates_are_read_out_where_the_task_has_as_many_outputs() -> None:
    drive = {"kind": "drive", "steps": 5, "channels": 2, "noise": 0.1, "width": 64}
    run = system({**GRID, "side": 8}, drive).trajectories(trials=2)
    torch.testing.assert_close(run.outputs, torch.sigmoid(run.states))


def test_the_ring_is_one_loop_of_neutral_points() -> None:
    found = zoo.analyse([system(RING, TURNS)], "loops", trials=16, starts=64, slow=1e-7).only
    assert (found.numbers["loops"], found.numbers["neutral"]) == (1, 1)
    assert found.numbers["first"] > 3
    assert found.numbers["drift"] < 1e-7
    leading = abs(found["eigenvalues"][found["kept"], 0])
    assert leading == pytest.approx(1, abs=1e-6)
    radius = math.sqrt(60 / 2) * 7.389048611807725
    assert (found["points"] ** 2).sum(1) ** 0.5 == pytest.approx(radius, abs=1e-4)


def test_what_cannot_be_served_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"model\.spacing: .*is 2 m, less than the diagonal of the box"):
        system({**GRID, "spacing": 2.0}, WALK)
    with pytest.raises(ValidationError, match=r"task\.start: .*should be 'centre'"):
        system(GRID, {**WALK, "start": "random"})
    with pytest.raises(SpecError, match="no bump forms"):
        system({**RING, "strength": 4.0}, TURNS)
    with pytest.raises(SpecError, match="has 2 inputs and 2 outputs here, and the task has 2 and 3"):
        system(GRID, {"kind": "drive", "channels": 2, "width": 3})
