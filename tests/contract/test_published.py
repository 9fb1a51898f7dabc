"""Every checkpoint that ships must load, compute what it computed, and be what its record says."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from zlib import crc32

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

import zoo
from zoo.checkpoints.folder import CARD, PORTRAIT, RECORD, CheckpointFolder
from zoo.checkpoints.network import GOLDEN, LEDGER, TOLERANCES, load_network, measure_members
from zoo.checkpoints.portrait import portrait_of
from zoo.checkpoints.portrait_figure import DPI, LARGEST, WIDTH
from zoo.deriving.derive import described, remake
from zoo.deriving.parents import operands
from zoo.hub.card import render
from zoo.hub.card_check import problems
from zoo.hub.front_matter import LIBRARY
from zoo.hub.recorded import declared
from zoo.paths import shipped
from zoo.specs.catalogue import files
from zoo.specs.derivation import DerivationSpec
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.license import spdx
from zoo.specs.loading import load

FOLDERS = sorted(path.parent for path in shipped("registry").glob("*/record.json"))
AMPLIFYING = ("rfpf-localization-m3",)
"""Those that amplify rounding, in which processors differ: three particles, weighed again at each step."""


Members = Callable[[CheckpointFolder], Sequence[int]]


def one_member(folder: CheckpointFolder) -> Sequence[int]:
    """Not the same of each, so that all places in a file are looked at."""
    return (crc32(folder.record.name.encode()) % (folder.record.members or 1),)


def all_members(folder: CheckpointFolder) -> Sequence[int]:
    return range(folder.record.members or 1)


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> CheckpointFolder:
    return CheckpointFolder(request.param)


def test_it_verifies(folder: CheckpointFolder) -> None:
    result = zoo.verify(folder)
    assert result.holds
    assert len(result.replays) == (folder.record.members or 1)


def _slack(folder: CheckpointFolder) -> float:
    """How far a metric may be from the one on another processor: ten times what an output may be."""
    return 10 * folder.record.golden["cpu"].atol


@pytest.mark.parametrize("which", [one_member, pytest.param(all_members, marks=pytest.mark.slow)])
def test_its_metrics_are_facts(folder: CheckpointFolder, which: Members) -> None:
    record, members = folder.record, which(folder)
    measured = measure_members(folder, members=members)
    assert measured.keys() == record.metrics.keys() - {"train/steps"}
    for name, values in measured.items():
        recorded = tuple(record.metrics[name][member] for member in members)
        assert values == pytest.approx(recorded, rel=1e-3, abs=_slack(folder))


def test_its_verdicts_follow_from_its_metrics(folder: CheckpointFolder) -> None:
    record = folder.record
    assert record.metrics["train/steps"] == tuple(map(float, record.steps))
    assert record.claims == tuple(claim.judge(record.metrics) for claim in folder.experiment.claims)


def test_its_spec_is_the_one_in_the_catalogue(folder: CheckpointFolder) -> None:
    spec = load(files()[folder.record.name])
    if isinstance(spec, DerivationSpec):
        assert folder.experiment == described(spec, operands(spec.parents))
        assert folder.record.experiment == folder.experiment.digest()
        return
    assert isinstance(spec, ExperimentSpec)
    assert folder.experiment == spec, (
        "a default has changed since it was trained: bump the version and migrate"
    )
    assert folder.record.experiment == spec.digest()
    assert folder.record.seeds == tuple(member.train.seed for member in spec.members())


def test_it_is_made_again_of_its_parents(folder: CheckpointFolder) -> None:
    if folder.experiment.derived is None:
        members = folder.experiment.members()
        begun = [member.start.reference for member in members if member.start is not None]
        assert folder.record.parents == tuple(dict.fromkeys(begun))
    else:
        assert remake(folder).holds
        assert folder.record.parents == folder.experiment.derived.references()


def test_its_numbers_are_facts(folder: CheckpointFolder) -> None:
    record = folder.record
    network = load_network(folder)
    assert record.parameters == sum(p.numel() for p in network.model.parameters() if p.requires_grad)
    assert not network.training
    found = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    assert found.keys() == {*record.files, RECORD, CARD}
    for name, entry in record.files.items():
        assert (len(found[name]), hashlib.sha256(found[name]).hexdigest()) == (entry.size, entry.sha256)
    assert sum(map(len, found.values())) < 2_000_000
    wider = {"cpu": TOLERANCES["cpu"].model_copy(update={"atol": 1e-4})} if record.name in AMPLIFYING else {}
    assert record.golden == TOLERANCES | wider
    assert datetime.fromisoformat(record.created).utcoffset() == timedelta(0)
    assert all(seconds >= 0 for seconds in record.wall_time)
    assert spdx(record.license) == record.license == folder.experiment.license


def test_its_golden_outputs_are_what_it_computes(folder: CheckpointFolder) -> None:
    golden, tolerance = folder.tensors(GOLDEN), folder.record.golden["cpu"]
    trials = folder.experiment.record.golden_trials
    x = load_network(folder).batch("test", 0, 0, trials).x
    # Processors differ in the last bit of a sine.
    torch.testing.assert_close(x, golden["x"], rtol=1e-6, atol=1e-6)
    for member in range(folder.record.members or 1):
        with torch.no_grad():
            y = load_network(folder, member)(golden["x"]).y
        torch.testing.assert_close(y, golden["y"][member], rtol=tolerance.rtol, atol=tolerance.atol)


@pytest.mark.parametrize("which", [one_member, pytest.param(all_members, marks=pytest.mark.slow)])
def test_its_curve_ends_with_what_the_network_does(folder: CheckpointFolder, which: Members) -> None:
    trials = folder.experiment.train.validation_trials
    for member in which(folder) if folder.record.curve else ():
        curve = folder.record.curve[member]
        assert curve.steps[-1] == folder.record.steps[member]
        measured = load_network(folder, member).measure("validation", trials)
        for name, values in measured.items():
            recorded = curve.values[f"validation/{name}"]
            assert len(recorded) == len(curve.steps)
            assert recorded[-1] == pytest.approx(values.mean().item(), rel=1e-3, abs=_slack(folder))


def test_its_card_says_what_its_record_says(folder: CheckpointFolder) -> None:
    record, card = folder.record, folder.read(CARD).decode()
    assert problems(card, record) == []
    assert render(record, folder.experiment, card) == card, "out of date: scripts/cards --write"
    data = ModelCard(card).data
    assert (data.library_name, data.license) == (LIBRARY, record.license.lower())
    assert data.tags[0] == LIBRARY
    results = data.eval_results
    metrics = {(r.dataset_split, r.metric_name): r.metric_value for r in results if not r.dataset_config}
    assert metrics == {
        (None if name.startswith("update/") else name.partition("/")[0], name): pytest.approx(
            fmean(values), rel=1e-12
        )
        for name, values in record.metrics.items()
    }
    claims = [result for result in results if result.dataset_config == "claims"]
    assert len(claims) == len(record.claims)
    for result, verdict in zip(claims, record.claims, strict=True):
        assert result.metric_value in verdict.measured
        assert result.metric_args["holds"] == verdict.holds
        assert result.metric_name.endswith("holds" if verdict.holds else "FAILS")
        assert ("**FAILS**" in card) or verdict.holds


def test_the_figures_in_its_tables_are_those_of_its_record(folder: CheckpointFolder) -> None:
    record, card = folder.record, folder.read(CARD).decode()
    section = card[card.index("## Metrics") : card.index("## Claims")]
    rows = [line.strip("| ").replace("\\", "").split(" | ") for line in section.splitlines()[4:] if line]
    assert [row[0] for row in rows] == list(record.metrics)
    for name, *numbers, count in rows:
        values = [value for value in record.metrics[name] if value is not None]
        expected = (fmean(values), min(values), max(values))
        assert tuple(map(float, numbers)) == pytest.approx(expected, rel=5e-4)
        assert int(count) == len(record.metrics[name])
    if folder.experiment.learner.learns:
        assert f" {record.parameters:,} parameters" in card


def test_its_portrait_is_small(folder: CheckpointFolder) -> None:
    data = folder.read(PORTRAIT)
    assert len(data) < LARGEST
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == WIDTH * DPI
        assert image.format == "PNG"


@pytest.mark.slow
def test_its_portrait_is_of_it(folder: CheckpointFolder) -> None:
    """Drawn again: the same, but for what another machine rounds otherwise."""
    again = portrait_of(folder)
    assert again is not None
    one, other = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
        for data in (again, folder.read(PORTRAIT))
    )
    assert one.shape == other.shape
    assert np.abs(one - other).mean() < 2.0, "of 255"


def test_the_registry_stays_small() -> None:
    files = [path for folder in FOLDERS for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < 60_000_000


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
            isinstance(spec, ExperimentSpec | DerivationSpec)
            and spec.paper is not None
            and shipped("specs") in Path(path).parents
            and declared(name) is None  # data that packages bring is read from there, and never published
        ):
            assert name in published, f"train and publish it: zoo train {name} --publish registry"
