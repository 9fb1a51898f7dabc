"""What can be read from the activity of a network by a linear map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen, latent
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.activity import DecodingSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Decoding(Measurement[DecodingSpec]):
    """Numbers: the ``mean`` score over time steps, the ``best``, the ``last``, and ``chance``. Arrays:
    ``scores`` ``[time]`` and their ``times``: steps at which trials enough are chosen."""

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        values = latent(run, spec.latent).cpu().numpy()
        keep = chosen(run, spec).cpu().numpy()
        if values.ndim > 2 or (values.ndim == 2 and values.shape != keep.shape):
            raise AnalysisError(f"the latent {spec.latent!r} of {name} is no number a trial or a sample.")
        values = np.broadcast_to(values[:, None] if values.ndim == 1 else values, keep.shape)
        classes = values.dtype.kind in "iub" and not spec.circular
        states, times, scores = run.states.cpu().numpy(), [], []
        for t in range(keep.shape[1]):
            rows = keep[:, t]
            score = self._score(states[rows, t], values[rows, t], classes)
            if score is not None:
                times.append(t)
                scores.append(score)
        if not scores:
            raise AnalysisError(
                f"at no time step are there trials of {name} enough to decode {spec.latent!r}, or they all "
                "have the same value of it. Ask for more trials."
            )
        chance = 1 / len(np.unique(values[keep])) if classes else 0.0
        numbers = {"mean": float(np.mean(scores)), "best": max(scores), "last": scores[-1], "chance": chance}
        return Found(numbers, {"scores": np.array(scores), "times": np.array(times)})

    def _score(self, x: np.ndarray, y: np.ndarray, classes: bool) -> float | None:
        """Of one time step; none where there is nothing to fit or to tell."""
        spec = self.spec
        linear = need("sklearn.linear_model", "analysis", "Decoding")
        selection = need("sklearn.model_selection", "analysis", "Decoding")
        kinds, counts = np.unique(y, return_counts=True)
        if len(y) < 2 * spec.folds or len(kinds) < 2 or (classes and counts.min() < spec.folds):
            return None
        seed = spec.seed % 2**32
        if classes:
            folds = selection.StratifiedKFold(spec.folds, shuffle=True, random_state=seed)
            model, scoring = (
                linear.RidgeClassifierCV(spec.penalties, class_weight="balanced"),
                "balanced_accuracy",
            )
        else:
            folds = selection.KFold(spec.folds, shuffle=True, random_state=seed)
            model, scoring = linear.RidgeCV(spec.penalties), "r2"
            y = np.stack([np.cos(y), np.sin(y)], 1) if spec.circular else y
        return float(selection.cross_val_score(model, x, y, cv=folds, scoring=scoring).mean())

    def figure(self, finding: Finding) -> Figure:
        """The score at each time step."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(finding["times"], finding["scores"], color=COLOURS[0])
        axes.axhline(finding.numbers["chance"], color=FAINT, linewidth=0.8, linestyle="--")
        axes.set(xlabel="time step", ylabel="score on held-out trials")
        axes.set_ylim(min(-0.05, finding.numbers["chance"] - 0.05, float(finding["scores"].min())), 1.05)
        axes.set_title(f"{finding.name}: {self.spec.latent}", color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure
