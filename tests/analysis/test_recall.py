"""How much associative memories hold."""

from __future__ import annotations

from typing import Any

import matplotlib.figure
import pytest
import torch
from examples import experiment

from zoo.analysis.dynamics.recall import crossing
from zoo.analysis.measure import analyse, measure
from zoo.errors import AnalysisError
from zoo.network import Network, build


def network(model: str, **changes: Any) -> Network:
    return build(experiment(model, **changes))


def test_crossings_lie_between_loads() -> None:
    loads = torch.tensor([0.1, 0.2, 0.4])
    overlap = torch.tensor([[1.0, 0.5, 1.0], [0.95, 0.4, 1.0], [0.85, 0.3, 0.99]])
    torch.testing.assert_close(crossing(loads, overlap, 0.9), torch.tensor([0.3, 0.0, 0.4]))


def test_hebb_breaks_down_and_the_pseudo_inverse_does_not() -> None:
    loads = (0.05, 0.1, 0.15, 0.2, 0.3, 0.9)
    hopfield, inverse = (
        measure([network(name)], "recall", units=(120,), loads=loads, draws=3)
        for name in ("hopfield", "hopfield-sequential")
    )
    (hebb,), (exact,) = hopfield.values(), inverse.values()
    assert 0.1 < hebb["capacity"] < 0.2
    assert hebb["overlap/0.05"] > 0.99
    assert hebb["overlap/0.3"] < 0.7
    assert exact["overlap/0.9"] == pytest.approx(1)


def test_its_figure_has_every_size() -> None:
    found = analyse([network("dense-memory")], "recall", units=(16, 24), power=2, loads=(0.02, 0.2), draws=2)
    (finding,) = found.values()
    assert finding["overlap"].shape == (2, 2, 2)
    figure = finding.figure()
    assert isinstance(figure, matplotlib.figure.Figure)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["16 units", "24 units"]


def test_the_size_of_a_code() -> None:
    (found,) = measure([network("expander-memory")], "code-size").values()
    assert found["bits"] + found["rank"] == 24
    assert found["bits"] >= 24 * (1 - 3 / 4)
    assert found["hidden"] == 18 * 8


@pytest.mark.parametrize(
    ("model", "kind", "changes", "said"),
    [
        ("elman", "recall", {}, "is no associative memory with a rule"),
        ("hopfield-sequential", "recall", {"loads": (0.5, 1.2)}, "up to 1"),
        ("hopfield", "recall", {"loads": (0.5, 0.2)}, "should ascend"),
        ("hopfield", "recall", {"power": 6, "loads": (0.5, 0.7)}, "too many to hold at once"),
        ("hopfield", "code-size", {}, "is of the model 'expander-memory'"),
    ],
)
def test_what_cannot_be_measured_is_refused(model: str, kind: str, changes: Any, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        measure([network(model)], kind, **changes)
