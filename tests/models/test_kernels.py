"""Several rate networks in one pass, against their equations step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.models.kernels import RateWeights, rate_networks

NETWORKS, BATCH, TIME, INPUTS, HIDDEN, OUTPUTS = 3, 5, 11, 2, 7, 4


def weights(leaky: bool) -> RateWeights:
    generator = torch.Generator().manual_seed(0)
    shapes = ((HIDDEN, INPUTS), (HIDDEN, HIDDEN), (HIDDEN,), (OUTPUTS, HIDDEN), (OUTPUTS,))
    drawn = [torch.randn(NETWORKS, *shape, generator=generator).double().requires_grad_() for shape in shapes]
    return RateWeights(*drawn, torch.tensor([0.2, 0.7, 1.0]).double() if leaky else None)


def by_steps(of: RateWeights, x: Tensor, relu: bool, noise: Tensor | None) -> dict[str, Tensor]:
    phi, alpha = torch.relu if relu else torch.tanh, x.new_ones(NETWORKS)
    share = (alpha if of.alpha is None else of.alpha)[:, None, None]
    h, found = x.new_zeros(NETWORKS, BATCH, HIDDEN), []
    for t in range(TIME):
        total = phi(h) @ of.recurrent.mT + x[:, :, t] @ of.inward.mT + of.bias[:, None]
        h = (1 - share) * h + share * total
        h = h if noise is None else h + noise[:, :, t]
        found.append(h)
    potentials = torch.stack(found, 2)
    rates = phi(potentials)
    y = rates @ of.outward.mT[:, None] + of.outward_bias[:, None, None]
    return {"y": y, "rates": rates, "potentials": potentials}


@pytest.mark.parametrize("states", [None, "rates", "potentials"])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_rate_networks_follow_their_equations(
    relu: bool, leaky: bool, noisy: bool, states: str | None
) -> None:
    of = weights(leaky)
    x = torch.randn(NETWORKS, BATCH, TIME, INPUTS, dtype=torch.float64)
    noise = torch.randn(NETWORKS, BATCH, TIME, HIDDEN, dtype=torch.float64) if noisy else None
    expected = by_steps(of, x, relu, noise)
    y, found = rate_networks(of, x, relu, noise, states)
    torch.testing.assert_close(y, expected["y"], rtol=1e-10, atol=1e-10)
    ours, theirs = y.sin().sum(), expected["y"].sin().sum()
    if states is None:
        assert found is None
    else:
        torch.testing.assert_close(found, expected[states], rtol=1e-10, atol=1e-10)
        ours, theirs = ours + found.sin().sum(), theirs + expected[states].sin().sum()
    learned = (of.inward, of.recurrent, of.bias, of.outward, of.outward_bias)
    for one, other in zip(
        torch.autograd.grad(ours, learned), torch.autograd.grad(theirs, learned), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
    with torch.no_grad():  # which holds two time steps alone
        again, same = rate_networks(of, x, relu, noise, states)
    assert torch.equal(again, y)
    assert states is None or torch.equal(same, found)


def test_one_input_for_all() -> None:
    of, x = weights(True), torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    expected = rate_networks(of, x.expand(NETWORKS, -1, -1, -1), False)[0]
    assert torch.equal(rate_networks(of, x, False)[0], expected)


@pytest.mark.parametrize("seed", range(10))
def test_single_precision_keeps_its_digits(seed: int) -> None:
    """tanh by way of the logistic function costs little; networks that are no chaos, where errors grow."""
    of = weights(False)
    single = RateWeights(
        *(value.detach().float() / 3 for value in vars(of).values() if isinstance(value, Tensor))
    )
    exact_weights = RateWeights(*(value.double() for value in vars(single).values() if value is not None))
    x = torch.randn(NETWORKS, BATCH, TIME, INPUTS, generator=torch.Generator().manual_seed(seed))
    exact = by_steps(exact_weights, x.double(), False, None)["rates"]
    ours = rate_networks(single, x, False, states="rates")[1]
    assert ours is not None
    assert (ours - exact).abs().max() < 5 * torch.finfo(torch.float32).eps
