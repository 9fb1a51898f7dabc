"""Weights as data: what no order of units changes, folds without relatives, predictions."""

from __future__ import annotations

import pytest
import torch

import zoo
from zoo.analysis.weights.equivariant import Predictor, fitted
from zoo.analysis.weights.prediction import Networks, folds, gathered, ridge, statistics_of
from zoo.errors import AnalysisError
from zoo.specs.analyses.weights import WeightPredictionSpec


def perceptrons(count: int, seed: int = 0) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    shapes = [(5, 4), (3, 5), (2, 3)]
    weights = [torch.randn(count, *shape, generator=draw) for shape in shapes]
    return weights, [torch.randn(count, shape[0], generator=draw) for shape in shapes]


def test_no_order_of_hidden_units_matters() -> None:
    torch.manual_seed(0)
    weights, biases = perceptrons(6)
    made = Predictor(3, 4, 2)
    first, second = torch.randperm(5), torch.randperm(3)
    turned = [weights[0][:, first], weights[1][:, second][:, :, first], weights[2][:, :, second]]
    moved = [biases[0][:, first], biases[1][:, second], biases[2]]
    torch.testing.assert_close(made(weights, biases), made(turned, moved), rtol=1e-5, atol=1e-6)
    broken = [weights[0][:, first], *weights[1:]]
    assert not torch.allclose(made(weights, biases), made(broken, biases)), "another network"


def test_it_learns_what_weights_tell_and_is_the_same_again() -> None:
    weights, biases = perceptrons(60)
    target = weights[1].square().mean((1, 2)) * 3 - 3
    options = {"channels": 6, "depth": 2, "epochs": 150, "rate": 1e-2, "seed": 1}
    one, again = (fitted(weights, biases, target, **options) for _ in range(2))  # type: ignore[arg-type]
    with torch.no_grad():
        said = one(weights, biases)
        assert torch.equal(said, again(weights, biases))
    assert (said - target).square().mean() < 0.3 * target.var()


def test_folds_have_no_relatives() -> None:
    population = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    ancestor = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1])  # populations share what they began with
    data = Networks([], [], torch.zeros(10), population, ancestor)
    seen = []
    for held, rest in folds(data, 2):
        assert not {*population[held].tolist()} & {*population[rest].tolist()}
        assert not {*ancestor[held].tolist()} & {*ancestor[rest].tolist()}
        seen += held.tolist()
    assert sorted(seen) == list(range(10)), "each is tested on once"
    with pytest.raises(AnalysisError, match="too few networks"):
        folds(Networks([], [], torch.zeros(2), torch.tensor([0, 1]), torch.tensor([0, 0])), 2)


def test_statistics_and_ridge_are_those_of_numpy() -> None:
    weights, biases = perceptrons(30)
    data = Networks(weights, biases, torch.zeros(30), torch.zeros(30), torch.zeros(30))
    found = statistics_of(data)
    assert found.shape == (30, 7 * 6)
    flat = weights[0].flatten(1)
    torch.testing.assert_close(found[:, 0], flat.mean(1))
    torch.testing.assert_close(found[:, 4], flat.median(1).values, rtol=0.5, atol=0.5)
    x = found[:, :3]
    torch.testing.assert_close(ridge(x, 2 * x[:, 1] + 1, x, 1e-9), 2 * x[:, 1] + 1, rtol=1e-3, atol=1e-3)


def test_of_published_networks() -> None:
    spec = WeightPredictionSpec(
        populations=("fa-digits", "pc-digits"), trials=60, epochs=2, channels=2, layers=1
    )
    data = gathered(spec)
    assert len(data.metric) == 8 * 6 + 5 * 3
    assert len(data.ancestor.unique()) == 8, "both began with the same weights"
    found = zoo.analyse(None, spec).only
    assert found.numbers["statistics/r2"] > 0.3 > found.numbers["equivariant/r2"]
    assert found["equivariant"].shape == (63,)


@pytest.mark.parametrize(
    ("populations", "words"),
    [
        (("fa-digits", "cka-digits-random"), "no snapshots from the beginning"),
        (("ep-digits", "fa-digits"), "is a settling"),
        (("fa-digits", "align-mlp-digits-narrow-bp"), "no snapshots|other widths"),
    ],
)
def test_what_cannot_be_predicted_from_is_refused(populations: tuple[str, ...], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        gathered(WeightPredictionSpec(populations=populations, trials=10))
    with pytest.raises(AnalysisError, match=r"no metric 'acuracy'.*Did you mean 'accuracy'"):
        gathered(WeightPredictionSpec(populations=("fa-digits", "pc-digits"), trials=10, metric="acuracy"))
