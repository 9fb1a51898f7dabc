"""Recordings and the networks that they were made of."""

from __future__ import annotations

import json

import numpy as np
import pytest

from zoo.analysis import compare, identify
from zoo.errors import AnalysisError, SpecError


@pytest.fixture(scope="module")
def nets(rnn) -> dict[str, np.ndarray]:
    """Two families: of weak and of strong weights."""
    gains = {"weak": 0.8, "strong": 2.5}
    return {f"{name}-{k}": rnn(10 * k + 1, gain=gain) for name, gain in gains.items() for k in range(4)}


@pytest.fixture(scope="module")
def recorded(nets) -> dict[str, np.ndarray]:
    """A few mixtures of the units of each, with noise."""
    rng = np.random.default_rng(0)
    mixed = {name: states @ rng.normal(size=(8, 8)) for name, states in nets.items()}
    return {name: x + 0.05 * x.std() * rng.normal(size=x.shape) for name, x in mixed.items()}


def test_the_network_of_each_recording_is_found(nets, recorded) -> None:
    labels = {"weak": "weak-*", "strong": "strong-*"}
    found = identify(recorded, nets, "cca", labels=labels)
    assert found.recordings == found.candidates == found.truths == tuple(nets)
    assert found.accuracy == found.label_accuracy == 1
    assert found.chance == 1 / 8
    assert (found.ranks == 1).all()
    names, counts = found.confusion()
    assert names == ("weak", "strong")
    np.testing.assert_array_equal(counts, 4 * np.eye(2))
    expected = compare({"recording": recorded["weak-2"], "network": nets["strong-1"]}, "cca").values[0, 1]
    assert found.distances[2, 5] == pytest.approx(expected, abs=1e-9)


def test_what_is_lost_in_noise_is_not_found(nets) -> None:
    lost = identify(nets, nets, "cka", record={"observe": {"noise": 1e5}})
    assert lost.accuracy <= 0.5
    assert lost.confusion()[1].sum() == 8
    assert lost.ranks.max() > 1


@pytest.mark.parametrize("metric", ["dsa", "rsa", "procrustes", "linear-predictivity"])
def test_by_any_comparator_and_through_observations(nets, metric) -> None:
    fields = {"delays": 3, "rank": 8} if metric == "dsa" else {}
    seen = {"observe": {"noise": 0.01, "units": 8}}
    found = identify(nets, nets, metric, record=seen, **fields)
    assert found.distances.shape == (8, 8)
    assert found.accuracy == 1
    assert found.spec.observe.noise == 0, "candidates are as they are"


def test_truths_by_name_and_in_order(nets, recorded) -> None:
    two = {"monday": recorded["weak-1"], "tuesday": recorded["strong-0"]}
    unknown = identify(two, nets, "cca")
    assert unknown.guesses == ("weak-1", "strong-0")
    with pytest.raises(AnalysisError, match="not known which networks"):
        _ = unknown.accuracy
    assert "accuracy" not in unknown.plain()
    assert identify(two, nets, "cca", truths=["weak-1", "weak-2"]).accuracy == 0.5
    partly = identify(two, nets, "cca", truths={"tuesday": "strong-0"})
    assert partly.truths == (None, "strong-0")
    assert partly.accuracy == 1


def test_it_is_shown_and_kept(nets, recorded, tmp_path) -> None:
    found = identify(recorded, nets, "cca", labels=["weak"] * 4 + ["strong"] * 4)
    assert found.plot(tmp_path / "confusion.png").stat().st_size > 3000
    assert found.table().row_count == 8
    kept = json.loads(found.to_json(tmp_path / "found.json").read_text())
    assert kept["accuracy"] == 1
    assert kept["confusion"]["counts"] == [[4, 0], [0, 4]]


def test_refused(nets, recorded) -> None:
    with pytest.raises(
        AnalysisError, match=r"'weak-9', which is none of the candidates\. Did you mean 'weak-"
    ):
        identify(recorded["weak-0"], nets, "cca", truths=["weak-9"])
    with pytest.raises(AnalysisError, match="8 recordings; give a list of one truth each"):
        identify(recorded, nets, "cca", truths=["weak-1"])
    with pytest.raises(
        AnalysisError, match=r"given for 'weak-11', which is none of the recordings\. Did you mean"
    ):
        identify(recorded, nets, "cca", truths={"weak-11": "weak-1"})
    with pytest.raises(SpecError, match="observ"):
        identify(recorded, nets, "cca", record={"observed": {}})
    with pytest.raises(AnalysisError, match="at least two networks"):
        identify(recorded, {"one": nets["weak-0"]}, "cca")
    with pytest.raises(AnalysisError, match="same trials"):
        identify(recorded["weak-0"][:5], nets, "cca")


def test_published_networks_are_not_compared_with_themselves() -> None:
    names = ["dsa-rnn-flipflop/0", "dsa-rnn-flipflop/1"]
    with pytest.raises(AnalysisError, match="compared with itself as it is"):
        identify(names, names, "cka", trials=4)
    found = identify(names, names, "cka", trials=4, record={"observe": {"noise": 0.1}})
    assert found.accuracy == 1
    assert found.labels == ("dsa-rnn-flipflop",) * 2


def test_the_nearest_other_network_has_the_same_label(nets) -> None:
    labels = ["weak"] * 4 + ["strong"] * 4
    matrix = compare(nets, "dsa", labels=labels, delays=3, rank=8)
    others = matrix.values + np.diag(np.full(8, np.inf))
    expected = np.mean([labels[k] == label for k, label in zip(others.argmin(1), labels, strict=True)])
    assert matrix.statistics()["nearest"] == expected > 0.5
