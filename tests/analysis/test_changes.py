"""What training changed: ranks of changes that were made on purpose."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from examples import experiment

import zoo
from zoo.errors import AnalysisError
from zoo.network import Network, build


def changed(by: torch.Tensor) -> Network:
    network = build(experiment("linear", train={"precision": "64-true"}))
    weight: Any = network.model.weight
    with torch.no_grad():
        weight += by
    return network


def numbers(network: Network, **fields: Any) -> dict[str, float]:
    finding = zoo.analyse([network], "delta-rank", trials=2, **fields).only
    return dict(finding.numbers)


def test_rank_and_effective_rank_of_a_change() -> None:
    q = torch.linalg.qr(torch.randn(7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    found = numbers(changed(q[:, :2] @ torch.diag(torch.tensor([3.0, 1.0]).double()) @ q[:, 2:4].T))
    assert found["rank"] == 2
    assert found["norm"] == pytest.approx(math.sqrt(10))
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert found["effective"] == pytest.approx(math.exp(entropy))
    small = changed(q[:, :1] @ q[:, :1].T + 1e-6 * q[:, 1:2] @ q[:, 1:2].T)
    assert numbers(small)["rank"] == 2
    assert numbers(small, tolerance=1e-4)["rank"] == 1


def test_nothing_changed_has_no_rank_and_other_matrices_can_be_asked_for() -> None:
    network = changed(torch.zeros(7, 7).double())
    assert numbers(network) == {"rank": 0, "effective": 0, "norm": 0}
    assert numbers(network, parameter="output.weight")["rank"] == 0
    with pytest.raises(AnalysisError, match=r"no matrix 'wieght'\. Did you mean 'weight'.*weight_in"):
        numbers(network, parameter="wieght")
