"""Rules that go back through layers by other ways than the gradient: against formulas and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from examples import experiment
from torch import Tensor
from torch.func import functional_call

from zoo.errors import TrainingError
from zoo.learners.base import Learner, Update
from zoo.learners.feedback import Chained
from zoo.network import build
from zoo.tasks.base import Batch
from zoo.training.data import check_shareable
from zoo.training.run import Run

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"kind": "mlp", "hidden": [7, 5], "nonlinearity": "tanh"},
    "layer": {"kind": "mlp", "hidden": [7, 5], "norm": "layer"},
    "wide": {
        "kind": "mlp",
        "hidden": [7, 5],
        "norm": "batch",
        "parametrisation": "ntk",
        "init": {"distribution": "normal"},
    },
}


def learner(rule: dict[str, Any], model: dict[str, Any] | None = None, loss: str = "mse") -> Learner:
    train = {"precision": "64-true", "steps": 10}
    spec = experiment("mlp", "digits", train=train)
    spec = spec.updated(model=model or MODELS["plain"], learner={"loss": loss, **rule})
    return build(spec).learner()


def batch(made: Learner, examples: int = 16) -> Batch:
    return made.network.batch("train", 0, 0, examples)


def weights(made: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in made.network.model.state_dict().items()}


def moved(made: Learner, by: float = 0.3) -> dict[str, Tensor]:
    torch.manual_seed(5)
    return {name: value + by * torch.randn_like(value) for name, value in weights(made).items()}


def updated(made: Learner, at: Mapping[str, Tensor], **own: Tensor) -> Update:
    seen = batch(made)
    with torch.no_grad():
        return made.update(at, {**made.own(), **own}, seen, made.draw(seen))


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-12)


def transports(made: Learner, at: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Feedback weights that are those of the way up, with which feedback alignment is backpropagation."""
    assert isinstance(made, Chained)
    return {f"feedback.{k}": each.scale * at[each.weight] for k, each in enumerate(made.layers[1:])}


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
@pytest.mark.parametrize("model", MODELS)
def test_with_weight_transport_feedback_alignment_is_the_gradient(model: str, loss: str) -> None:
    made = learner({"kind": "feedback-alignment"}, MODELS[model], loss)
    at = moved(made)
    gradient = made.gradient(at, batch(made))
    found = updated(made, at, **transports(made, at))
    assert_same(found.weights, gradient.weights)
    torch.testing.assert_close(found.loss, gradient.loss)


def test_feedback_alignment_written_out() -> None:
    made = learner({"kind": "feedback-alignment"})
    at, own, seen = moved(made), made.own(), batch(made)
    x, y = seen.x[:, 0], seen.y[:, 0]
    h1 = torch.tanh(x @ at["layers.0.weight"].T + at["layers.0.bias"])
    h2 = torch.tanh(h1 @ at["layers.1.weight"].T + at["layers.1.bias"])
    e = 2 * (h2 @ at["output.weight"].T + at["output.bias"] - y) / y.numel()
    d2 = (1 - h2**2) * (e @ own["feedback.1"])
    d1 = (1 - h1**2) * (d2 @ own["feedback.0"])
    expected = {"output": (e, h2), "layers.1": (d2, h1), "layers.0": (d1, x)}
    found = updated(made, at).weights
    for name, (delta, below) in expected.items():
        torch.testing.assert_close(found[f"{name}.weight"], delta.T @ below)
        torch.testing.assert_close(found[f"{name}.bias"], delta.sum(0))
    own_numbers = torch.cat([own["feedback.0"].flatten(), own["feedback.1"].flatten()])
    assert not torch.equal(own["feedback.0"], at["layers.1.weight"])
    assert own_numbers.std().item() == pytest.approx(0.4, abs=0.12)  # 1/√7 and 1/√5


def test_direct_feedback_alignment_written_out_and_exact_for_one_linear_layer() -> None:
    made = learner({"kind": "direct-feedback-alignment"})
    at, own, seen = moved(made), made.own(), batch(made)
    h1 = torch.tanh(seen.x[:, 0] @ at["layers.0.weight"].T + at["layers.0.bias"])
    y = functional_call(made.network.model, at, (seen.x,)).y
    e = 2 * (y - seen.y)[:, 0] / seen.y.numel()
    found = updated(made, at).weights
    delta = (1 - h1**2) * (e @ own["feedback.0"])
    torch.testing.assert_close(found["layers.0.weight"], delta.T @ seen.x[:, 0])
    linear = learner(
        {"kind": "direct-feedback-alignment"}, {"kind": "mlp", "hidden": [6], "nonlinearity": "linear"}
    )
    at = moved(linear)
    exact = updated(linear, at, **{"feedback.0": at["output.weight"]})
    assert_same(exact.weights, linear.gradient(at, batch(linear)).weights)


@pytest.mark.parametrize("variant", ["zero", "ada", "prop"])
@pytest.mark.parametrize("model", ["plain", "wide"])
def test_align_begins_as_the_gradient(model: str, variant: str) -> None:
    made = learner({"kind": "align", "variant": variant}, MODELS[model])
    at = weights(made)
    assert_same(updated(made, at).weights, made.gradient(at, batch(made)).weights)


@pytest.mark.parametrize("model", ["plain", "wide"])
def test_align_later(model: str) -> None:
    """Zero is J(θ₀)ᵀe; ada has today's activity for that of then; prop is feedback alignment with B = W₀."""
    zero, ada, prop = (
        learner({"kind": "align", "variant": each}, MODELS[model]) for each in ("zero", "ada", "prop")
    )
    start, at, seen = weights(zero), moved(zero), batch(zero)
    model_ = zero.network.model
    now = functional_call(model_, at, (seen.x,))
    e = 2 * (now.y - seen.y) / seen.y.numel()
    leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
    slopes = torch.autograd.grad(functional_call(model_, leaves, (seen.x,)).y, list(leaves.values()), e)
    found = updated(zero, at).weights
    assert_same(found, dict(zip(leaves, slopes, strict=True)))

    active = updated(ada, at).weights
    scale = [1.0, 1.0, 1.0] if model == "plain" else [64**-0.5, 7**-0.5, 5**-0.5]
    below = [seen.x, now.states["h1"], now.states["h2"]]
    for name, h, factor in zip(("layers.0", "layers.1", "output"), below, scale, strict=True):
        torch.testing.assert_close(active[f"{name}.bias"], found[f"{name}.bias"])
        if name == "output":
            expected = factor * torch.einsum("eto,etn->on", e, h)
            torch.testing.assert_close(active[f"{name}.weight"], expected)
        else:
            assert name == "layers.0" or not torch.allclose(active[f"{name}.weight"], found[f"{name}.weight"])
    torch.testing.assert_close(active["layers.0.weight"], found["layers.0.weight"])

    back = learner({"kind": "feedback-alignment"}, MODELS[model])
    assert_same(updated(prop, at).weights, updated(back, at, **transports(back, start)).weights)


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
@pytest.mark.parametrize("model", MODELS)
def test_fixed_predictions_at_rest_give_the_gradient(model: str, loss: str) -> None:
    rule = {"kind": "predictive-coding", "predictions": "fixed", "rate": 1.0, "steps": 2}
    made = learner(rule, MODELS[model], loss)
    at = moved(made)
    assert_same(updated(made, at).weights, made.gradient(at, batch(made)).weights)


def test_values_of_predictive_coding_descend_its_energy() -> None:
    """Against autograd through the energy, step by step."""
    made = learner({"kind": "predictive-coding", "rate": 0.2, "steps": 3})
    at, seen = moved(made), batch(made)
    x, y = seen.x, seen.y
    names = ("layers.0", "layers.1", "output")
    leaves = {name: value.clone().requires_grad_() for name, value in at.items()}

    def predicted(k: int, below: Tensor) -> Tensor:
        drive = below @ leaves[f"{names[k]}.weight"].T + leaves[f"{names[k]}.bias"]
        return drive if k == 2 else torch.tanh(drive)

    def energy(values: list[Tensor]) -> Tensor:
        total = (predicted(2, values[1]) - y).square().mean((1, 2)).sum()
        for k, (value, below) in enumerate(zip(values, [x, *values], strict=False)):
            total = total + 0.5 * (value - predicted(k, below)).square().sum()
        return total

    values = [predicted(0, x).detach()]
    values.append(predicted(1, values[0]).detach())
    for _ in range(3):
        free = [value.requires_grad_() for value in values]
        slopes = torch.autograd.grad(energy(free), free)
        values = [(value - 0.2 * slope).detach() for value, slope in zip(free, slopes, strict=True)]
    expected = torch.autograd.grad(energy(values) / len(x), list(leaves.values()))
    assert_same(updated(made, at).weights, dict(zip(leaves, expected, strict=True)))


def test_learned_feedback_becomes_like_the_weights(tmp_path: Any) -> None:
    rule = {
        "kind": "feedback-alignment",
        "feedback": "learned",
        "optimizer": {"kind": "sgd", "lr": 0.2, "weight_decay": 0.02},
    }
    spec = experiment("mlp", "digits", train={"steps": 400, "batch_size": 32, "validate_every": 400})
    spec = spec.updated(learner=rule, record={"updates": {}, "snapshots": {"base": 1000}})
    curve = Run.of(spec, tmp_path / "run").fit(progress=False)["curve"]["values"]
    before, after = curve["update/angle"]
    assert before > 20
    assert after < before / 5


def test_without_feedback_the_readout_learns_alone() -> None:
    made = learner({"kind": "feedback-alignment", "scale": 0.0})
    found = updated(made, moved(made)).weights
    assert found["output.weight"].any()
    assert not found["layers.0.weight"].any()
    assert not found["layers.1.weight"].any()


def test_statistics_of_a_batch_and_rules_are_not_shared_by_devices() -> None:
    for rule, message in (("backprop", "BatchStatistics"), ("align-ada", "does not say that 2 devices")):
        spec = experiment("mlp", "digits", rule, train={"devices": 2, "batch_size": 4})
        made = build(spec.updated(model=MODELS["wide"])).learner()
        with pytest.raises(TrainingError, match=message):
            check_shareable(made)
