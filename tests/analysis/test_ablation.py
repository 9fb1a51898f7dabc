"""Ablation where it is known which components matter, and the attack on maps of CKA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from examples import experiment

import zoo
from zoo.analysis.geometry.attack import _answers_and_map, _log_cosh
from zoo.errors import AnalysisError, SpecError
from zoo.models.feedforward import MLP
from zoo.network import Network, build


def shown(copies: float) -> Network:
    """A perceptron whose hidden units are the pixels, and mixtures of these which are louder and are read by
    nothing."""
    model = {"kind": "mlp", "hidden": [128], "nonlinearity": "relu"}
    network = build(experiment(task="digits").updated(model=model)).eval()
    with torch.no_grad():
        tensors = dict(network.model.named_parameters())
        first, bias, last, _ = tensors.values()
        mixed = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).abs()
        first.copy_(torch.cat([torch.eye(64), copies * mixed]))
        bias.zero_()
        last[:, 64:] = 0
    return network


def test_what_is_loud_and_not_read_can_go(tmp_path: Path) -> None:
    network = shown(copies=30.0)
    found = zoo.analyse([network], "spectral-ablation", trials=100, counts=[0, 3, 128], metric="loss").only
    numbers = found.numbers
    assert numbers["kept-128"] == pytest.approx(numbers["whole"], rel=1e-4)
    assert numbers["removed-0"] == pytest.approx(numbers["whole"], rel=1e-4)
    assert numbers["kept-0"] == pytest.approx(numbers["removed-128"], rel=1e-4)
    assert abs(numbers["kept-0"] - numbers["whole"]) > 1e-4
    assert found["variance"][1] > 0.5  # of the loud half
    assert found.plot(tmp_path / "ablation.png").stat().st_size > 4_000
    assert network.measure("test", 100)["loss"].mean().item() == pytest.approx(numbers["whole"], rel=1e-6)


def test_a_flip_flop_needs_three_components() -> None:
    found = zoo.analyse(
        "dsa-gru-flipflop/0", "spectral-ablation", trials=16, counts=[1, 2, 3, 10]
    ).only.numbers
    assert found["kept-2"] < found["whole"] - 0.05
    assert found["kept-10"] > found["kept-2"]
    assert found["removed-3"] < 0.8


def test_bad_input_of_ablation() -> None:
    network = shown(1.0)
    for parameters, said in (
        ({"metric": "accurcy"}, "no metric 'accurcy'. Did you mean 'accuracy'"),
        ({"counts": [500]}, "has 128 units, fewer than"),
        ({"site": "output"}, "not at its output"),
        ({"observe": {"noise": 0.1}}, "leave out 'observe'"),
    ):
        with pytest.raises(AnalysisError, match=said):
            zoo.analyse([network], "spectral-ablation", trials=8, **parameters)
    with pytest.raises(SpecError, match="counts: should ascend"):
        zoo.analyse([network], "spectral-ablation", counts=[3, 1])


# The attack -------------------------------------------------------------------------------------------


def test_the_map_is_that_of_the_comparator() -> None:
    model = {"kind": "mlp", "hidden": [20, 16, 12]}
    network = build(experiment(task="digits").updated(model=model)).eval()
    assert isinstance(network.model, MLP)
    x = network.batch("test", 0, 0, 60).x
    found = _answers_and_map(network.model, x)[1].detach()
    states = {site: network.trajectories(60, site=site).states for site in network.model.hidden}
    peer = zoo.compare({site: value.numpy() for site, value in states.items()}, metric="cka").values
    np.testing.assert_allclose(found.numpy(), np.cos(peer), atol=1e-6)


def test_log_cosh_far_and_near() -> None:
    x = torch.tensor([0.0, 1e-4, 0.5, -2.0, 900.0], dtype=torch.float64)
    expected = torch.cat([torch.cosh(x[:4]).log(), torch.tensor([900 - np.log(2)])])
    torch.testing.assert_close(_log_cosh(x), expected, atol=1e-12, rtol=1e-9)


def test_the_map_moves_towards_its_target_and_the_network_stays_as_it_is(tmp_path: Path) -> None:
    name = "cka-digits-generalized/0"
    found = zoo.analyse(name, "cka-map-attack", steps=40, batch_size=128, trials=200, cache=False).only
    numbers = found.numbers
    assert numbers["gap"] < numbers["gap-before"] - 0.02
    assert numbers["drop"] == pytest.approx(numbers["accuracy-before"] - numbers["accuracy"])
    assert found["target"][0].tolist() == pytest.approx([1, 0.3, 0.9, 0.3])
    assert found["course"].shape == (40, 2)
    np.testing.assert_allclose(np.diag(found["after"]), 1, atol=1e-9)
    assert found.plot(tmp_path / "attack.png").stat().st_size > 5_000
    untouched = zoo.load(name).measure("test", 200)["accuracy"].mean().item()
    assert untouched == pytest.approx(numbers["accuracy-before"])


def test_the_attack_needs_layers() -> None:
    with pytest.raises(AnalysisError, match="two hidden layers or more"):
        zoo.analyse([build(experiment()).eval()], "cka-map-attack", trials=8)
