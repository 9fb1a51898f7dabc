"""Bilinear networks by their formula, and on what they are good at."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch
from examples import experiment
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.models.bilinear import Bilinear
from zoo.network import build
from zoo.specs.models.bilinear import BilinearSpec
from zoo.specs.problems import validate


def make(**fields: Any) -> Bilinear:
    torch.manual_seed(0)
    return Bilinear(BilinearSpec(hidden=8, **fields), 3, 2).double().eval()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_a_step_by_its_formula(affine: bool, unit: bool) -> None:
    model = make(affine=affine, normalise=unit)
    h, u = torch.randn(5, 8, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    maps = model.weight.view(-1, 8, 8)
    expected = torch.einsum("bk,kij,bj->bi", u, maps[:3], h)
    if affine:
        expected = expected + h @ maps[3].T + u @ model.weight_in.T + model.bias
    if unit:
        expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model.step(h, u), expected)


def test_only_the_direction_of_the_state_matters_without_additive_terms() -> None:
    model = make(normalise=True)
    h, u = torch.randn(5, 8, dtype=torch.float64), torch.randn(5, 9, 3, dtype=torch.float64)
    torch.testing.assert_close(model.rollout(7 * h, u), model.rollout(h, u))
    assert (model.rollout(0 * h, u) == 0).all()


def test_no_input_ends_the_state_and_the_gradient() -> None:
    model = make(normalise=True)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    x[:, 3] = 0
    states = model.unroll(x)
    assert (states[:, :3].norm(dim=-1) - 1).abs().max() < 1e-12
    assert (states[:, 3:] == 0).all()
    for whole in (states, model.rollout(model.initial_state(2), x)):
        (gradient,) = torch.autograd.grad(whole.sum(), model.weight)
        assert 0 < gradient.abs().max() < 100


@pytest.mark.parametrize("fields", [{}, {"affine": True}, {"normalise": True}])
def test_the_gradient_of_the_first_state_is_that_of_steps(fields: dict[str, Any]) -> None:
    model = make(**fields)
    x = torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)
    found = []
    for states in (model.unroll(x), model.rollout(model.initial_state(4), x)):
        found.append(torch.autograd.grad(states.pow(3).sum(), [x, model.start, model.weight]))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow)


def test_permutations_of_three_are_learned_at_length_16_and_hold_at_128() -> None:
    """The word problem of S3; 32 units, as in the notes that this zoo began from."""
    elements = list(permutations(range(3)))
    table = torch.tensor([[elements.index((a[b[0]], a[b[1]], a[b[2]])) for b in elements] for a in elements])
    generator = torch.Generator().manual_seed(0)

    def words(count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, states = torch.randint(6, (count, length), generator=generator), []
        state = torch.zeros(count, dtype=torch.long)
        for token in tokens.unbind(1):
            state = table[token, state]
            states.append(state)
        return F.one_hot(tokens, 6).float(), torch.stack(states, 1)

    torch.manual_seed(0)
    model = Bilinear(BilinearSpec(hidden=32, normalise=True), 6, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        x, y = words(32, 16)
        optimizer.zero_grad()
        F.cross_entropy(model(x).y.flatten(0, 1), y.flatten()).backward()
        optimizer.step()
    x, y = words(64, 128)
    assert (model(x).y.argmax(-1) == y).float().mean().item() >= 0.99


def test_areas_without_input_are_refused() -> None:
    with pytest.raises(SpecError, match=r"constraints\.fixed: the model has no input weights"):
        validate(BilinearSpec, {"constraints": {"fixed": ["input"]}})
    areas = {"a": {"size": 32}, "b": {"size": 32, "input": False}}
    with pytest.raises(SpecError, match=r"constraints\.areas\.b\.input: the input maps the state of all"):
        validate(BilinearSpec, {"constraints": {"areas": areas}})


def test_maps_are_masked_alike() -> None:
    spec = experiment(train={"precision": "64-true"})
    held = {"sparsity": {"kind": "fixed", "density": 0.25}}
    model = build(spec.updated(model={"kind": "bilinear", "hidden": 8, "constraints": held})).model
    there = (model.recurrent != 0).view(8, -1, 8)
    assert (there == there[:, :1]).all()
    assert there[:, 0].sum().item() == 16
