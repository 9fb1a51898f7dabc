"""How far CKA moves while the same can be read: known limits, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.analysis.geometry.reliability import discriminant
from zoo.analysis.measure import analyse
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories


def clouds(samples: int = 400, units: int = 12, classes: int = 6, seed: int = 0) -> Trajectories:
    """Classes around random centres, in one step."""
    rng = np.random.default_rng(seed)
    which = np.arange(samples) % classes
    centres = 1.5 * rng.normal(size=(classes, units))
    states = (centres[which] + rng.normal(size=(samples, units)))[:, None]
    latents = {"kind": torch.from_numpy(which), "size": torch.from_numpy(states.mean((1, 2)))}
    return replace(Trajectories.wrap(states, name="clouds"), latents=latents)


@pytest.fixture(scope="module")
def found():
    return analyse([clouds()], "cka-reliability", latent="kind").only


def test_subsets_go_to_the_limit_of_the_theorem(found) -> None:
    assert found.numbers["limit-error"] < 1e-5
    assert found["similarity"].shape == (20, 41)
    np.testing.assert_allclose(found["similarity"][:, 0], 1, atol=1e-4)
    assert found["similarity"][:, -1].max() < 0.2, "the mean of a random subset is near that of all"


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_the_comparator_goes_to_the_same_limit(share, comparator, wrap) -> None:
    """The formula written out, with subsets that differ in their means."""
    rng = np.random.default_rng(int(100 * share))
    x = rng.normal(size=(2000, 50)) * np.arange(1, 51.0) ** -0.5
    x = x - x.mean(0)
    chosen = np.argsort(x[:, 0] + rng.normal(size=2000))[: int(share * 2000)]
    mean = x[chosen].mean(0)
    values = np.linalg.svd(x, compute_uv=False) ** 2
    spread = values.sum() / np.sqrt((values**2).sum())
    expected = share / (1 - share) * mean @ mean / np.square(x).sum(1).mean() * spread
    moved = x.copy()
    moved[chosen] += 1e6 * np.eye(50)[7]
    assert np.cos(comparator("cka").distance(wrap(x[None]), wrap(moved[None]))) == pytest.approx(
        expected, abs=1e-4
    )


def test_what_can_be_read_stays_while_cka_does_not(found) -> None:
    numbers = found.numbers
    assert numbers["probe"] > 0.9
    assert numbers["probe-kept"] > 0.99
    assert numbers["translated"] < 0.6
    assert numbers["outlier"] < 0.1
    assert numbers["unrelated"] < 0.1
    assert numbers["shared-outlier"] > 0.999
    assert 0.05 < numbers["invertible"] < 0.95


def test_the_probe_against_scikit_learn() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    run = clouds(seed=3)
    samples, classes = run.states[:, 0], run.latents["kind"]
    expected = LinearDiscriminantAnalysis().fit(samples[:250], classes[:250]).predict(samples[250:])
    found = discriminant(samples[:250], classes[:250], samples[250:])
    np.testing.assert_array_equal(found, expected)
    assert (found == classes[250:]).double().mean() > 0.8


def test_moved_classes_are_read_to_the_last_sample() -> None:
    """Also where some directions hardly vary within classes, as of units that are nearly always silent."""
    run = clouds(seed=4)
    samples = run.states[:, 0] * torch.logspace(0, -5, 12, dtype=torch.float64)
    classes = run.latents["kind"]
    moved = samples + 100 * (classes[:, None] < 3) * torch.randn(12, dtype=torch.float64).sign()
    before, after = (discriminant(each[:250], classes[:250], each[250:]) for each in (samples, moved))
    right = classes[250:]
    assert int((after == right).sum()) >= int((before == right).sum())


def test_it_is_drawn(found, tmp_path) -> None:
    assert found.plot(tmp_path / "moved.png").stat().st_size > 3000


def test_the_same_seed_gives_the_same_and_another_not(found) -> None:
    again, other = (analyse([clouds()], "cka-reliability", latent="kind", seed=s).only for s in (0, 1))
    assert again.numbers == found.numbers
    assert other.numbers["outlier"] != found.numbers["outlier"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent": "nothing"}, "no latent 'nothing'"),
        ({"latent": "size"}, "is no class"),
        ({"latent": "kind", "where": {"kind": [0, 1, 2]}}, r"has 3 values of 'kind'.*4 of 5 are needed"),
        ({"latent": "kind", "folds": 100}, "rarest of 66 samples"),
    ],
)
def test_refused(fields, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        analyse([clouds()], "cka-reliability", **fields)


def test_dead_units_are_no_trouble() -> None:
    run = clouds()
    dead = replace(run, states=torch.nn.functional.pad(run.states, (0, 4)))
    numbers = analyse([dead], "cka-reliability", latent="kind").only.numbers
    assert numbers["limit-error"] < 1e-5
    assert numbers["probe-kept"] > 0.99
