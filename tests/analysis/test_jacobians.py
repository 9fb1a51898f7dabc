"""Derivatives of networks by weights and inputs, where they are known, and against finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment
from torch import Tensor

from zoo.analysis import jacobians
from zoo.analysis.jacobians import Differentiable
from zoo.errors import AnalysisError
from zoo.network import Network, build
from zoo.tasks.base import Batch


def network(model: dict[str, Any] | None = None, task: str = "linear-map", name: str = "mlp") -> Network:
    spec = experiment(name, task, train={"precision": "64-true"})
    return build(spec if model is None else spec.updated(model=model))


def linear(**fields: Any) -> Network:
    return network({"kind": "mlp", "hidden": [5], "nonlinearity": "linear", "bias": False, **fields})


def batch_of(made: Network, trials: int = 4) -> Batch:
    found = made.batch("train", 0, 0, trials)
    return found.to("cpu", torch.float64)


def shifted(whole: Differentiable, by: Tensor) -> dict[str, Tensor]:
    return whole.shaped(whole.flat(whole.weights) + by)


def test_the_kernel_of_two_matrices() -> None:
    """K = x·x' W₂W₂ᵀ + (x W₁ᵀW₁ x') 1, from the definition."""
    made = linear()
    first, second = (made.model.state_dict()[name] for name in ("layers.0.weight", "output.weight"))
    x = batch_of(made).x
    flat = x[:, 0]
    gram, inner = flat @ flat.T, flat @ first.T @ first @ flat.T
    outputs = torch.eye(6, dtype=torch.float64)
    expected = torch.kron(gram, second @ second.T) + torch.kron(inner, outputs)
    torch.testing.assert_close(Differentiable(made).kernel(x), expected)
    only = Differentiable(made, "output.*")
    assert only.size == 30
    torch.testing.assert_close(only.kernel(x), torch.kron(inner, outputs))


@pytest.mark.parametrize("name", ["mlp-wide", "elman", "rate-leaky", "gru", "transformer"])
def test_the_kernel_by_blocks_by_products_and_by_jacobians(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network(None, "flip-flop", name)
    whole, x = Differentiable(made), batch_of(made, 3).x[:, :4]
    every = whole.jacobians(x)
    flat = every.flatten(0, 1)
    kernel = whole.kernel(x)
    torch.testing.assert_close(kernel, flat @ flat.T)
    torch.testing.assert_close(
        whole.kernel(x, step=-1), every[:, -2:].flatten(0, 1) @ every[:, -2:].flatten(0, 1).T
    )
    monkeypatch.setattr(jacobians, "CHUNK", 1)
    torch.testing.assert_close(whole.kernel(x), kernel)
    torch.testing.assert_close(whole.kernel(x, x[:2]), kernel[:, : 2 * 4 * 2])
    vector = torch.randn(3, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(whole.kernel_product(x, vector).flatten(), kernel @ vector.flatten())


@pytest.mark.parametrize("name", ["mlp-normed", "lstm", "rate"])
def test_derivatives_are_differences(name: str) -> None:
    made = network(None, "flip-flop", name)
    whole, batch = Differentiable(made), batch_of(made, 3)
    torch.manual_seed(0)
    way = torch.randn(whole.size, dtype=torch.float64)
    way, step = way / way.norm(), 1e-5
    ahead, behind = shifted(whole, step * way), shifted(whole, -step * way)
    slope = (whole.output(ahead, batch.x).y - whole.output(behind, batch.x).y) / (2 * step)
    torch.testing.assert_close(whole.jacobians(batch.x) @ way, slope.flatten(1), rtol=1e-6, atol=1e-9)
    gradient, product = whole.hessian_product(batch)
    loss = (whole.loss(ahead, batch) - whole.loss(behind, batch)) / (2 * step)
    torch.testing.assert_close(gradient @ way, loss, rtol=1e-6, atol=1e-9)
    ends = []
    for there in (ahead, behind):
        gradients = torch.func.grad(lambda weights: whole.loss(weights, batch))(there)
        ends.append(whole.flat(gradients))
    torch.testing.assert_close(product(way), (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-8)
    each = whole.example_gradients(batch)
    torch.testing.assert_close(whole.flat({k: v.mean(0) for k, v in each.items()}), gradient)


def test_the_hessian_of_a_quadratic_loss() -> None:
    """Of the readout alone it is 2/n E[h hᵀ] for each of n outputs."""
    made = linear()
    whole, batch = Differentiable(made, "output.weight"), batch_of(made, 6)
    h = batch.x[:, 0] @ made.model.state_dict()["layers.0.weight"].T
    expected = torch.kron(torch.eye(6, dtype=torch.float64), 2 / 6 * h.T @ h / 6)
    _, product = whole.hessian_product(batch)
    torch.testing.assert_close(torch.stack([product(row) for row in torch.eye(30).double()]), expected)


def test_the_linearised_twin() -> None:
    """Is off by the square of what weights move; and exact for the readout, in which a network is linear."""
    made = network(None, "flip-flop", "elman")
    whole, x = Differentiable(made), batch_of(made).x
    torch.manual_seed(0)
    way = 1e-2 * torch.randn(whole.size, dtype=torch.float64)
    off = []
    for part in (1.0, 0.5):
        there = shifted(whole, part * way)
        off.append((whole.output(there, x).y - whole.linearised(x, there)).norm())
    assert off[0] > 0
    assert off[0] / off[1] == pytest.approx(4, rel=0.05)
    readout = Differentiable(made, "output.*")
    there = shifted(readout, torch.randn(readout.size, dtype=torch.float64))
    torch.testing.assert_close(readout.linearised(x, there), readout.output(there, x).y)


def test_jacobians_of_layers_are_their_matrices() -> None:
    made = linear(hidden=[5, 3])
    weights = [
        made.model.state_dict()[name] for name in ("layers.0.weight", "layers.1.weight", "output.weight")
    ]
    whole, x = Differentiable(made), batch_of(made).x
    for site, source, expected in (
        ("h2", "h1", weights[1]),
        ("output", "h1", weights[2] @ weights[1]),
        ("h2", "input", weights[1] @ weights[0]),
        ("h2", None, weights[1] @ weights[0]),
    ):
        found = whole.site_jacobians(x, site, source=source)
        torch.testing.assert_close(found, expected.expand(4, -1, -1))


def test_jacobians_of_states_by_the_whole_input() -> None:
    made = network(None, "flip-flop", "gru")
    whole, x = Differentiable(made), batch_of(made, 2).x[:, :5]
    found = whole.site_jacobians(x, "h", step=3)
    assert found.shape == (2, 7, 4 * 2)
    nudge = torch.zeros_like(x)
    nudge[:, 1, 0] = 1e-5
    with whole.model.capture(["h"]) as seen:
        whole.output(whole.weights, x + nudge)
        ahead = seen["h"][:, 3]
        whole.output(whole.weights, x - nudge)
        torch.testing.assert_close(found[:, :, 2], (ahead - seen["h"][:, 3]) / 2e-5, rtol=1e-6, atol=1e-9)
    with pytest.raises(AnalysisError, match="has no layers"):
        whole.site_jacobians(x, "h", source="input")


def test_the_network_stays_as_it_is() -> None:
    made = network(None, "flip-flop", "elman")
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    Differentiable(made).hessian_product(batch_of(made))
    assert all(torch.equal(value, before[name]) for name, value in made.model.state_dict().items())
    assert all(each.requires_grad and each.grad is None for each in made.model.parameters())


def test_refused() -> None:
    with pytest.raises(AnalysisError, match=r"model 'lif' of .*surrogates.*such as elman"):
        Differentiable(network(None, "flip-flop", "lif"))
    with pytest.raises(AnalysisError, match=r"no parameter .* matches readout\.\*; it has layers\.0\.weight"):
        Differentiable(linear(), "readout.*")
    normed = network({"kind": "mlp", "hidden": [5], "norm": "batch"})
    with pytest.raises(AnalysisError, match=r"standardised over the batch.*norm none"):
        Differentiable(normed).kernel(batch_of(normed).x)
