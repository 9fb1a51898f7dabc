"""The verb: what it takes, what it refuses, what it keeps."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment
from safetensors.torch import load_file, save_file

from zoo.analysis import compare
from zoo.analysis.base import Comparator
from zoo.errors import AnalysisError, MissingDependencyError, RegistryError, SpecError, UnknownNameError
from zoo.hub import Reference, load
from zoo.models.trajectories import Trajectories
from zoo.network import Network, build
from zoo.specs.analyses.dynamics import DSASpec
from zoo.specs.analyses.geometry import ProcrustesSpec
from zoo.training.train import train

FAST: dict[str, Any] = {"delays": 3, "rank": 4}


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """A directory with a population of two and a single network, hardly trained."""
    folder = tmp_path_factory.mktemp("published")
    base = {"name": "tiny-elman", "population": {"members": 2}}
    for spec in (experiment("elman", **base), experiment("gru", name="tiny-gru")):
        made = train(spec, progress=False, folder=tmp_path_factory.mktemp("run"))
        os.rename(made.path, folder / spec.name)
    return folder


@pytest.fixture
def published(hub, monkeypatch) -> Path:
    monkeypatch.setenv("ZOO_HUBS", str(hub))
    return hub


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What had its features computed."""
    made: list[str] = []
    original = Comparator.features

    def counted(self: Any, trajectories: Trajectories) -> Any:
        made.append(trajectories.name)
        return original(self, trajectories)

    monkeypatch.setattr(Comparator, "features", counted)
    return made


def test_names_globs_references_and_folders(published) -> None:
    found = compare(["tiny-elman/*", "tiny-gru"], trials=5, **FAST)
    assert found.names == ("tiny-elman/0", "tiny-elman/1", "tiny-gru")
    assert found.labels == ("tiny-elman", "tiny-elman", "tiny-gru")
    assert found.spec == DSASpec(trials=5, **FAST)
    assert len(set(found.origins)) == 3
    assert all(found.origins)
    again = compare(
        [Reference("tiny-elman", member=0), load("tiny-elman/1"), published / "tiny-gru"], found.spec
    )
    np.testing.assert_array_equal(again.values, found.values)
    assert again.labels[:2] == ("tiny-elman", "tiny-elman")
    assert compare("tiny-*/*", "procrustes", trials=5).names == ("tiny-elman/0", "tiny-elman/1", "tiny-gru")
    with pytest.raises(UnknownNameError, match="no-such"):
        compare(["no-such*", "tiny-gru"])


def test_all_networks_see_the_same_trials(published) -> None:
    names = ["tiny-elman/0", "tiny-gru"]
    wanted = {"trials": 6, "seed": 3, "split": "train", "site": "output"}
    found = compare(names, "cka", **wanted)
    by_hand = [load(name).trajectories(**wanted) for name in names]
    np.testing.assert_array_equal(compare(by_hand, "cka").values, found.values)
    assert compare(names, "cka", **wanted | {"seed": 4}).values[0, 1] != found.values[0, 1]


def test_a_site_that_is_not_there(published) -> None:
    with pytest.raises(AnalysisError, match=r"no site 'hidden'.*input, h, output"):
        compare("tiny-*/*", site="hidden")


def test_untrained_networks(rnn) -> None:
    a = build(experiment("elman", name="first"))
    b = build(experiment("lstm", name="second"))
    assert compare([a, b], "cka", trials=4).names == ("first", "second")
    with pytest.raises(AnalysisError, match=r"'first' would be .* more than once.*dict"):
        compare([a, a])
    assert compare({"one": a, "other": a}, "cka", trials=4).values[0, 1] < 1e-7


def test_arrays_tensors_and_trajectories(rnn) -> None:
    arrays = [rnn(0), torch.from_numpy(rnn(1)).float(), Trajectories.wrap(rnn(2), name="mine"), rnn(3)[0]]
    found = compare(arrays, **FAST)
    assert found.names == ("array-1", "array-2", "mine", "array-4")
    assert found.labels == found.names
    assert (found.values[np.triu_indices(4, 1)] > 0).all()
    named = compare(dict(zip("abcd", arrays, strict=True)), **FAST)
    assert named.names == tuple("abcd")
    np.testing.assert_array_equal(named.values, found.values)


def test_files_that_numpy_wrote(rnn, tmp_path) -> None:
    arrays = {"monday": rnn(0), "tuesday": rnn(1)}
    np.save(tmp_path / "monday.npy", arrays["monday"])
    np.savez(tmp_path / "tuesday.npz", states=arrays["tuesday"], inputs=rnn(2, units=2))
    paths = [tmp_path / "monday.npy", str(tmp_path / "tuesday.npz")]
    found = compare(paths, **FAST)
    assert found.names == ("monday", "tuesday")
    np.testing.assert_array_equal(found.values, compare(arrays, **FAST).values)
    assert compare({"a": paths[0], "b": paths[1]}, **FAST).names == ("a", "b")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    np.savez(tmp_path / "other.npz", x=rnn(0))
    for name, message in [
        ("objects.npy", r"objects\.npy cannot be read as an array: .*numpy\.save"),
        ("broken.npz", r"broken\.npz cannot be read"),
        ("absent.npy", r"absent\.npy cannot be read"),
        ("other.npz", r"has no array 'states'; it has x\."),
    ]:
        with pytest.raises(AnalysisError, match=message):
            compare([paths[0], tmp_path / name], **FAST)


def test_a_dict_labels_what_its_globs_match(published, rnn) -> None:
    found = compare({"plain": "tiny-elman/*", "gated": "tiny-gru", "data": rnn(0)}, trials=4, **FAST)
    assert found.names == ("tiny-elman/0", "tiny-elman/1", "gated", "data")
    assert found.labels == ("plain", "plain", "gated", "data")


def test_labels(rnn) -> None:
    arrays = {"rnn-1": rnn(0), "rnn-2": rnn(1), "gru-1": rnn(2), "gru-2": rnn(3)}
    expected = ("vanilla", "vanilla", "gated", "gated")
    assert compare(arrays, "cka", labels=expected).labels == expected
    found = compare(arrays, "cka", labels={"vanilla": "rnn-*", "gated": ("gru-1", "gru-2")})
    assert found.labels == expected
    assert set(found.statistics()) == {*("decoding", "nearest", "chance", "silhouette", "within", "between")}
    for labels, message in [
        (["a"], "1 labels for 4"),
        ({"a": "rnn-*"}, "no label is given for 'gru-1, gru-2'"),
        ({"a": "rnn-*", "b": "*"}, "'rnn-1' has two labels"),
        ({"a": "*", "b": "lstm-*"}, "'b' is for 'lstm-\\*', which is none"),
    ]:
        with pytest.raises(AnalysisError, match=message):
            compare(arrays, "cka", labels=labels)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "nothing was given"),
        ([np.ones((2, 9, 3))], "only 'array-1'"),
        ({}, "nothing"),
        ("alone.npy", "only 'alone'"),
        (np.ones((2, 9, 3)), "one ndarray"),
        (torch.ones(2, 9, 3), "one Tensor"),
        (7, "one int"),
        (None, "one NoneType"),
        ([1, 2], "'array-1' is 1, which cannot be compared"),
        ({"a": [1], "b": [2]}, r"'a' is \[1\], which cannot"),
        ([np.array(["x"]), np.ones((2, 9, 3))], "real numbers"),
        ([np.ones(5), np.ones((2, 9, 3))], "shape"),
        ([np.full((2, 9, 3), np.nan)] * 2, "NaN"),
        ([np.ones((2, 9, 3))] * 2, "'array-1': they never change"),
    ],
)
def test_refused(items, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        compare(items, "cka")


def test_what_cannot_serve_is_refused_before_anything_is_computed(rnn, calls, monkeypatch) -> None:
    from zoo.analysis.geometry.cka import CKA

    monkeypatch.setattr(CKA, "requires", frozenset({"states", "latents", "inputs"}))
    items = {"with": Trajectories.wrap(rnn(0), rnn(1)), "without": Trajectories.wrap(rnn(0))}
    with pytest.raises(AnalysisError, match="needs the inputs of every network, and 'without' has none"):
        compare(items, "cka")
    assert calls == []


def test_metrics_and_parameters(rnn) -> None:
    items = [rnn(0), rnn(1)]
    with pytest.raises(RegistryError, match=r"'procustes'. Did you mean 'procrustes'\?"):
        compare(items, "procustes")
    with pytest.raises(SpecError, match=r"rnak.* Did you mean 'rank'\?"):
        compare(items, "dsa", rnak=3)
    with pytest.raises(SpecError, match="rank"):
        compare(items, "dsa", rank=0)
    with pytest.raises(SpecError, match="delays"):
        compare(items, "cka", delays=3)
    with pytest.raises(SpecError, match="order 2"):
        compare(items, DSASpec(**FAST), order=1, squared=True)
    with pytest.raises(AnalysisError, match=r"the metric is 3; .*cka, .*dsa, .*procrustes, .*rsa"):
        compare(items, 3)  # type: ignore[arg-type]
    assert compare(items, DSASpec(rank=4), delays=3).spec == DSASpec(**FAST)
    assert compare(items, ProcrustesSpec()).measure == "Procrustes angle (rad)"


def test_what_was_found_is_taken_again(rnn, calls) -> None:
    items = {"a": rnn(0), "b": rnn(1), "c": rnn(2)}
    first = compare(items, **FAST)
    assert calls == ["a", "b", "c"]
    renamed = compare(dict(zip("xyz", items.values(), strict=True)), labels=["l", "l", "m"], **FAST)
    assert (renamed.names, renamed.labels) == (("x", "y", "z"), ("l", "l", "m"))
    np.testing.assert_array_equal(renamed.values, first.values)
    turned = compare(dict(reversed(items.items())), **FAST)
    np.testing.assert_array_equal(turned.values, first.values[::-1, ::-1])
    np.testing.assert_array_equal(compare([rnn(2), rnn(0)], **FAST).values[0, 1], first.values[0, 2])
    assert len(calls) == 3
    compare(items, delays=3, rank=5)
    assert len(calls) == 6, "other parameters are another result"
    compare(items, cache=False, **FAST)
    assert len(calls) == 9


@pytest.mark.parametrize("fields", [{}, {"score": "angular"}])
def test_one_more_network_costs_one_more_row(rnn, calls, monkeypatch, fields) -> None:
    items = {str(seed): rnn(seed) for seed in range(5)}
    before = compare(items, **FAST, **fields)
    asked: list[Any] = []
    original = Comparator.parts

    def counted(self: Any, features: Any, pairs: Any) -> Any:
        asked.append(pairs.tolist())
        return original(self, features, pairs)

    monkeypatch.setattr(Comparator, "parts", counted)
    after = compare({**items, "new": rnn(5)}, **FAST, **fields)
    assert calls[5:] == ["new"], "features are kept, too"
    assert asked == [[[k, 5] for k in range(5)]]
    np.testing.assert_array_equal(after.values[:5, :5], before.values)
    alone = compare({**items, "new": rnn(5)}, cache=False, **FAST, **fields)
    np.testing.assert_allclose(after.values, alone.values, atol=1e-3)
    assert set(after.details) == ({"residual", "bound", "converged"} if fields else set())
    for table in after.details.values():
        assert np.isnan(table.diagonal()).all()
        assert np.isfinite(table[~np.eye(6, dtype=bool)]).all()


def test_the_same_activity_under_two_names(rnn, calls) -> None:
    values = compare({"a": rnn(0), "b": rnn(0), "c": rnn(1)}, **FAST).values
    again = compare({"c": rnn(1), "b": rnn(0), "a": rnn(0)}, **FAST).values
    assert calls == ["a", "c"]
    np.testing.assert_array_equal(values, again[::-1, ::-1])
    assert values[0, 1] < 1e-12 < values[0, 2]


def test_published_networks_are_known_without_running_them(published, monkeypatch) -> None:
    first = compare("tiny-*/*", "cka", trials=5)
    monkeypatch.setattr(Network, "trajectories", lambda *_, **__: pytest.fail("was run"))
    again = compare("tiny-*/*", "cka", trials=5)
    np.testing.assert_array_equal(again.values, first.values)
    assert again.origins == first.origins
    assert len(set(first.origins)) == 3


def test_a_cache_that_is_damaged_or_out_of_reach_costs_no_result(rnn, zoo_home, calls, monkeypatch) -> None:
    items = {"a": rnn(0), "b": rnn(1), "c": rnn(2)}
    first = compare(items, **FAST)
    (folder,) = (zoo_home / "cache" / "analysis").iterdir()
    files = {file: file.read_bytes() for file in folder.iterdir()}
    assert len(files) == 4
    for damage in (lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"{}" + data):
        for file, data in files.items():
            file.write_bytes(damage(data))
        calls.clear()
        np.testing.assert_array_equal(compare(items, **FAST).values, first.values)
        assert len(calls) == 3
        assert {file: file.read_bytes() for file in folder.iterdir()} == files, "it is written again"
    table = load_file(folder / "pairs.safetensors")
    for name, value in (("distance", -1.0), ("distance", math.inf), ("other", 0.0)):
        wrong = torch.full((3, 3), value, dtype=torch.float64)
        save_file({**table, name: wrong}, folder / "pairs.safetensors")
        np.testing.assert_array_equal(compare(items, **FAST).values, first.values)
    blocked = zoo_home / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("ZOO_HOME", str(blocked))
    np.testing.assert_array_equal(compare(items, **FAST).values, first.values)


def test_nothing_is_printed_but_the_progress_that_is_asked_for(rnn, capsys) -> None:
    compare([rnn(0), rnn(1)], **FAST)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    compare([rnn(0), rnn(1)], progress=True, cache=False, **FAST)
    assert capsys.readouterr().out == ""


def test_networks_of_another_kind() -> None:
    """Anything with a name and trajectories is a network."""

    def trajectories(**how: Any) -> Trajectories:
        asked.append(how)
        return Trajectories.wrap(np.random.default_rng(len(asked)).normal(size=(how["trials"], 9, 2)))

    asked: list[dict[str, Any]] = []
    networks = [SimpleNamespace(name=name, trajectories=trajectories) for name in ("a", "b")]
    assert compare(networks, "cka", trials=3, seed=1).names == ("a", "b")
    assert asked == [{"trials": 3, "seed": 1, "split": "test", "site": None}] * 2


def test_importing_loads_no_optional_library() -> None:
    code = (
        "import sys, zoo.analysis, zoo.analysis.figures;"
        "import zoo.analysis.dynamics.dsa, zoo.analysis.geometry.rsa;"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'matplotlib', 'scipy', 'sklearn', 'ot'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("library", "act", "message"),
    [
        (
            "scipy",
            lambda m, _: compare([m.values[None], m.values[None] + 1], delays=1, rank=1),
            r"scipy.*\[analysis\]",
        ),
        ("sklearn", lambda m, _: m.statistics(), r"scikit-learn.*\[analysis\]"),
        ("matplotlib", lambda m, path: m.plot(path / "x.png"), r"matplotlib.*\[viz\]"),
        ("scipy", lambda m, path: m.plot(path / "x.png"), r"scipy.*\[analysis\]"),
    ],
)
def test_a_missing_library_says_what_brings_it(
    library, act, message, distances, tmp_path, monkeypatch
) -> None:
    matrix = distances(8, ("a", "b"))

    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == library:
                raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(MissingDependencyError, match=message):
        act(matrix, tmp_path)
    assert not list(tmp_path.iterdir())
