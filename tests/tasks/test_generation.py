"""Tasks of generation: what their metrics tell apart, regions, and noise in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from zoo.specs.tasks.generation import BumpsSpec, MixtureSpec
from zoo.tasks.base import Batch
from zoo.tasks.generation import Bumps, Mixture, bumps, modes, parts, region


@pytest.mark.parametrize("density", [0.2, 0.45, 0.6])
def test_connected_parts_are_those_of_scipy(density: float) -> None:
    masks = torch.rand(40, 9, 9, generator=torch.Generator().manual_seed(3)) < density
    bright, label = parts(masks)
    for mask, found in zip(bright.numpy(), label.numpy(), strict=True):
        expected, count = ndimage.label(mask, np.ones((3, 3)))
        assert len(np.unique(found[mask])) == count
        pairs = {*zip(expected[mask], found[mask], strict=True)}
        assert len(pairs) == count, "the same parts, by other numbers"


def test_edges_are_one_where_it_is_periodic() -> None:
    mask = torch.zeros(1, 5, 5, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 4, 4] = True
    for periodic, count in ((False, 2), (True, 1)):
        _, label = parts(mask, periodic)
        assert len(label[mask].unique()) == count


def judged(image: torch.Tensor, place: list[float], **fields: Any) -> dict[str, float]:
    spec = BumpsSpec(size=16, steps=1, **fields)
    x = torch.zeros(1, 1, spec.inputs)
    x[0, 0, :2] = torch.tensor(place)
    batch = Batch(x, x, torch.ones(1, 1), torch.zeros(1), {})
    found = Bumps(spec).metrics(image.reshape(1, 1, -1), batch)
    return {name: float(value) for name, value in found.items()}


def bump(*place: float, **fields: Any) -> torch.Tensor:
    return bumps(BumpsSpec(size=16, **fields), torch.tensor(place))


def test_a_bump_is_where_its_formula_says() -> None:
    image = bump(3.0, 7.0, width=(1.0, 2.0))
    assert image.shape == (16, 16)
    assert image[7, 3] == 1
    assert float(image[9, 3]) == pytest.approx(2 * np.exp(-0.5) - 1)
    assert float(image[7, 5]) == pytest.approx(2 * np.exp(-2.0) - 1)
    assert float(bump(0.0, 7.0, periodic=True)[7, 15]) == pytest.approx(2 * np.exp(-0.5) - 1)


def test_every_failure_is_told_apart() -> None:
    one = {"accuracy": 1, "x_accuracy": 1, "y_accuracy": 1, "single": 1, "bumps": 1}
    assert judged(bump(4.0, 9.0), [4, 9]) == one
    assert judged(bump(0.0, 15.0), [0, 15]) == one, "in a corner"
    assert judged(bump(4.8, 9.0), [4, 9]) == one, "within a pixel"
    wrong = judged(bump(6.0, 9.0), [4, 9])
    assert wrong == {**one, "accuracy": 0, "x_accuracy": 0}
    two = judged(torch.maximum(bump(4.0, 9.0), bump(11.0, 3.0)), [4, 9])
    assert two == dict.fromkeys(one, 0) | {"bumps": 2}
    nothing = dict.fromkeys(one, 0)
    assert judged(-torch.ones(16, 16), [4, 9]) == nothing
    assert judged(torch.ones(16, 16), [7, 7]) == nothing, "a blob in the right place is no bump"
    assert judged(-bump(4.0, 9.0), [4, 9]) == nothing


def test_a_bump_across_the_edge_of_a_torus() -> None:
    image = bump(15.6, 0.2, periodic=True)
    found = judged(image, [0.0, 15.8], periodic=True)
    assert found["accuracy"] == 1
    assert judged(image, [2.0, 0.0], periodic=True)["x_accuracy"] == 0


def test_regions_split_the_lattice() -> None:
    spec = BumpsSpec(size=8, hole=(2, 4), spacing=(1.0, 0.5))
    every = region(spec)
    assert len(every) == 8 * 15
    counts = {}
    for name in ("seen", "hole", "x-arm", "y-arm"):
        found = region(spec.updated(region=name))
        x, y = ((found >= 2) & (found <= 4)).unbind(1)
        expected = {"seen": ~(x & y), "hole": x & y, "x-arm": x & ~y, "y-arm": y & ~x}[name]
        assert expected.all()
        counts[name] = len(found)
    assert counts["seen"] + counts["hole"] == len(every)
    assert counts["hole"] == 3 * 5


def test_a_split_draws_its_region() -> None:
    task = Bumps(BumpsSpec(size=8, hole=(2, 4), region="seen", splits={"hole": {"region": "hole"}}))
    seen, held = task.batch("train", 0, 0, 200), task.batch("hole", 0, 0, 200)
    place = torch.stack([held.latents["x"], held.latents["y"]], 1)
    assert ((place >= 2) & (place <= 4)).all()
    places = {tuple(each) for each in torch.stack([*seen.latents.values()], 1).tolist()}
    assert not places & {tuple(each) for each in place.tolist()}
    between = Bumps(BumpsSpec(size=8, between=True)).batch("train", 0, 0, 200).latents["x"]
    assert (between != between.round()).any()
    assert ((between >= 0) & (between <= 7)).all()


def test_noise_begins_a_trial() -> None:
    start = Bumps(BumpsSpec(size=4, steps=3)).batch("train", 0, 0, 50)
    assert (start.x[:, 1:, 2:] == 0).all()
    assert start.x[:, 0, 2:].std() == pytest.approx(1, abs=0.1)
    assert (start.x[:, :, 0] == start.latents["x"][:, None]).all()
    every = Bumps(BumpsSpec(size=4, steps=3, noise="every")).batch("train", 0, 0, 50)
    assert every.x[:, 2, 2:].std() == pytest.approx(1, abs=0.1)


def test_noise_of_a_mixture_is_its_score() -> None:
    """E[ε | x] = -√(1-ᾱ) ∇ log p(x), here with the gradient of the logarithm of the density itself."""
    spec = MixtureSpec(classes=3, modes=2, deviation=0.3)
    kept, condition = torch.tensor([0.9, 0.4, 0.01]).double(), torch.eye(3).double()
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    total = x.new_zeros(())
    for k in range(3):
        centres = modes(spec).double()[k::3] * kept[k].sqrt()
        variance = kept[k] * 0.3**2 + 1 - kept[k]
        total = total + torch.logsumexp(-(x[k] - centres).square().sum(1) / (2 * variance), 0)
    (score,) = torch.autograd.grad(total, x)
    found = Mixture(spec).noise(x.detach(), kept, condition)
    torch.testing.assert_close(found, -(1 - kept).sqrt()[:, None] * score)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"region": "hole"}, "region: of 'hole' needs a 'hole'"),
        ({"hole": (9, 6)}, "hole: should ascend"),
        ({"hole": (40, 50)}, "hole: holds none of the places of an axis, 0 to 31"),
        ({"hole": (0, 31)}, "hole: holds all"),
    ],
)
def test_regions_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BumpsSpec(**fields)
