"""What units are for: their variance in each task, and clusters of them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen, latent
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.activity import TaskVarianceSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

ENOUGH = 8
"""Trials a task that are advised where they were too few: fewer than two of one are rare then."""


class TaskVariance(Measurement[TaskVarianceSpec]):
    """Numbers: ``clusters``, their ``silhouette``, ``units`` that vary, and ``tasks`` in which the average
    unit varies (participation ratio of its normalised variances). Arrays: ``variance`` ``[unit, task]``,
    ``normalised``, ``tasks`` (values of the latent that are looked at) and ``cluster`` ``[unit]``, -1 for
    units left out."""

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        tasks = latent(run, spec.by)
        if tasks.ndim != 1:
            raise AnalysisError(f"task-variance needs one {spec.by!r} a trial, and {name} has one a sample.")
        keep = chosen(run, spec)
        kinds = tasks[keep.any(1)].unique()
        rare = [float(k) for k in kinds if int(keep[tasks == k].sum(0).max()) < 2]
        if rare:
            raise AnalysisError(
                f"task-variance takes two trials of each task at some time step, and {name} has fewer of "
                f"{len(rare)} of {len(kinds)}: {spec.by} {', '.join(f'{k:g}' for k in rare[:8])}. Ask for "
                f"trials={max(2 * len(keep), ENOUGH * len(kinds))} or more."
            )
        variance = torch.stack([_variance(run.states[tasks == k], keep[tasks == k]) for k in kinds], 1)
        varies = variance.sum(1) >= spec.least
        if int(varies.sum()) <= spec.clusters[0]:
            raise AnalysisError(
                f"{int(varies.sum())} units of {name} vary by {spec.least:g} or more, too few for clusters. "
                "Lower 'least', or 'clusters'."
            )
        normalised = variance / variance.max(1, keepdim=True).values.clamp_min(1e-300)
        rows = normalised[varies].cpu().numpy()
        labels, silhouette = _clusters(rows, spec)
        cluster = np.full(len(variance), -1)
        cluster[varies.cpu().numpy()] = labels
        spread = normalised[varies]
        numbers = {
            "clusters": float(labels.max() + 1),
            "silhouette": silhouette,
            "units": float(varies.sum()),
            "tasks": float((spread.sum(1) ** 2 / spread.square().sum(1)).mean()),
        }
        arrays = {"variance": variance, "normalised": normalised, "tasks": kinds, "cluster": cluster}
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """Normalised variance, a row a task and a column a unit, the units in their clusters."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.subplots()
        cluster = finding["cluster"]
        order = np.argsort(cluster, kind="stable")
        order = order[cluster[order] >= 0]
        shown = axes.imshow(finding["normalised"][order].T, aspect="auto", cmap="magma", vmin=0, vmax=1)
        for edge in np.flatnonzero(np.diff(cluster[order])):
            axes.axvline(edge + 0.5, color=COLOURS[5], linewidth=1)
        axes.set(xlabel="unit, by cluster", ylabel=self.spec.by, yticks=range(len(finding["tasks"])))
        axes.set_yticklabels([f"{value:g}" for value in finding["tasks"]], fontsize=7)
        axes.set_title(f"{finding.name}: {finding.numbers['clusters']:.0f} clusters", color=INK, fontsize=10)
        figure.colorbar(shown, ax=axes, label="normalised task variance")
        return figure


def _variance(states: Tensor, keep: Tensor) -> Tensor:
    """Variance over trials of ``[trial, time, unit]`` at each time, averaged over times, ``[unit]``."""
    weight = keep.to(states.dtype)[..., None]
    count = weight.sum(0)
    mean = (states * weight).sum(0) / count.clamp_min(1)
    spread = ((states - mean).square() * weight).sum(0) / count.clamp_min(1)
    several = (count > 1).to(states.dtype)
    return (spread * several).sum(0) / several.sum().clamp_min(1)


def _clusters(rows: np.ndarray, spec: TaskVarianceSpec) -> tuple[np.ndarray, float]:
    """Label of each row, and the mean silhouette of the number of clusters for which that is the highest."""
    cluster = need("sklearn.cluster", "analysis", "Clustering")
    metrics = need("sklearn.metrics", "analysis", "Clustering")
    best: tuple[float, np.ndarray] = (-2.0, np.zeros(len(rows), dtype=np.int64))
    most = min(spec.clusters[1], len(rows) - 1, len(np.unique(rows, axis=0)))
    for count in range(max(2, spec.clusters[0]), most + 1):
        with warnings.catch_warnings():  # of rows that are nearly the same, fewer clusters are found
            warnings.simplefilter("ignore")
            labels = cluster.KMeans(count, n_init=10, random_state=spec.seed % 2**32).fit_predict(rows)
        score = float(metrics.silhouette_score(rows, labels))
        if score > best[0]:
            best = (score, labels)
    return best[1], best[0]
