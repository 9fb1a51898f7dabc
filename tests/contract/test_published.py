"""Every checkpoint that ships must load, compute what it computed, and be what its record says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.checkpoints.network import LEDGER, load_network, measure_members
from zoo.paths import shipped
from zoo.specs.catalogue import files
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load

FOLDERS = sorted(path.parent for path in shipped("registry").glob("*/record.json"))


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> CheckpointFolder:
    return CheckpointFolder(request.param)


def test_it_verifies(folder: CheckpointFolder) -> None:
    result = zoo.verify(folder)
    assert result.holds
    assert len(result.replays) == (folder.record.members or 1)


def test_its_metrics_and_verdicts_are_facts(folder: CheckpointFolder) -> None:
    record = folder.record
    measured = measure_members(folder)
    assert measured.keys() == record.metrics.keys() - {"train/steps"}
    for name, values in measured.items():
        assert values == pytest.approx(record.metrics[name], rel=1e-3, abs=1e-4)
    assert record.metrics["train/steps"] == tuple(map(float, record.steps))
    assert record.claims == tuple(claim.judge(record.metrics) for claim in folder.experiment.claims)


def test_its_spec_is_the_one_in_the_catalogue(folder: CheckpointFolder) -> None:
    spec = load(files()[folder.record.name])
    assert isinstance(spec, ExperimentSpec)
    assert folder.experiment == spec, (
        "a default has changed since it was trained: bump the version and migrate"
    )
    assert folder.record.experiment == spec.digest()
    assert folder.record.seeds == tuple(member.train.seed for member in spec.members())


def test_its_numbers_are_facts(folder: CheckpointFolder) -> None:
    record = folder.record
    network = load_network(folder)
    assert record.parameters == sum(p.numel() for p in network.model.parameters() if p.requires_grad)
    assert not network.training
    for name, entry in record.files.items():
        assert (folder.path / name).stat().st_size == entry.size
    assert sum(entry.size for entry in record.files.values()) < 2_000_000
    assert "zoo:begin" in (folder.path / "README.md").read_text()


def test_its_series_begins_untrained_and_ends_trained(folder: CheckpointFolder) -> None:
    record = folder.record
    if not record.series:
        pytest.skip("published without snapshots")
    from zoo.network import build

    for member, steps in enumerate(record.series):
        assert steps[0] == 0
        assert steps[-1] == record.steps[member]
        first, last = (load_network(folder, member, step).model.state_dict() for step in (0, steps[-1]))
        initial = build(folder.experiment.member(member)).model.state_dict()
        final = load_network(folder, member).model.state_dict()
        for name in final:
            assert torch.equal(last[name], final[name])
            torch.testing.assert_close(first[name], initial[name])
    ledger = folder.experiment.record.ledger
    if ledger is not None:
        rows = folder.tensors(LEDGER)
        at = sum(map(len, record.series)) - 1
        losses = load_network(folder, (record.members or 1) - 1).measure(ledger.split, ledger.trials)["loss"]
        torch.testing.assert_close(rows["loss"][at], losses, rtol=1e-4, atol=1e-6)
        assert rows["loss"].shape == (at + 1, ledger.trials)
        assert rows["example_id"].tolist() == list(range(ledger.trials))


def test_every_experiment_of_a_paper_is_published() -> None:
    published = {path.name for path in FOLDERS}
    for name, path in files().items():
        spec = load(path)
        if (
            isinstance(spec, ExperimentSpec)
            and spec.paper is not None
            and shipped("specs") in Path(path).parents
        ):
            assert name in published, f"train and publish it: zoo train {name} --publish registry"
