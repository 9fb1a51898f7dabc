"""Operations against what they are by hand."""

from __future__ import annotations

import pytest
import torch
from examples import experiment

from zoo.errors import DerivationError
from zoo.models.symmetry import permuted
from zoo.network import Network, build
from zoo.operations.arithmetic import Interpolate, TaskArithmetic
from zoo.operations.matching import match, product
from zoo.operations.merging import Merge
from zoo.operations.pruning import Prune
from zoo.operations.resetting import Reset
from zoo.specs.operations.arithmetic import InterpolateSpec, TaskArithmeticSpec
from zoo.specs.operations.merging import MergeSpec
from zoo.specs.operations.pruning import PruneSpec
from zoo.specs.operations.resetting import ResetSpec

DIGITS = {"kind": "mlp", "hidden": [12, 9], "norm": "layer"}


def network(model: str = "mlp", seed: int = 0, **fields: object) -> Network:
    task = "digits" if model == "mlp" else "flip-flop"
    found = experiment(model, task, "backprop", train={"seed": seed})
    return build(found.updated(model=found.model.updated(**fields)) if fields else found)


def with_weights(like: Network, weights: dict[str, torch.Tensor]) -> Network:
    made = build(like.experiment)
    made.model.load_state_dict({**made.model.state_dict(), **weights})
    return made


def test_the_smallest_weights_of_the_network_go() -> None:
    parent = network("rate")
    found = Prune(PruneSpec(fraction=0.4)).apply([parent])
    state = parent.model.state_dict()
    assert set(found) == {"weight_in", "weight", "output.weight"}
    kept = torch.cat([state[n][found[n] != 0].abs() for n in found])
    gone = torch.cat([state[n][found[n] == 0].abs() for n in found])
    assert len(gone) == int(0.4 * (len(gone) + len(kept)))
    assert gone.max() <= kept.min()
    each = Prune(PruneSpec(fraction=0.4, among="matrix")).apply([parent])
    assert all(int((v == 0).sum()) == int(0.4 * v.numel()) for v in each.values())


def test_arithmetic_is_that_of_vectors() -> None:
    base, one, other = (network("rate", seed) for seed in range(3))
    a, b, c = (each.model.state_dict()["weight"].double() for each in (base, one, other))
    added = TaskArithmetic(TaskArithmeticSpec(scales=(0.5, -2.0))).apply([base, one, other])["weight"]
    torch.testing.assert_close(added.double(), a + 0.5 * (b - a) - 2 * (c - a), rtol=1e-6, atol=1e-6)
    mean = Interpolate(InterpolateSpec()).apply([base, one, other])["weight"]
    torch.testing.assert_close(mean.double(), (a + b + c) / 3, rtol=1e-6, atol=1e-7)
    assert torch.equal(Interpolate(InterpolateSpec(weights=(0, 1))).apply([base, one])["weight"], b.float())


def test_layers_go_back_to_how_they_began() -> None:
    trained = with_weights(network(), {n: v + 1 for n, v in network().model.state_dict().items()})
    began = network().model.state_dict()
    found = Reset(ResetSpec(layers=("layers.0", "*.bias"))).apply([trained])
    assert set(found) == {"layers.0.weight", *(n for n in began if n.endswith(".bias"))}
    assert all(torch.equal(found[n], began[n]) for n in found)
    drawn = Reset(ResetSpec(layers=("layers.0.weight",), seed=7)).apply([trained])
    assert torch.equal(drawn["layers.0.weight"], network(seed=7).model.state_dict()["layers.0.weight"])
    other = network(seed=5)
    assert torch.equal(
        Reset(ResetSpec(layers=("output",))).apply([trained, other])["output.weight"],
        other.model.state_dict()["output.weight"],
    )
    with pytest.raises(DerivationError, match=r"no layer 'layer\.0'.*Did you mean"):
        Reset(ResetSpec(layers=("layer.0",))).apply([trained])


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("mlp", {"hidden": (12, 9)}),
        ("mlp", {"hidden": (12, 9), "norm": "layer", "bias": False}),
        ("mlp", {"hidden": (12, 9), "norm": "batch", "parametrisation": "ntk"}),
        ("elman", {}),
        ("rate", {}),
        ("linear", {}),
    ],
)
def test_units_that_change_places_change_nothing_and_are_put_back(model: str, fields: dict) -> None:  # type: ignore[type-arg]
    first = network(model, **fields)
    units, state = first.model.symmetries(), dict(first.model.state_dict())
    assert [group.count for group in units] == ([12, 9] if model == "mlp" else [7])
    orders = [torch.randperm(group.count, generator=torch.Generator().manual_seed(1)) for group in units]
    turned = with_weights(first, permuted(state, units, orders))
    x = first.batch("test", 0, 0, 6).x
    torch.testing.assert_close(first(x).y, turned(x).y, rtol=1e-4, atol=1e-5)
    assert not torch.equal(
        first.model.state_dict()[units[0].axes[0][0]], turned.model.state_dict()[units[0].axes[0][0]]
    )
    merged = Merge(MergeSpec()).apply([first, turned])
    for name, value in merged.items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=1e-7)


def test_matching_never_loses_and_comes_near_the_best_order_of_few_units() -> None:
    """Against all orders of a recurrent layer of five units, which is no linear assignment."""
    from itertools import permutations

    shares = []
    for seed in range(6):
        one, other = (network("rate", 2 * seed + k, hidden=5) for k in (0, 1))
        a, b = ({n: v.double() for n, v in each.model.state_dict().items()} for each in (one, other))
        units = one.model.symmetries()
        order = match(a, b, units, 50, 0)
        reached = product(a, permuted(b, units, order))
        every = [product(a, permuted(b, units, [torch.tensor(p)])) for p in permutations(range(5))]
        assert product(a, b) - 1e-9 <= reached <= max(every) + 1e-9
        shares.append((reached - product(a, b)) / (max(every) - product(a, b)))
    assert sum(shares) / len(shares) > 0.5, "a local search, of networks that have nothing in common"


def test_what_cannot_be_merged_is_told_what_can() -> None:
    for model in ("gru", "rate-dale", "lowrank"):
        with pytest.raises(DerivationError, match=r"mlp and, without constraints, elman, rate"):
            Merge(MergeSpec()).apply([network(model, 0), network(model, 0)])
    fixed = experiment("rate", "flip-flop", "backprop")
    held = fixed.updated(model=fixed.model.updated(constraints={"fixed": ("input",)}))
    with pytest.raises(DerivationError, match=r"weight_in .* is not learned"):
        Merge(MergeSpec()).apply([build(held), build(held)])
