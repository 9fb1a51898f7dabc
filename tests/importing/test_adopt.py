"""Weights from elsewhere compute here what they computed there, and everything about them is on record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign import HIDDEN, NAMES, Theirs, ours
from safetensors.torch import save_file

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError, ForeignFileError, SpecError, UnknownNameError, ZooError
from zoo.specs.mapping import MappingSpec

Adopt = Callable[..., CheckpointFolder]
Spec = Callable[..., Path]


def mapping(tmp_path: Path, text: str = NAMES) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    return path


def largest_difference(folder: CheckpointFolder, model: Theirs, member: int | None = None) -> float:
    """Of outputs on trials of the task, in double precision."""
    name = f"{folder.path}" if member is None else f"{folder.path}/{member}"
    network = zoo.load(name).double()
    x = network.batch("test", 3, 0, 20).x
    with torch.no_grad():
        return (network(x).y - model.double()(x)).abs().max().item()


@pytest.mark.parametrize(
    ("kind", "options", "more"),
    [
        ("elman", {}, ""),
        ("elman", {"nonlinearity": "relu"}, ", nonlinearity: relu"),
        ("gru", {}, ""),
        ("lstm", {}, ""),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_outputs_are_theirs(
    kind: str, options: dict[str, str], more: str, suffix: str, spec: Spec, adopt: Adopt, tmp_path: Path
) -> None:
    model = Theirs(kind, **options)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), file)
    else:
        save_file(model.state_dict(), file)
    path = spec()
    path.write_text(path.read_text().replace("{kind: gru, hidden: 6}", f"{{kind: {kind}, hidden: 6{more}}}"))
    folder = adopt(file, spec=path, mapping=mapping(tmp_path))
    assert largest_difference(folder, model) < 1e-6
    assert zoo.verify(folder, metrics=True).holds
    assert zoo.load(folder).trajectories(4).states.shape == (4, 15, HIDDEN)


def test_everything_is_on_record(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"epoch": 7, "state_dict": Theirs().state_dict()}, file)
    claims = (
        "claims:\n  - {metric: test/sign_accuracy, at_least: 0.99, source: {kind: paper}, note: too few}\n"
        "  - {metric: test/loss, at_most: 100, source: {kind: design}}\n"
    )
    folder = adopt(
        file,
        spec=spec("gru", claims),
        mapping=mapping(tmp_path),
        steps=500,
        licence="cc-by-4.0",
        name="other-name",
    )
    record = folder.record
    assert (record.name, record.license, record.members) == ("other-name", "CC-BY-4.0", None)
    assert (record.steps, record.stopped, record.parents, record.series) == ((500,), ("imported",), (), ())
    assert record.metrics["train/steps"] == (500.0,)
    assert [verdict.holds for verdict in record.claims] == [False, True]
    assert record.claims[0].note == "too few"
    assert record.parameters == sum(p.numel() for p in Theirs().parameters())
    imported = record.imported
    assert imported is not None
    assert imported.source == "Theirs et al. 2020"
    assert imported.sha256 == (hashlib.sha256(file.read_bytes()).hexdigest(),)
    assert (
        imported.mapping
        == MappingSpec(rename={"rnn.{name}": "cell.{name}", "fc.{name}": "output.{name}"}).digest()
    )
    assert imported.tensors["cell.weight_hh_l0"] == "rnn.weight_hh_l0"
    assert imported.notes == ("looked into 'state_dict', and not into 'epoch'",)
    assert folder.experiment.learner.kind == "none"
    assert zoo.load(folder).batches_seen == 500


def test_it_is_published_and_compared_like_any_other(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    save_file(ours(Theirs()), tmp_path / "weights.safetensors")
    folder = adopt(tmp_path / "weights.safetensors", spec=spec())
    assert folder.record.imported is not None
    assert folder.record.imported.mapping is None
    zoo.publish(folder)
    assert zoo.load("theirs").record == folder.record
    matrix = zoo.compare({"theirs": "theirs", "ours": "dsa-gru-flipflop"}, "dsa", trials=4, rank=3, delays=2)
    assert matrix.values[0, 1] > 0


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module.", "net.module."])
def test_prefixes_of_wrappers_need_no_mapping(prefix: str, spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    model = Theirs()
    file = tmp_path / "weights.pt"
    torch.save({"model": {prefix + key: value for key, value in ours(model).items()}}, file)
    folder = adopt(file, spec=spec())
    assert largest_difference(folder, model) < 1e-6


def test_numbers_keep_their_type(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    for number, dtype in enumerate((torch.float64, torch.bfloat16, torch.float16)):
        file = tmp_path / f"weights-{number}.pt"
        torch.save({key: value.to(dtype) for key, value in ours(Theirs()).items()}, file)
        folder = adopt(file, spec=spec(), output=tmp_path / f"made-{number}")
        network = zoo.load(folder)
        assert network.model.like.dtype == dtype
        assert network.trajectories(3).states.dtype == dtype
        matrix = zoo.compare(
            {"theirs": network, "ours": "dsa-gru-flipflop"}, "dsa", trials=2, rank=2, delays=2
        )
        assert matrix.values[0, 1] > 0
        assert zoo.verify(folder).holds


def test_views_and_shared_tensors_are_written_out(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    weights = ours(Theirs())
    weights["cell.weight_hh_l0"] = weights["cell.weight_hh_l0"].T.contiguous().T
    weights["cell.bias_hh_l0"] = weights["cell.bias_ih_l0"]
    torch.save(weights, tmp_path / "weights.pt")
    folder = adopt(tmp_path / "weights.pt", spec=spec())
    found = folder.tensors("model.safetensors")
    assert all(torch.equal(found[name], value) for name, value in weights.items())


# Populations --------------------------------------------------------------------------------------


def test_three_files_are_a_population(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    models = [Theirs("gru", seed) for seed in range(3)]
    files = [tmp_path / f"seed-{seed}.pt" for seed in range(3)]
    for model, file in zip(models, files, strict=True):
        torch.save(model.state_dict(), file)
    folder = adopt(files, spec=spec(), mapping=mapping(tmp_path))
    assert folder.record.members == 3
    assert folder.record.imported is not None
    assert len(set(folder.record.imported.sha256)) == 3
    for member, model in enumerate(models):
        assert largest_difference(folder, model, member) < 1e-6
    assert zoo.verify(folder, metrics=True).holds


def test_files_are_members_of_the_population_in_the_spec(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    grid = spec("gru", "population: {grid: {model.kind: [gru, elman]}}\n")
    files = []
    for kind in ("gru", "elman"):
        files.append(tmp_path / f"{kind}.pt")
        torch.save(ours(Theirs(kind)), files[-1])
    folder = adopt(files, spec=grid)
    assert folder.experiment.member(1).model.kind == "elman"
    assert largest_difference(folder, Theirs("elman"), 1) < 1e-6
    alone = adopt(files[1], spec=grid, member=1, output=tmp_path / "alone")
    assert (alone.record.members, alone.experiment.model.kind) == (None, "elman")
    with pytest.raises(ForeignFileError, match=r"members 0 to 1, which differ in model.kind.*--member"):
        adopt(files[1], spec=grid, output=tmp_path / "none")
    with pytest.raises(ForeignFileError, match=r"members 0 to 1, and 1 file\(s\) should be member 2"):
        adopt(files[1], spec=grid, member=2, output=tmp_path / "none")
    with pytest.raises(ForeignFileError, match="is of a single network"):
        adopt(files[0], spec=spec(name="single"), member=0, output=tmp_path / "none")


def test_a_spec_with_seeds_takes_any_number(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    seeds = spec("gru", "population: {members: 4}\n")
    save_file(ours(Theirs()), tmp_path / "weights.safetensors")
    file = tmp_path / "weights.safetensors"
    assert adopt(file, spec=seeds).record.members is None
    assert adopt([file, file], spec=seeds, output=tmp_path / "two").record.members == 2


# Refusals -----------------------------------------------------------------------------------------


def test_what_does_not_fit_is_said_at_once(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    weights = ours(Theirs())
    weights["cell.weight_ih"] = weights.pop("cell.weight_ih_l0")
    weights["output.weight"] = weights["output.weight"].T.contiguous()
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(ForeignFileError) as caught:
        adopt(tmp_path / "weights.safetensors", spec=spec())
    text = str(caught.value)
    assert "missing cell.weight_ih_l0 [18, 3]" in text
    assert "unexpected cell.weight_ih [18, 3] Did you mean 'cell.weight_ih_l0'" in text
    assert "output.weight is [6, 3] rather than [3, 6]" in text
    begun = text.partition("It could begin:\n")[2]
    folder = adopt(tmp_path / "weights.safetensors", spec=spec(), mapping=mapping(tmp_path, begun))
    assert largest_difference(folder, Theirs()) < 1e-6


def test_a_mapping_to_begin_with_has_to_be_completed(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    weights = {key: value for key, value in ours(Theirs()).items() if key != "output.bias"}
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "weights.pt")
    with pytest.raises(ForeignFileError, match=r"missing output\.bias") as caught:
        adopt(tmp_path / "weights.pt", spec=spec())
    begun = str(caught.value).partition("It could begin:\n")[2]
    assert "strip: [module.]" in begun
    with pytest.raises(ForeignFileError, match="'FILL-IN', which is not in the file"):
        adopt(tmp_path / "weights.pt", spec=spec(), mapping=mapping(tmp_path, begun))
    done = begun.replace("tensor: FILL-IN", "constant: 0")
    folder = adopt(tmp_path / "weights.pt", spec=spec(), mapping=mapping(tmp_path, done))
    assert not folder.tensors("model.safetensors")["output.bias"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w["cell.bias_hh_l0"].fill_(float("nan")), "cell.bias_hh_l0 has 18 NaN or infinite values"),
        (lambda w: w.update({"output.bias": w["output.bias"].double()}), "several types: .*dtype: float32"),
        (lambda w: w.update({"output.bias": torch.ones(3, dtype=torch.int64)}), "the type int64, .* float32"),
        (lambda w: w.update({"output.bias": torch.ones(3, dtype=torch.complex64)}), "the type complex64"),
        (
            lambda w: [w[name].fill_(3.4e38) for name in ("output.weight", "output.bias")],
            "not finite on the task",
        ),
    ],
)
def test_numbers_that_are_none_are_refused(
    change: Callable[..., object], message: str, spec: Spec, adopt: Adopt, tmp_path: Path
) -> None:
    weights = {key: value.clone() for key, value in ours(Theirs()).items()}
    change(weights)
    torch.save(weights, tmp_path / "weights.pt")
    with pytest.raises(ForeignFileError, match=message):
        adopt(tmp_path / "weights.pt", spec=spec())
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"licence": "no licence"}, SpecError, "no SPDX licence"),
        ({"source": "  "}, SpecError, "source"),
        ({"source": "a\0b"}, SpecError, "source"),
        ({"name": "Not A Name"}, SpecError, "name"),
        ({"spec": None}, ForeignFileError, "weights need the experiment"),
        ({"spec": "dsa-gru-flipflp"}, UnknownNameError, "Did you mean 'dsa-gru-flipflop'"),
        ({"spec": "dsa-flipflop-architectures"}, SpecError, "one of type experiment is needed"),
        ({"mapping": "nowhere.yaml"}, UnknownNameError, "no mapping nowhere.yaml"),
        ({"steps": -1}, ForeignFileError, "steps is at least 0"),
        ({"output": "."}, CheckpointError, "exists already and is not replaced"),
    ],
)
def test_bad_requests_leave_nothing(
    options: dict[str, object], error: type[ZooError], message: str, spec: Spec, adopt: Adopt, tmp_path: Path
) -> None:
    save_file(ours(Theirs()), tmp_path / "weights.safetensors")
    with pytest.raises(error, match=message):
        adopt(tmp_path / "weights.safetensors", **{"spec": spec(), **options})
    assert not (tmp_path / "made").exists()


def test_weights_and_recordings_do_not_mix(spec: Spec, adopt: Adopt, tmp_path: Path) -> None:
    for name in ("a.npy", "b.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ForeignFileError, match="some files are weights and others recordings"):
        adopt([tmp_path / "a.npy", tmp_path / "b.pt"], spec=spec())
    with pytest.raises(ForeignFileError, match="Give at least one file"):
        adopt([])
