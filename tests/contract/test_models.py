"""What every registered model owes: one interface, whatever is inside."""

from __future__ import annotations

import pytest
import torch
from examples import LAYERED, MODELS, RECORDINGS, experiment

from zoo import registry
from zoo.errors import AnalysisError
from zoo.models.base import Model
from zoo.models.dynamics import Dynamics
from zoo.network import build


def test_every_kind_has_an_example() -> None:
    kinds = {example["kind"] for example in (*MODELS.values(), *LAYERED.values(), *RECORDINGS.values())}
    assert kinds >= set(registry.BUILTIN["models"])


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Dynamics:
    """What iterates."""
    return build(experiment(request.param, train={"precision": "64-true"})).model.eval()


@pytest.fixture(params=[*MODELS, *LAYERED])
def any_model(request: pytest.FixtureRequest) -> Model:
    return build(experiment(request.param, train={"precision": "64-true"})).model.eval()


def test_whole_pass_equals_steps(model: Dynamics) -> None:
    x = torch.randn(5, 20, model.inputs, dtype=torch.float64)
    states = model.rollout(model.initial_state(5), x)
    assert states.shape == (5, 20, model.units)
    output = model(x)
    torch.testing.assert_close(output.y, model.readout(states), rtol=1e-10, atol=1e-12)
    exposed = next(iter(model.parts))
    torch.testing.assert_close(
        output.states[exposed], states[..., model.parts[exposed]], rtol=1e-10, atol=1e-12
    )


def test_gradients_of_the_whole_pass_equal_those_of_steps(model: Dynamics) -> None:
    x = torch.randn(3, 9, model.inputs, dtype=torch.float64, requires_grad=True)
    found = []
    for y in (model(x).y, model.readout(model.rollout(model.initial_state(3), x))):
        if not y.requires_grad:
            assert model.surrogate  # such as draws, through which no gradient goes
            return
        gradients = torch.autograd.grad(y.square().sum(), [x, *model.parameters()], allow_unused=True)
        found.append(gradients)
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-8, atol=1e-10)


def test_autonomous_rollout_is_one_with_zero_input(model: Dynamics) -> None:
    h0 = torch.randn(2, model.units, dtype=torch.float64)
    zeros = torch.zeros(2, 6, model.inputs, dtype=torch.float64)
    torch.testing.assert_close(model.rollout(h0, steps=6), model.rollout(h0, zeros))
    with pytest.raises(AnalysisError, match="number of steps"):
        model.rollout(h0)


def test_every_site_can_be_captured(any_model: Model) -> None:
    x = torch.randn(2, 5, any_model.inputs, dtype=torch.float64)
    with any_model.capture(any_model.sites) as seen:
        output = any_model(x)
    assert set(seen) == set(any_model.sites)
    assert any_model.exposed in output.states
    assert all(value.shape[:2] == (2, 5) for value in seen.values())
    torch.testing.assert_close(seen["input"], x)
    torch.testing.assert_close(seen["output"], output.y)
    if isinstance(any_model, Dynamics):
        whole = seen.get("state", seen[any_model.exposed])
        torch.testing.assert_close(any_model.readout(whole), output.y)
    with pytest.raises(AnalysisError, match="Did you mean 'input'"), any_model.capture(["inputs"]):
        pass


@torch.no_grad()
def test_interventions_act_and_end(any_model: Model) -> None:
    x = torch.randn(2, 8, any_model.inputs, dtype=torch.float64)
    plain = any_model(x).y
    part = any_model.exposed
    with any_model.intervene({part: lambda value, t: value}):
        torch.testing.assert_close(any_model(x).y, plain, rtol=1e-10, atol=1e-12)
    with any_model.intervene({part: lambda value, t: torch.full_like(value, 0.5) if t == 3 else value}):
        cut = any_model(x)
    torch.testing.assert_close(cut.y[:, :3], plain[:, :3], rtol=1e-10, atol=1e-12)
    assert (cut.states[part][:, 3] == 0.5).all()
    assert not torch.allclose(cut.y[:, 3:], plain[:, 3:])
    torch.testing.assert_close(any_model(x).y, plain)
    shifted = any_model(x + 1).y
    with any_model.intervene({"input": lambda u, t: u + 1}):
        torch.testing.assert_close(any_model(x).y, shifted, rtol=1e-10, atol=1e-12)


def test_noise_enters_the_state(model: Dynamics) -> None:
    h, u = model.initial_state(3), torch.randn(3, model.inputs, dtype=torch.float64)
    quiet = model.step(h, u, torch.zeros(3, model.units, dtype=torch.float64))
    torch.testing.assert_close(quiet, model.step(h, u))
    loud = model.step(h, u, torch.ones(3, model.units, dtype=torch.float64))
    assert not torch.allclose(loud, quiet)


def test_step_has_a_jacobian_under_torch_func(model: Dynamics) -> None:
    h, u = torch.randn(4, model.units, dtype=torch.float64), torch.randn(4, model.inputs, dtype=torch.float64)

    def single(state: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        return model.step(state[None], drive[None])[0]

    jacobians = torch.func.vmap(torch.func.jacrev(single))(h, u)
    assert jacobians.shape == (4, model.units, model.units)
    written = model.jacobians(h, u)
    if written is not None:
        torch.testing.assert_close(written, jacobians, rtol=1e-12, atol=1e-14)
    if model.surrogate:
        return  # which is not what a nudge does
    nudge = 1e-6 * torch.randn_like(h)
    change = model.step(h + nudge, u) - model.step(h - nudge, u)
    torch.testing.assert_close(2 * (jacobians @ nudge[..., None])[..., 0], change, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("name", [*MODELS, *LAYERED])
def test_same_seed_same_weights(name: str) -> None:
    first = build(experiment(name)).model.state_dict()
    torch.manual_seed(123)
    again = build(experiment(name)).model.state_dict()
    other = build(experiment(name, train={"seed": 1})).model.state_dict()
    for key, value in first.items():
        assert torch.equal(value, again[key])
        drawn = value.unique().numel() > 1  # and not, say, the ones that a normalisation begins with,
        drawn &= not key.endswith("frequency")  # or the frequencies of S4D, which are fixed
        drawn &= name not in ("head-direction-attractor", "grid-attractor")  # or what is specified exactly
        assert not drawn or not torch.equal(value, other[key])
