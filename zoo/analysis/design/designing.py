"""Sequences that are designed by what a network says of them, and how fit they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.design.gibbs import Predictor
from zoo.analysis.design.rounds import genetic, gibbs
from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.learners.sequence_graph import grown, nearest
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import ObservationSpec
from zoo.specs.analyses.design import FitnessFitSpec, GibbsSpec, SequenceDesignSpec
from zoo.tasks.base import derive_seed
from zoo.tasks.edits import levenshtein
from zoo.tasks.fitness import SequenceFitness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class SequenceDesign(Measurement[SequenceDesignSpec]):
    """Numbers of the designs: ``fitness``, the median, from 0 for the least fit row of the table to 1 for the
    fittest; ``diversity``, the mean distance of two, and ``diversity_median``; ``novelty``, the median
    distance to the nearest of the pool, all in edits; ``predicted``, the median f; ``designs`` and
    ``rounds``, how many there are. ``start`` is the median fitness of what it began with, and ``pool_best``
    the largest of the pool.

    Arrays: ``designs`` ``[design, length]``, letters by number, from the largest f on, and their ``scores``;
    ``fitness`` and ``predicted`` ``[round + 1]``, medians of those of each round with the largest f.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One on sequences whose fitness is known."""
        on_sequences(network, name)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        task, predictor = served(self.spec, network)
        land, pool = task.landscape, task.pool(self.spec.split)
        generator = torch.Generator().manual_seed(derive_seed("design", self.spec.seed))
        sampler = self.spec.sampler
        if isinstance(sampler, GibbsSpec):
            found = gibbs(sampler, predictor, pool, self.spec.rounds, generator)
        else:
            found = genetic(sampler, predictor, pool, self.spec.rounds, generator)
        kept = [each.best(self.spec.designs) for each in found]
        if len(kept) < 2 or len(kept[-1].tokens) < 2:
            raise AnalysisError(
                f"sequence-design accepted {len(kept[-1].tokens) if len(kept) > 1 else 0} sequences of "
                f"{calling(run.name)}, too few to be measured. Give more proposals, or a higher temperature."
            )
        last = kept[-1]
        fit = [land.normalised(land.fitness(each.tokens)).double() for each in kept]
        between = levenshtein(last.tokens, last.tokens).double()
        pairs = between[tuple(torch.triu_indices(len(between), len(between), 1))]
        numbers: dict[str, float | Tensor] = {
            "fitness": fit[-1].median(),
            "diversity": pairs.mean(),
            "diversity_median": pairs.median(),
            "novelty": levenshtein(last.tokens, pool.tokens).double().min(1).values.median(),
            "predicted": last.value.median(),
            "designs": float(len(last.tokens)),
            "rounds": float(len(kept) - 1),
            "start": fit[0].median(),
            "pool_best": land.normalised(land.known[pool.rows].max()),
        }
        arrays = {
            "designs": last.tokens,
            "scores": fit[-1],
            "fitness": torch.stack([each.median() for each in fit]),
            "predicted": torch.stack([land.normalised(each.value).median() for each in kept]),
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The fitness of the designs, and what the network says of them, round by round."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        rounds = range(len(finding["fitness"]))
        axes.plot(rounds, finding["fitness"], color=COLOURS[0], linewidth=1.5, label="on the landscape")
        axes.plot(
            rounds, finding["predicted"], color=COLOURS[1], linewidth=1.5, linestyle="--", label="predicted"
        )
        axes.set(xlabel="round", ylabel="normalised fitness, median")
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


class FitnessFit(Measurement[FitnessFitSpec]):
    """Numbers: ``spearman``, the rank correlation with the measured scores of the whole table, and
    ``spearman_pool``, of the design pool; ``roughness``, fᵀ L f / fᵀ f over the graph, L being its normalised
    Laplacian."""

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One on sequences whose fitness is known."""
        on_sequences(network, name)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        task, predictor = served(self.spec, network)
        land, pool = task.landscape, task.pool(self.spec.split)
        generator = torch.Generator().manual_seed(derive_seed("fit", self.spec.seed))
        nodes = grown(pool.tokens, land.letters, self.spec.graph, generator)
        graph = nearest(nodes, land.letters, self.spec.graph)
        whole = predictor.value(land.tokens)
        return Found(
            {
                "spearman": spearman(whole, land.measured),
                "spearman_pool": spearman(whole[pool.rows], pool.scores),
                "roughness": graph.roughness(predictor.value(nodes)),
            }
        )


def on_sequences(network: Network, name: str) -> SequenceFitness:
    """The task of a network that says how fit sequences are. Raises :class:`AnalysisError` for any other."""
    if not isinstance(network.task, SequenceFitness):
        raise AnalysisError(
            f"{name} does not say how fit sequences are, as its task is {network.task.spec.kind!r}. Ask one "
            "on 'sequence-fitness'."
        )
    return network.task


def served(
    spec: SequenceDesignSpec | FitnessFitSpec, network: Network | None
) -> tuple[SequenceFitness, Predictor]:
    """The task of a network that says how fit sequences are, and what it says."""
    assert network is not None
    if spec.observe != ObservationSpec():
        raise AnalysisError(f"{spec.kind} looks at the output; leave out 'observe'.")
    task = on_sequences(network, calling(network.name))
    return task, Predictor(network.model, task.landscape.letters)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Of two vectors; those that are equal share the mean of their ranks."""
    return torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1]


def _ranks(values: Tensor) -> Tensor:
    _, index, count = torch.unique(values.double(), return_inverse=True, return_counts=True)
    end = count.cumsum(0).double()
    return (end - (count - 1) / 2)[index]
