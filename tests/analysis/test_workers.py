"""Comparisons through engines: the same distances to the last bit, whatever happens to workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from analysis import mortal
from engine.dask_cluster import DaskCluster, children, wait_for
from examples import experiment
from torch import Tensor

from zoo.analysis import tiles as tiling
from zoo.analysis import work
from zoo.analysis.base import Features
from zoo.analysis.compare import compare
from zoo.analysis.dynamics import procrustes
from zoo.analysis.matrix import DistanceMatrix
from zoo.analysis.tiles import tiles
from zoo.engine.base import Engine
from zoo.engine.local import Local
from zoo.engine.opening import open_engine
from zoo.errors import AnalysisError, EngineError
from zoo.hub import Reference
from zoo.network import Network
from zoo.specs.analyses.geometry import CKASpec
from zoo.training.train import train

TESTS = Path(__file__).resolve().parents[1]
METRICS = [
    ("cka", {}),
    ("procrustes", {}),
    ("rsa", {}),
    ("cka", {"kernel": "rbf", "estimator": "unbiased"}),
    ("svcca", {"summary": "projection-weighted"}),
    ("unit-matching", {"matching": "soft"}),
    ("linear-predictivity", {}),
    ("dsa", {"delays": 2, "rank": 4}),
    ("dsa", {"delays": 2, "rank": 4, "score": "angular"}),
    ("dsa", {"delays": 2, "rank": 4, "score": "euclidean", "starts": 2}),
    ("fast-dsa", {"delays": 2, "rank": 3, "steps": 10}),
    ("kernel-dsa", {"delays": 2, "rank": 3}),
    ("input-dsa", {"delays": 2, "rank": 3}),
]


@pytest.fixture(scope="module")
def local() -> Iterator[Engine]:
    with Local(2) as engine:
        yield engine


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with DaskCluster(tmp_path_factory.mktemp("dask")) as made:
        for _ in range(2):
            made.worker()
        with open_engine(made.engine) as engine:
            yield engine


@pytest.fixture(params=["local", "dask"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(request.param)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "LEAST", 4)
    monkeypatch.setattr(procrustes, "LANDMARKS", 10)


@pytest.fixture
def mortals(rnn: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compares a few networks, of which one or two have other names, by a metric that obeys names."""
    verb = sys.modules["zoo.analysis.compare"]  # the attribute of this name is the function
    monkeypatch.setattr(verb, "comparator_of", lambda *_: mortal.Mortal(CKASpec()))
    monkeypatch.setattr(tiling, "LEAST", 3)

    def run(*names: str, count: int = 10, **options: Any) -> DistanceMatrix:
        called = [*names, *map(str, range(len(names), count))]
        return compare({name: rnn(seed) for seed, name in enumerate(called)}, **options)

    return run


@pytest.mark.parametrize(("kind", "fields"), METRICS)
def test_the_same_to_the_last_bit(local, small_tiles, rnn, driven, kind: str, fields: dict[str, Any]) -> None:
    items = {f"n{seed}": driven(rnn(seed, trials=4, steps=40, units=4)) for seed in range(14)}
    expected = compare(items, kind, cache=False, **fields)
    found = compare(items, kind, engine=local, **fields)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.details.keys() == expected.details.keys()
    for name, table in found.details.items():
        np.testing.assert_array_equal(table, expected.details[name])
    np.testing.assert_array_equal(compare(items, kind, **fields).values, found.values, "and kept")


@pytest.mark.parametrize(("kind", "fields"), METRICS)
def test_pairs_that_are_independent_do_not_mind_their_company(
    comparator, rnn, driven, kind: str, fields: dict[str, Any]
) -> None:
    metric = comparator(kind, **fields)
    found = [metric.features(driven(rnn(seed, trials=4, steps=40, units=4))) for seed in range(6)]
    alone = [metric.distance(found[0], other) for other in found[1:]]
    together = metric.matrix(found)[0, 1:]
    assert metric.independent == (fields.get("score") not in ("angular", "euclidean") or kind == "fast-dsa")
    if metric.independent:
        np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub with a population of twelve, hardly trained."""
    spec = experiment("elman", name="tiny-elman", population={"members": 12})
    made = train(spec, progress=False, folder=tmp_path_factory.mktemp("run"))
    folder = tmp_path_factory.mktemp("published")
    os.rename(made.path, folder / spec.name)
    return folder


def test_workers_run_what_is_published(engine, published, monkeypatch, rnn) -> None:
    monkeypatch.setenv("ZOO_HUBS", str(published))
    options = {"trials": 5, "delays": 2, "rank": 3}
    expected = compare(["tiny-elman/*", rnn(0)], cache=False, **options)
    with monkeypatch.context() as patch:
        patch.setattr(Network, "trajectories", lambda *_, **__: pytest.fail("was run here"))
        found = compare(["tiny-elman/*", rnn(0)], engine=engine, **options)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.origins == expected.origins
        patch.setattr(type(engine), "submit", lambda *_: pytest.fail("was sent to a worker"))
        again = compare(["tiny-elman/*", rnn(0)], engine=engine, **options)
        np.testing.assert_array_equal(again.values, expected.values)
    monkeypatch.chdir(published)
    by_path = compare(["./tiny-elman/0", "tiny-elman/3"], engine=engine, cache=False, **options)
    assert by_path.values[0, 1] == expected.values[0, 3]


def test_a_worker_that_sees_another_network_says_so(published, comparator, monkeypatch) -> None:
    metric = comparator("cka")
    for path, digest in ((published / "tiny-elman", "0" * 64), (published / "absent", "0" * 64)):
        source = "a", (Reference(path.name, path=path), digest)
        packed = work.Packed(lambda source=source: ({}, metric, [source])).__reduce__()[1][0]
        with pytest.raises(EngineError, match=r"does not find what its driver finds under .*Set ZOO_HOME"):
            work.features(packed)


# What happens to workers ------------------------------------------------------------------------


def test_a_worker_that_dies_in_the_middle_costs_nothing(engine, mortals, tmp_path) -> None:
    expected = mortals(cache=False)
    found = mortals(f"dies-once {tmp_path / 'deaths'}", cache=False, engine=engine)
    np.testing.assert_array_equal(found.values, expected.values)
    assert len((tmp_path / "deaths").read_text().split()) > 1


def test_tiles_are_halved_where_memory_lacks(local, mortals, tmp_path) -> None:
    found = mortals(f"hungry {tmp_path / 'tried'}", cache=False, engine=local)
    np.testing.assert_array_equal(found.values, mortals(cache=False).values)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("fails", "1"), AnalysisError, r"'fails' and '\d' cannot be compared: ValueError: an odd number\. "),
        (("1", "refuses"), AnalysisError, r"^this is no network\. Give another\."),
        (("unfit",), AnalysisError, r"^'unfit' cannot be compared: OSError: no such thing\. "),
        (("greedy",), EngineError, r"local:2 cannot serve 'greedy' and '\d': MemoryError: .* more memory"),
    ],
)
def test_what_cannot_be_done_is_named(local, mortals, names, error, message: str) -> None:
    with pytest.raises(error, match=message):
        mortals(*names, cache=False, engine=local)


def test_a_pair_that_kills_every_worker_is_named(local, mortals) -> None:
    with pytest.raises(EngineError, match=r"cannot serve 'dies' and '1': WorkerLost: .*\(tried 3 times\)"):
        mortals("dies", count=2, cache=False, engine=local)


DRIVER = """
import sys
import numpy as np
import zoo.analysis
from analysis.mortal import Mortal
from zoo.analysis import tiles
from zoo.specs.analyses.geometry import CKASpec
module = sys.modules["zoo.analysis.compare"]
module.comparator_of = lambda *_: Mortal(CKASpec())
tiles.LEAST = 3
if __name__ == "__main__":
    items = {name: np.arange(12.0).reshape(1, 4, 3) ** k for k, name in enumerate(sys.argv[2:], 1)}
    module.compare(items, engine="local:1")
"""


def test_interrupted_no_worker_is_left_and_what_was_found_is_kept(tmp_path, zoo_home, monkeypatch) -> None:
    """The slow network is not in the first tile, which is the largest."""
    script, begun = tmp_path / "driver.py", tmp_path / "begun"
    script.write_text(DRIVER)
    names = [*map(str, range(6)), f"slow-once {begun}"]
    command = [sys.executable, str(script), str(tmp_path), *names]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(begun.exists, 180)
        below = children(driver.pid)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(timeout=60) != 0
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not any(each.is_running() and each.status() != "zombie" for each in below))
    assert list((zoo_home / "cache").rglob("pairs.safetensors"))
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr


# Tiles ------------------------------------------------------------------------------------------


def networks(count: int, numbers: int = 1) -> list[Features]:
    return [Features({"x": torch.zeros(numbers, dtype=torch.float64)}) for _ in range(count)]


@pytest.mark.parametrize("count", [2, 16, 17, 40, 300])
def test_tiles_hold_every_pair_once_and_few_networks(count: int) -> None:
    pairs = torch.triu_indices(count, count, 1).T
    found = tiles(networks(count), pairs)
    assert torch.cat(found).sort().values.equal(torch.arange(len(pairs)))
    side = max(16, count // 12)
    assert all(len(rows) <= side**2 and len(pairs[rows].unique()) <= 4 * side for rows in found)
    assert len(found) <= 100
    assert [len(rows) for rows in found[:3]] == sorted((len(rows) for rows in found[:3]), reverse=True)


def test_a_new_row_is_few_tiles() -> None:
    pairs = torch.stack([torch.arange(299), torch.full((299,), 299)], 1)
    assert len(tiles(networks(300), pairs)) == 4


def test_tiles_of_large_networks_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "MEMORY", 8000 * 8)
    pairs: Tensor = torch.triu_indices(30, 30, 1).T
    for rows in tiles(networks(30, 1000), pairs):
        assert len(pairs[rows].unique()) <= 8
