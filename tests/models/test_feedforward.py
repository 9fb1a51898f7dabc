"""What noise on a perceptron's activity is, and what a pass costs beside its loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from examples import experiment
from pydantic import ValidationError

from zoo.models.feedforward import MLP
from zoo.network import build
from zoo.specs.models.feedforward import ActivityNoiseSpec, MLPSpec, PenaltySpec
from zoo.specs.models.init import InitSpec
from zoo.training.run import Run
from zoo.training.together import fit_all


def made(**fields: object) -> MLP:
    torch.manual_seed(0)
    return MLP(
        MLPSpec.model_validate({"hidden": [3, 4], "nonlinearity": "leaky-relu", **fields}), 2, 2
    ).double()


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_grows_with_activity(exponent: float) -> None:
    """The deviation of a unit is c |h|^(e/2), as of h' = h + c ξ |h|^(e/2)."""
    model = made(noise={"strength": 0.2, "exponent": exponent})
    x = torch.tensor([1.0, -0.5], dtype=torch.float64).expand(20_000, 1, 2)
    quiet = model.eval()(x[:1]).states["h1"][0, 0]
    assert torch.equal(model(x[:1]).y, model(x[:1]).y), "none in use"
    seen = model.train()(x).states["h1"][:, 0]
    expected = 0.2 * (quiet.square() + 1e-6).pow(exponent / 4)
    torch.testing.assert_close(seen.std(0), expected, rtol=0.03, atol=0)
    torch.testing.assert_close(seen.mean(0), quiet, rtol=0, atol=0.01)
    noise = model.noise(5, 1, torch.Generator().manual_seed(1))
    assert noise is not None
    assert noise.shape == (5, 1, 7)
    assert torch.equal(model.eval()(x[:5], noise).y, model(x[:5], noise).y)


def test_the_slope_of_noise_is_finite_where_nothing_is_active() -> None:
    model = made(noise={}).train()
    for layer in model.layers:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    model(torch.zeros(3, 1, 2, dtype=torch.float64)).y.square().sum().backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())


def test_what_a_pass_costs() -> None:
    x = torch.randn(5, 1, 2, dtype=torch.float64)
    first, second, last = (layer.weight for layer in (*made().layers, made().output))
    states = made()(x).states
    h1, h2 = states["h1"][:, 0], states["h2"][:, 0]
    for name, expected in (
        ("weights", sum(w.square().sum() for w in (first, second, last))),
        ("absolute", sum(w.abs().sum() for w in (first, second, last))),
        ("activity", (h1.square().sum() + h2.square().sum()) / 5),
        (
            "weighted_activity",
            ((h1.square() @ second.square().T).sum() + (h2.square() @ last.square().T).sum()) / 5,
        ),
    ):
        torch.testing.assert_close(made(penalty={name: 0.3})(x).cost, 0.3 * expected)
    linear = (h1.abs() @ second.square().T).sum() + (h2.abs() @ last.square().T).sum()
    found = made(penalty={"weighted_activity": 1.0, "exponent": 1.0})(x).cost
    torch.testing.assert_close(found, linear / 5)
    assert made()(x).cost is None


def test_weighted_activity_is_the_variance_that_noise_has_one_layer_on() -> None:
    """Of drives of the readout, summed, for c = 1 and e = α = 1; by 50,000 draws."""
    model = made(hidden=[4], noise={"strength": 1.0, "exponent": 1.0}).train()
    x = torch.tensor([0.7, -1.2], dtype=torch.float64).expand(50_000, 1, 2)
    torch.manual_seed(1)
    variance = model(x).y[:, 0].var(0).sum()
    plain = made(hidden=[4], penalty={"weighted_activity": 1.0, "exponent": 1.0}).eval()
    torch.testing.assert_close(variance, plain(x[:1]).cost, rtol=0.03, atol=0)


def test_many_learn_what_one_learns(tmp_path: Path) -> None:
    """With a penalty, which has no chance in it, members of a group end where each ends alone."""
    spec = experiment("mlp-noisy", "modular-sines", train={"steps": 20, "batch_size": 8})
    spec = spec.updated(model=spec.model.updated(noise=None))
    second = spec.updated(train=spec.train.updated(seed=1))
    together = [Run.of(each, tmp_path / f"together-{k}") for k, each in enumerate((spec, second))]
    fit_all(together, progress=False)
    for k, each in enumerate((spec, second)):
        alone = Run.of(each, tmp_path / f"alone-{k}").fit(progress=False)["metrics"]
        assert together[k].fit(progress=False)["metrics"] == pytest.approx(alone, rel=1e-4)


def test_a_penalty_is_paid(tmp_path: Path) -> None:
    spec = experiment("mlp", "modular-sines", train={"steps": 100, "batch_size": 8, "validate_every": 100})
    sizes = []
    for coefficient in (0.0, 1.0):
        model = spec.model.updated(penalty=PenaltySpec(weights=coefficient))
        run = Run.of(spec.updated(model=model), tmp_path / str(coefficient))
        run.fit(progress=False)
        from safetensors.torch import load_file

        sizes.append(sum(v.square().sum() for k, v in load_file(run.snapshot(100)).items() if "weight" in k))
    assert sizes[1] < 0.8 * sizes[0]


def test_refused_where_no_loss_is_differentiated() -> None:
    for name, value in (("noise", {}), ("penalty", {"activity": 1.0})):
        model = {"kind": "mlp", "hidden": [7], name: value}
        with pytest.raises(
            ValidationError, match=rf"model\.{name}: acts in a pass .*'feedback-alignment'.*backprop"
        ):
            experiment("mlp", "digits", "feedback-alignment").updated(model=model)
    assert MLPSpec(noise=None).digest() == MLPSpec().digest() != MLPSpec(noise=ActivityNoiseSpec()).digest()


def test_a_cut_rank_may_keep_the_norm() -> None:
    def weights(**init: object) -> torch.Tensor:
        spec = experiment("rate").updated(model={"kind": "rate", "hidden": 9, "init": init})
        return next(v for k, v in build(spec).model.state_dict().items() if v.shape == (9, 9))

    full, cut, kept = weights(), weights(rank=2), weights(rank=2, keep_norm=True)
    assert torch.linalg.matrix_rank(kept, rtol=1e-5) == 2
    torch.testing.assert_close(kept.norm(), full.norm())
    torch.testing.assert_close(kept / kept.norm(), cut / cut.norm())
    with pytest.raises(ValidationError, match=r"keep_norm: goes with a rank"):
        InitSpec(keep_norm=True)
