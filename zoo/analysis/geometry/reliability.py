"""What moves CKA although the same can be read from a network (Davari et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen, latent
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.reliability import CKAReliabilitySpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

ROUNDING = 1e-6
"""Singular values below this share of the largest are no directions: activity is of single precision."""
POINTS = 41
"""Of the curve from a hundredth to ``far``."""


class CKAReliability(Measurement[CKAReliabilitySpec]):
    """CKA of a network with itself, changed in ways that keep what a linear map reads from it.

    A share ρ of the samples, moved by ``c v``, has for c → ∞ the CKA
    ``ρ/(1-ρ) ‖μ‖² / E‖x‖² √((Σλ)²/Σλ²)`` with what it was, where μ is the mean of these samples and λ the
    eigenvalues of the covariance of all, whatever v. Numbers, over ``cases``:

    - ``limit-error``: the largest difference from that limit of random subsets moved ``far``;
    - ``translated``: the mean CKA when half of the classes is moved by ``shift``; ``probe`` and
      ``probe-kept``: what a linear probe reads of the class on held-out samples, and the least share of it
      that is left after such a move, of a probe that is fitted again;
    - ``outlier``: the largest CKA when one sample is moved ``far``;
    - ``unrelated``: the mean CKA with the same samples in random order, and ``shared-outlier`` the least
      when one and the same sample is then moved ``far`` in both;
    - ``invertible``: the smallest CKA with a random invertible linear map of the activity.

    Arrays: ``moved`` ``[point]`` and ``similarity`` ``[case, point]``, CKA against how far each random subset
    was moved, and the ``limit`` ``[case]`` of each.
    """

    version = 2
    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        keep = chosen(run, spec)
        samples, classes = run.states[keep], self._classes(run, keep)
        if len(samples) < 10:
            raise AnalysisError(
                f"{spec.kind} needs 10 samples, and {name} gives {len(samples)}. Ask for more."
            )
        samples = samples - samples.mean(0)
        # In the span of the samples, so that nothing is moved where nothing is.
        _, values, basis = torch.linalg.svd(samples, full_matrices=False)
        if float(values[0]) == 0:
            raise AnalysisError(f"the chosen samples of {name} are all the same, so that CKA is not defined.")
        samples = samples @ basis[: int((values > ROUNDING * values[0]).sum())].T
        samples = samples / samples.square().sum(1).mean().sqrt()
        generator = torch.Generator().manual_seed(spec.seed % 2**63)

        subsets = self._subsets(len(samples), generator).to(samples.device)
        away = self._directions(samples, generator)
        moved = torch.logspace(-2, float(np.log10(max(spec.far, 0.1))), POINTS, dtype=samples.dtype).tolist()
        similarity = torch.stack([_cka(samples, _moved(samples, subsets, far * away)) for far in moved], 1)
        limit = self._limit(samples, subsets)
        numbers: dict[str, float | Tensor] = {"limit-error": (similarity[:, -1] - limit).abs().max()}
        numbers |= self._separable(samples, classes, generator, name)
        numbers |= self._outliers(samples, generator)
        maps = self._maps(samples, generator)
        numbers["invertible"] = _cka(samples, samples @ maps).min()
        arrays = {"moved": torch.tensor(moved), "similarity": similarity, "limit": limit}
        return Found(numbers, arrays)

    def _classes(self, run: Trajectories, keep: Tensor) -> Tensor:
        """``[sample]``. Raises :class:`AnalysisError` for a latent that tells no classes apart."""
        values, name = latent(run, self.spec.latent), calling(run.name)
        values = values[:, None].expand_as(keep) if values.ndim == 1 else values
        if values.shape != keep.shape or values.dtype.is_floating_point:
            raise AnalysisError(
                f"the latent {self.spec.latent!r} of {name} is no class (a whole number a trial or a "
                f"sample), which {self.spec.kind} reads. Give one that is."
            )
        found, counts = values[keep].unique(return_counts=True)
        if len(found) < 4 or int(counts.min()) < self.spec.folds:
            raise AnalysisError(
                f"{self.spec.kind} moves half of the classes and reads the others: {name} has {len(found)} "
                f"values of {self.spec.latent!r}, the rarest of {int(counts.min())} samples, and 4 of "
                f"{self.spec.folds} are needed. Ask for more trials, or for fewer 'folds'."
            )
        return values[keep]

    def _subsets(self, count: int, generator: torch.Generator) -> Tensor:
        """Random subsets of the samples, of 5 to 50 in a hundred ``[case, sample]``."""
        shares = 0.05 + 0.45 * torch.rand(self.spec.cases, 1, generator=generator)
        ranks = torch.rand(self.spec.cases, count, generator=generator).argsort(1).argsort(1)
        return ranks < (shares * count).round().clamp(min=1)

    def _directions(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Random directions of unit length ``[case, dimension]``."""
        found = torch.randn(self.spec.cases, samples.shape[1], generator=generator, dtype=samples.dtype)
        return (found / found.norm(dim=1, keepdim=True)).to(samples.device)

    def _maps(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Random invertible maps ``[case, dimension, dimension]`` of the condition number asked for."""
        width = samples.shape[1]
        drawn = torch.randn(2, self.spec.cases, width, width, generator=generator, dtype=samples.dtype)
        left, right = torch.linalg.qr(drawn.to(samples.device)).Q
        stretch = torch.logspace(0, float(np.log10(self.spec.condition)), width, dtype=samples.dtype)
        return (left * stretch.to(samples.device)) @ right

    def _limit(self, samples: Tensor, subsets: Tensor) -> Tensor:
        """Where CKA goes when subsets are moved ever further ``[case]``."""
        chosen_share = subsets.to(samples.dtype)
        share = chosen_share.mean(1)
        means = chosen_share @ samples / chosen_share.sum(1, keepdim=True)
        values = torch.linalg.svdvals(samples).square()
        spread = values.sum() / values.square().sum().sqrt()  # √ of the participation ratio
        size = samples.square().sum(1).mean()
        return share / (1 - share) * means.square().sum(1) / size * spread

    def _separable(
        self, samples: Tensor, classes: Tensor, generator: torch.Generator, name: str
    ) -> dict[str, float]:
        """Half of the classes moved, and what a linear probe still reads."""
        kinds = classes.unique()
        orders = torch.rand(self.spec.cases, len(kinds), generator=generator).argsort(1)
        away = self._directions(samples, generator)
        before = self._probe(samples, classes)
        kept, similarity = [], []
        for order, direction in zip(orders, away, strict=True):
            half = torch.isin(classes, kinds[order[: len(kinds) // 2].to(kinds.device)])
            other = _moved(samples, half[None], self.spec.shift * direction[None])
            similarity.append(float(_cka(samples, other)[0]))
            kept.append(self._probe(other[0], classes))
        if before == 0:
            raise AnalysisError(f"a linear probe reads nothing of {self.spec.latent!r} from {name}.")
        return {"translated": float(np.mean(similarity)), "probe": before, "probe-kept": min(kept) / before}

    def _probe(self, samples: Tensor, classes: Tensor) -> float:
        """Accuracy of linear discriminant analysis on held-out samples."""
        selection = need("sklearn.model_selection", "analysis", "A linear probe")
        folds = selection.StratifiedKFold(self.spec.folds, shuffle=True, random_state=0)
        right = 0
        for train, test in folds.split(classes.cpu().numpy(), classes.cpu().numpy()):
            fitted, held = (torch.from_numpy(rows).to(samples.device) for rows in (train, test))
            guess = discriminant(samples[fitted], classes[fitted], samples[held])
            right += int((guess == classes[held]).sum())
        return right / len(samples)

    def _outliers(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        cases, count = self.spec.cases, len(samples)
        one = torch.nn.functional.one_hot(torch.randint(count, (cases,), generator=generator), count) > 0
        one = one.to(samples.device)
        away = self.spec.far * self._directions(samples, generator)
        order = torch.rand(cases, count, generator=generator).argsort(1).to(samples.device)
        shuffled, moved = samples[order], _moved(samples, one, away)
        others = _moved(shuffled, one, self.spec.far * self._directions(samples, generator))
        return {
            "outlier": _cka(samples, moved).max(),
            "unrelated": _cka(samples, shuffled).mean(),
            "shared-outlier": _cka(moved, others).min(),
        }

    def figure(self, finding: Finding) -> Figure:
        """CKA of each random subset against how far it was moved, and where it goes."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.semilogx(finding["moved"], finding["similarity"].T, color=COLOURS[0], linewidth=0.8)
        axes.hlines(finding["limit"], finding["moved"][-1] / 30, finding["moved"][-1], color=FAINT, zorder=3)
        axes.set(xlabel="a subset is moved by (root mean square size)", ylabel="CKA with what it was")
        axes.set_ylim(0, 1.02)
        kept = finding.numbers["probe-kept"]
        axes.set_title(f"{finding.name}: a probe keeps {kept:.1%}", color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def discriminant(samples: Tensor, classes: Tensor, others: Tensor) -> Tensor:
    """Classes ``[other]`` of others, by linear discriminant analysis of ``samples`` ``[sample, unit]``.

    Distances from the means are taken as they are: multiplied out, as the decision of a hyperplane is, they
    would be lost in rounding where classes are far apart along directions that hardly vary within them.
    """
    kinds, which, counts = classes.unique(return_inverse=True, return_counts=True)
    share = torch.nn.functional.one_hot(which).to(samples)
    means = share.T @ samples / counts[:, None]
    _, values, basis = torch.linalg.svd(samples - means[which], full_matrices=False)
    kept = values > ROUNDING * values[0]
    whitening = basis[kept].T / values[kept] * (len(samples) - len(kinds)) ** 0.5
    distances = ((others[:, None] - means) @ whitening).square().sum(-1)
    return kinds[(distances - 2 * (counts / len(samples)).log()).argmin(1)]


def _moved(samples: Tensor, subsets: Tensor, away: Tensor) -> Tensor:
    """Samples ``[sample, dimension]`` or ``[case, sample, dimension]``, of which subsets ``[case, sample]``
    are moved by ``away`` ``[case, dimension]``."""
    return samples + subsets[..., None].to(samples.dtype) * away[:, None]


def _cka(x: Tensor, y: Tensor) -> Tensor:
    """Linear, biased CKA of samples × dimensions, batched. Centres, which moves undo."""
    x, y = (each - each.mean(-2, keepdim=True) for each in (x, y))
    x, y = (each / torch.linalg.norm(each, dim=(-2, -1), keepdim=True) for each in (x, y))
    sizes = [torch.linalg.norm(each.mT @ each, dim=(-2, -1)) for each in (x, y)]
    return (x.mT @ y).square().sum((-2, -1)) / (sizes[0] * sizes[1])
