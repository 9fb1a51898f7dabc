"""Forward-forward: each layer's own gradient, and none other's."""

from __future__ import annotations

import torch
from examples import experiment
from torch.nn import functional as F

from zoo.models.goodness import Goodness, goodness
from zoo.network import build


def test_updates_are_each_layers_own_gradient() -> None:
    spec = experiment("goodness", "digits", "forward-forward", train={"precision": "64-true"})
    made = build(spec.updated(learner={"kind": "forward-forward", "threshold": 0.1})).learner()
    model = made.network.model
    assert isinstance(model, Goodness)
    batch = made.network.batch("train", 0, 0, 32)
    drawn = made.draw(batch, torch.Generator().manual_seed(0))
    labels = batch.y.argmax(-1)
    wrong = (labels + drawn["shift"]) % 10
    assert (wrong != labels).all()
    leaves = {name: value.clone().requires_grad_() for name, value in model.state_dict().items()}
    total = torch.zeros(())
    for shown, sign in ((labels, -1), (wrong, 1)):
        h = model.shown(batch.x, F.one_hot(shown, 10).double())
        for k in range(2):
            h = model.layer(leaves, k, h.detach())  # nothing goes back to the layer below
            total = total + F.softplus(sign * (goodness(h) - 0.1)).mean()
    expected = torch.autograd.grad(total, list(leaves.values()))
    with torch.no_grad():
        found = made.update(model.state_dict(), {}, batch, drawn)
    torch.testing.assert_close(found.loss, total.detach())
    for name, value in zip(leaves, expected, strict=True):
        torch.testing.assert_close(found.weights[name], value, rtol=1e-9, atol=1e-12)


def test_the_output_is_the_goodness_with_each_label() -> None:
    model = build(experiment("goodness", "digits", "forward-forward")).model
    assert isinstance(model, Goodness)
    weights, x = model.state_dict(), torch.rand(3, 1, 64)
    y = model(x).y
    for label in range(10):
        h = torch.cat([x, F.one_hot(torch.tensor(label), 10).float().expand(3, 1, -1)], -1)
        expected = torch.zeros(3, 1)
        for k in range(2):
            unit = h / (h.norm(dim=-1, keepdim=True) + 1e-4)
            h = torch.relu(unit @ weights[f"layers.{k}.weight"].T + weights[f"layers.{k}.bias"])
            expected = expected + h.square().mean(-1)
        torch.testing.assert_close(y[..., label], expected)
