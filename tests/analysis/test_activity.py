"""Spectra, task variance, decoding and pictures of activity that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.analysis.measure import analyse
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.specs.tasks.decision import EvidenceSpec
from zoo.tasks.decision import Evidence


def white(variances: np.ndarray, samples: int = 20_000, seed: int = 0) -> np.ndarray:
    """One long trial of independent units with exactly these variances."""
    values = np.random.default_rng(seed).normal(size=(samples, len(variances)))
    values -= values.mean(0)
    q, _ = np.linalg.qr(values)
    return (q * np.sqrt(variances * (samples - 1)))[None]


def test_spectrum_of_known_variances() -> None:
    variances = np.arange(1, 101.0) ** -1.5
    found = analyse([white(variances)], "spectrum", ranks=[2, 90]).only
    np.testing.assert_allclose(found["eigenvalues"], variances, rtol=1e-6)
    assert found.numbers["alpha"] == pytest.approx(1.5, abs=1e-6)
    assert found.numbers["fit"] == pytest.approx(1)
    assert found.numbers["participation"] == pytest.approx(variances.sum() ** 2 / (variances**2).sum())
    share = np.sqrt(variances) / np.sqrt(variances).sum()
    assert found.numbers["rankme"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    share = variances / variances.sum()
    assert found.numbers["effective-rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert found.numbers["for-90"] == np.searchsorted(np.cumsum(variances) / variances.sum(), 0.9) + 1
    flat = analyse([white(np.ones(7))], "spectrum").only
    assert flat.numbers["participation"] == pytest.approx(7)
    assert flat.numbers["rankme"] == pytest.approx(7)
    assert flat.numbers["effective-rank"] == pytest.approx(7)


def test_spectrum_of_samples_that_are_enough() -> None:
    """Card 13: RankMe of a sphere in 64 dimensions is near 64 with a hundred times as many samples."""
    rng = np.random.default_rng(0)
    sphere = analyse([rng.normal(size=(1, 6400, 64))], "spectrum").only.numbers
    assert sphere["rankme"] > 0.98 * 64
    power = rng.normal(size=(1, 6400, 64)) * np.arange(1, 65.0) ** -0.6
    assert analyse([power], "spectrum", ranks=[3, 50]).only.numbers["alpha"] == pytest.approx(1.2, abs=0.05)


def two_tasks(trials: int = 200, time: int = 12, seed: int = 0) -> Trajectories:
    """Twenty units: five vary in task 0, ten in task 1, three in both and two in none."""
    rng = np.random.default_rng(seed)
    task = rng.integers(0, 2, trials)
    direction = rng.normal(size=trials)
    gain = np.zeros((20, 2))
    gain[:5, 0], gain[5:15, 1], gain[15:18] = 1, 1, 1
    signs = rng.choice([-1, 1], 20)
    states = (gain[:, task].T * direction[:, None] * signs)[:, None] + np.zeros((trials, time, 20))
    run = Trajectories.wrap(states + 1e-4 * rng.normal(size=states.shape), name="two tasks")
    half = np.broadcast_to(np.arange(time) < time // 2, (trials, time)).copy()
    latents = {
        "task": task,
        "direction": direction,
        "early": half.astype(np.int64),
        "sign": (direction > 0) * 1,
    }
    return replace(run, latents={name: torch.from_numpy(value) for name, value in latents.items()})


def test_task_variance_finds_the_clusters(tmp_path) -> None:
    found = analyse([two_tasks()], "task-variance").only
    assert found.numbers["clusters"] == 3
    assert found.numbers["units"] == 18
    assert found.numbers["silhouette"] > 0.95
    cluster = found["cluster"]
    for group in (slice(0, 5), slice(5, 15), slice(15, 18)):
        assert len(set(cluster[group])) == 1
    assert (cluster[18:] == -1).all()
    np.testing.assert_allclose(found["normalised"][:5], np.tile([1, 0], (5, 1)), atol=1e-3)
    assert found.plot(tmp_path / "variance.png").stat().st_size > 3000


def test_task_variance_of_a_task_that_was_hardly_seen() -> None:
    """One trial of a task has no variance, which is not to say that units are not for it."""
    run = two_tasks(60)
    first = torch.where(run.latents["task"] == 1)[0][0]
    rare = run.latents["task"] * 0
    rare[first] = 1
    once = replace(run, latents={"task": rare})
    with pytest.raises(AnalysisError, match=r"fewer of 1 of 2: task 1\. Ask for trials=120 or more"):
        analyse([once], "task-variance")
    alone = analyse([run], "task-variance", where={"task": [1]}).only
    assert alone["tasks"].tolist() == [1], "others are not looked at"


def test_decoding_reads_what_is_there(tmp_path) -> None:
    run = two_tasks()
    both = analyse([run], "decoding", latent="direction", where={"early": [1]}).only
    assert both.numbers["last"] > 0.99
    assert both["times"].tolist() == [0, 1, 2, 3, 4, 5]
    sign = analyse([run], "decoding", latent="sign").only
    assert sign.numbers["mean"] > 0.95
    assert sign.numbers["chance"] == 0.5
    shuffled = replace(run, latents={"direction": run.latents["direction"][torch.randperm(200)]})
    assert analyse([shuffled], "decoding", latent="direction").only.numbers["best"] < 0.2
    assert sign.plot(tmp_path / "decoding.svg").exists()


def test_a_choice_is_decoded_as_a_class() -> None:
    """By the share that is right, against a chance of a half."""
    batch = Evidence(EvidenceSpec(coherence=(0.15,))).batch("test", 0, 0, 200)
    run = replace(Trajectories.wrap(batch.x[..., 1:].cumsum(1).numpy()), latents=batch.latents)
    found = analyse([run], "decoding", latent="choice", where={"epoch": [1]}).only.numbers
    assert found["chance"] == 0.5
    assert found["last"] > 0.95


def test_a_rare_class_counts_as_much() -> None:
    """A tenth of the trials, half of which look like the others: three quarters, not 95 of 100."""
    rare = (np.arange(300) % 10 == 0) * 1
    told = rare * (np.arange(300) % 20 == 0)
    states = 10.0 * told[:, None, None] + 1e-3 * np.random.default_rng(0).normal(size=(300, 1, 1))
    run = replace(Trajectories.wrap(states), latents={"rare": torch.from_numpy(rare)})
    found = analyse([run], "decoding", latent="rare").only.numbers
    assert found["mean"] == pytest.approx(0.75, abs=0.01)
    assert found["chance"] == 0.5


def test_decoding_of_an_angle() -> None:
    angle = np.random.default_rng(0).uniform(-np.pi, np.pi, 300)
    states = np.stack([np.cos(angle), np.sin(angle)], 1)[:, None]
    run = replace(Trajectories.wrap(states), latents={"angle": torch.from_numpy(angle)})
    assert analyse([run], "decoding", latent="angle", circular=True).only.numbers["mean"] > 0.999
    assert analyse([run], "decoding", latent="angle").only.numbers["mean"] < 0.9


def test_state_space_is_drawn(tmp_path) -> None:
    run = two_tasks(40)
    found = analyse([run], "state-space", colour="task", where={"early": [1]}).only
    assert found["paths"].shape == (40, 12, 3)
    assert np.isnan(found["paths"][:, 6:]).all()
    assert found.numbers["explained"] == pytest.approx(1, abs=1e-4)
    assert found.plot(tmp_path / "paths.png").stat().st_size > 3000
    page = found.plot(tmp_path / "paths.html").read_text(encoding="utf-8")
    assert "two tasks" in page
    apart = analyse([run], "state-space", method="mds", colour="direction").only
    assert apart["paths"].shape == (40, 1, 3)
    assert apart.plot(tmp_path / "mds.png").stat().st_size > 3000
    sampled = analyse([run], "state-space", colour="early").only
    assert sampled.plot(tmp_path / "samples.png").stat().st_size > 3000


def test_figures_of_little() -> None:
    """Few ranks, each with its number; paths that do not move, each a point."""
    few = analyse([white(np.ones(3), 100)], "spectrum").only
    axes = few.figure().axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert not axes.get_xticklabels(minor=True)
    states = np.random.default_rng(0).normal(size=(4, 1, 5)) * np.ones((4, 6, 1))
    still = analyse([states], "state-space").only
    axes = still.figure().axes[0]
    ends = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xydata()[0] for line in ends], still["paths"][:, -1, :2])


def test_refused() -> None:
    run = two_tasks(30)
    with pytest.raises(AnalysisError, match=r"no latent 'tasks'\. Did you mean 'task'"):
        analyse([run], "task-variance", by="tasks")
    with pytest.raises(AnalysisError, match=r"no sample of .* is where spectrum looks"):
        analyse([run], "spectrum", where={"task": [7]})
    with pytest.raises(AnalysisError, match="are there trials"):
        analyse([two_tasks(6)], "decoding", latent="direction")
    with pytest.raises(AnalysisError, match=r"needs one 'early' a trial"):
        analyse([run], "task-variance", by="early")
    with pytest.raises(AnalysisError, match=r"draws no page"):
        analyse([run], "spectrum").only.plot("x.html")
