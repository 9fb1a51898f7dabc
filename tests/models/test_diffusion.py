"""The reverse process against formulas of the papers, and against noise that is known in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from examples import MODELS, TASKS, experiment
from torch import Tensor

from zoo.analysis.compare import compare
from zoo.analysis.measure import analyse
from zoo.errors import SpecError
from zoo.learners.rule import Rule
from zoo.models.diffusion import Diffusion, MLPDiffusion
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.diffusion import MLPDiffusionSpec
from zoo.specs.problems import validate
from zoo.specs.tasks.generation import MixtureSpec
from zoo.tasks.generation import Mixture, modes


class Known(Diffusion):
    """A sampler that knows the noise of a mixture."""

    task: Mixture

    @property
    def like(self) -> Tensor:
        return torch.zeros((), dtype=torch.float64)

    def predict(self, x: Tensor, level: Tensor, condition: Tensor, known: Tensor | None = None) -> Tensor:
        return self.task.noise(x, self.kept(x)[level], condition)


@pytest.mark.parametrize(("eta", "steps"), [(0.0, 200), (1.0, 200)])
def test_the_known_noise_gives_the_mixture(eta: float, steps: int) -> None:
    task = Mixture(MixtureSpec(steps=steps, noise="every" if eta else "start", classes=2, deviation=0.2))
    model = Known(MLPDiffusionSpec(steps=steps, eta=eta, levels=1000), 4, 2)
    model.task = task
    batch = task.batch("test", 0, 0, 600).to("cpu", torch.float64)
    y = model(batch.x).y[:, -1]
    assert task.metrics(y[:, None], batch)["accuracy"].mean() > 0.99, "a few of a mode lie beyond its border"
    centres = modes(task.spec).double()
    apart, nearest = torch.cdist(y, centres).min(1)
    for mode in range(6):
        share = (nearest == mode).double().mean()
        assert abs(share - 1 / 6) < 4 * math.sqrt(1 / 6 * 5 / 6 / 600)
    spread = apart.square().mean().div(2).sqrt()
    assert spread == pytest.approx(task.spec.deviation, rel=0.12), "few steps contract a little"


def test_with_all_levels_and_noise_a_step_is_ancestral() -> None:
    """Ho et al. 2020, eqs. 7 and 11: the mean is (x - β ε / √(1-ᾱ)) / √α, the variance β (1-ᾱ') / (1-ᾱ)."""
    spec = MLPDiffusionSpec(levels=40, steps=40, eta=1.0, betas=(0.01, 0.3), hidden=(5,))
    model = MLPDiffusion(spec, 3, 2).double()
    h, u = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    for done in (0, 1, 25, 39):
        h[:, 2] = done
        level = spec.levels - done
        beta = torch.tensor(spec.beta(), dtype=torch.float64)
        kept = torch.cumprod(1 - beta, 0)
        added = 1.0
        if done:  # what is added after the step before this one
            b = beta[level]
            added = float((b * (1 - kept[level - 1]) / (1 - kept[level])).sqrt())
        x = h[:, :2] + added * u[:, 1:]
        noise = model.estimate(x, torch.full((6,), level), u[:, :1])
        b, k = beta[level - 1], kept[level - 1]
        mean = (x - b / (1 - k).sqrt() * noise) / (1 - b).sqrt()
        found = model.step(h, u)
        torch.testing.assert_close(found[:, :2], mean)
        assert (found[:, 2] == done + 1).all()


def test_it_rests_when_it_has_ended() -> None:
    model = build(experiment("mlp-diffusion")).model.eval()
    h = model.rollout(model.initial_state(3), torch.randn(3, 7, model.inputs))  # type: ignore[operator]
    assert (h[:, 3:, -1] == 4).all()
    torch.testing.assert_close(h[:, 3], h[:, 6])


def test_guidance_goes_beyond_the_condition() -> None:
    model = build(experiment("mlp-guided", train={"precision": "64-true"})).model
    assert isinstance(model, Diffusion)
    x, level = torch.randn(3, 2, dtype=torch.float64), torch.tensor([1, 500, 1000])
    condition = torch.eye(4, dtype=torch.float64)[:3]
    with_it = model.estimate(x, level, condition)
    without = model.estimate(x, level, condition, torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(
        without, model.estimate(x, level, condition.roll(1, 0), torch.zeros(3).double())
    )
    torch.testing.assert_close(model.guided(x, level, condition), 2 * with_it - without)


def test_velocities_weigh_noise_by_what_is_kept() -> None:
    """For one and the same estimate, the loss of velocities is that of noise over ᾱ."""
    spec = MLPDiffusionSpec(predicts="velocity", hidden=(5,))
    model = MLPDiffusion(spec, 3, 2).double()
    clean, noise = torch.randn(2, 4, 2, dtype=torch.float64)
    level, condition = torch.tensor([3, 100, 500, 900]), torch.randn(4, 1, dtype=torch.float64)
    kept = model.kept(clean)[level][:, None]
    x = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    of_noise = (model.estimate(x, level, condition) - noise).square()
    of_velocity = (model.predict(x, level, condition) - model.target(clean, noise, kept)).square()
    torch.testing.assert_close(of_velocity, of_noise / kept)


def test_the_update_is_the_gradient_of_its_loss() -> None:
    network = build(experiment("unet-diffusion", train={"precision": "64-true"}))
    learner, batch = network.learner(), network.batch("train", 0, 0, 20)
    drawn = learner.draw(batch, torch.Generator().manual_seed(1))
    assert drawn["known"].mean() < 1
    assert ((drawn["level"] >= 1) & (drawn["level"] <= 1000)).all()
    update = learner.update(network.model.state_dict(), {}, batch, drawn)
    model: Any = network.model
    condition, noise = batch.x[:, 0].split((2, 36), 1)
    kept = model.kept(noise)[drawn["level"]][:, None]
    x = kept.sqrt() * batch.y[:, -1] + (1 - kept).sqrt() * noise
    loss = (model.predict(x, drawn["level"], condition, drawn["known"]) - noise).square().mean()
    loss.backward()
    assert update.loss == pytest.approx(loss.item())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(update.weights[name], parameter.grad)
    learner.draw = lambda batch, generator=None: drawn  # type: ignore[method-assign]
    assert learner.training_step(batch, 0) == pytest.approx(loss.item())
    assert isinstance(learner, Rule)
    assert learner._update is not None
    for name, value in learner._update.weights.items():
        torch.testing.assert_close(value, update.weights[name])


@torch.no_grad()
def test_sites_inside_a_step_take_part_in_it() -> None:
    network = build(experiment("unet-diffusion")).eval()
    batch = network.batch("test", 0, 0, 3)
    plain = network(batch.x)
    assert plain.states["latent"].shape == (3, 4, 4 * 3 * 3)
    with network.model.intervene({"latent": lambda value, t: 0 * value if t == 2 else value}):
        cut = network(batch.x)
    assert (cut.states["latent"][:, 2] == 0).all()
    torch.testing.assert_close(cut.y[:, :2], plain.y[:, :2])
    assert not torch.allclose(cut.y[:, 2:], plain.y[:, 2:])


def test_the_path_is_a_trajectory() -> None:
    networks = {
        f"seed {k}": build(experiment("unet-diffusion", train={"seed": k, "steps": 12})) for k in (0, 1)
    }
    run = networks["seed 0"].trajectories(16)
    assert run.states.shape == (16, 4, 36)
    assert run.initial is not None
    h = torch.cat([run.states[:, 0], torch.ones(16, 1)], 1)
    model: Any = networks["seed 0"].model
    assert run.inputs is not None
    torch.testing.assert_close(model.step(h, run.inputs[:, 1])[:, :-1], run.states[:, 1])
    assert networks["seed 0"].trajectories(4, site="latent").initial is None
    matrix = compare(networks, "dsa", delays=2, rank=5, trials=16)
    assert matrix.values[0, 1] > 0
    found = analyse(networks, "decoding", latent="x", site="latent", trials=40)
    assert found["seed 1"]["scores"].shape == (4,)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (
            "model",
            {"steps": 5},
            r"model\.steps: 5 steps of the sampler, and a trial of the split train has 4",
        ),
        ("model", {"levels": 100}, r"model\.betas: leave 0\.\d+ of what is sampled .* about 6"),
        ("model", {"levels": 3}, r"model\.steps: should be at most 3"),
        ("model", {"betas": [0.1, 0.01]}, r"model\.betas: should ascend"),
        ("model", {"groups": 3}, r"model\.groups: 3 groups do not divide 4 channels"),
        ("model", {"channels": [4, 4, 4]}, r"model\.channels: halve an image 2 times, .* a multiple of 4"),
        ("model", {"guidance": 3.0, "channels": [4]}, ""),
        ("learner", {"kind": "backprop"}, r"learner\.kind: should be 'denoising'"),
        ("learner", {"kind": "denoising", "loss": "cross-entropy"}, r"learner\.loss: .* cannot lower"),
        ("task", {"kind": "flip-flop"}, r"task\.kind: gives no noise to begin with"),
    ],
)
def test_what_it_cannot_serve_is_refused(part: str, changes: dict[str, Any], message: str) -> None:
    document = experiment("unet-diffusion").plain()
    base = {} if "kind" in changes else {"model": MODELS["unet-diffusion"], "task": TASKS["bumps"]}[part]
    document[part] = {**base, **changes}
    document["record"]["ledger"] = None
    if not message:
        validate(ExperimentSpec, document)
        return
    with pytest.raises(SpecError, match=message):
        validate(ExperimentSpec, document)


def test_guidance_needs_a_learner_that_leaves_the_condition_out() -> None:
    document = {**experiment("mlp-guided").plain(), "learner": {"kind": "denoising"}}
    with pytest.raises(SpecError, match=r"model\.guidance: of 2 needs .* learner\.dropout"):
        validate(ExperimentSpec, document)
