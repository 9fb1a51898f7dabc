"""The automaton that a network has become, from clusters of its states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, FAINT, INK, MARKERS
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.automaton import AutomatonSpec
from zoo.tasks.machines import Machine, machine_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

ROUNDS, SAMPLES, DRAWN = 50, 4000, 2000
"""Rounds of k-means at most, states that it looks at, states that are drawn."""


class Automaton(Measurement[AutomatonSpec]):
    """Numbers: ``states`` of the minimal automaton; its ``fidelity``, the share of the steps of held-out
    trials at which it says what the network does; ``equivalent``, 1 if it answers every word as the
    automaton of the task, which has ``task-states``; ``correct``, the share of those steps at
    which it says what the task asks for; ``clusters`` that it was made of; ``consistency``, the share of the
    steps that lead where most of their cluster do; and ``unseen``, the share of pairs of cluster and symbol
    that no trial had, which are taken to lead nowhere else.

    Arrays: ``transitions`` and ``answers`` ``[state, symbol]`` of the minimal automaton, which starts in
    state 0; ``symbols`` ``[symbol, input]``; ``centres`` ``[cluster, unit]``; and for the picture ``seen``
    ``[sample, 2]``, states in their principal plane, and ``place`` ``[sample]``, the automaton's state there.
    """

    requires = frozenset({"network", "step", "inputs", "outputs", "initial"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One on a task that is an automaton."""
        machine_of(network.experiment.task)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        assert run.inputs is not None
        assert run.outputs is not None
        assert run.initial is not None
        spec, name = self.spec, calling(run.name)
        task, symbols = machine_of(network.experiment.task.for_split(spec.split))
        words = _words(run.inputs, symbols, name)
        said = run.outputs.argmax(-1).cpu().numpy()
        states = torch.cat([run.initial[:, None].to(run.states), run.states], 1).cpu()
        half = len(words) // 2
        if half < 1:
            raise AnalysisError(f"{spec.kind} holds out half of the trials; run 2 or more of {name}.")
        generator = torch.Generator().manual_seed(spec.seed)
        best: tuple[float, Machine, Tensor, Tensor, dict[str, float]] | None = None
        for count in spec.clusters:
            samples = states[:half].flatten(0, 1)
            kept = torch.randperm(len(samples), generator=generator)[:SAMPLES]
            centres = k_means(samples[kept], count, spec.restarts, generator)
            labels = torch.cdist(states, centres.expand(len(states), -1, -1)).argmin(2)
            machine, numbers = _machine(
                labels[:half].numpy(), words[:half], said[:half], len(centres), len(symbols)
            )
            fidelity = float((machine.follow(words[half:]) == said[half:]).mean())
            if best is None or fidelity > best[0]:
                best = fidelity, machine, centres, labels, numbers
            if fidelity >= spec.fidelity:
                break
        assert best is not None
        fidelity, machine, centres, labels, numbers = best
        least = machine.minimal()
        right = task.follow(words[half:])
        numbers = {
            "states": float(len(least.transitions)),
            "fidelity": fidelity,
            "equivalent": float(least.agrees(task)),
            "correct": float((least.follow(words[half:]) == right).mean()),
            "task-states": float(len(task.minimal().transitions)),
            "clusters": float(len(centres)),
            **numbers,
        }
        shown = states[half:, 1:].flatten(0, 1)[:DRAWN]
        middle = states.flatten(0, 1).mean(0)
        plane = torch.linalg.svd(shown - middle, full_matrices=False).Vh[:2]
        arrays = {
            "transitions": least.transitions,
            "answers": least.answers,
            "symbols": symbols,
            "centres": centres,
            "seen": (shown - middle) @ plane.T,
            "place": _places(least, words[half:]).reshape(-1)[:DRAWN],
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """States in their principal plane, a colour a state of the automaton; and its table."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.6, 4.2), layout="constrained")
        plane, table = figure.subplots(1, 2)
        seen, place = finding["seen"], finding["place"]
        for state in range(len(finding["transitions"])):
            here = seen[place == state]
            colour, marker = COLOURS[state % len(COLOURS)], MARKERS[state // len(COLOURS) % len(MARKERS)]
            plane.scatter(here[:, 0], here[:, -1], s=8, color=colour, marker=marker, linewidths=0)
            if len(here):
                plane.annotate(str(state), here.mean(0)[[0, -1]], color=INK, fontsize=9, weight="bold")
        plane.set(xlabel="first principal component", ylabel="second")
        plane.set_title(f"{finding.name}: states of the network", color=INK, fontsize=10)
        plane.spines[["top", "right"]].set_visible(False)
        leads, said = finding["transitions"], finding["answers"]
        table.imshow(leads, cmap="Greys", alpha=0.25, aspect="auto")
        if leads.size <= 400:
            for (state, symbol), to in np.ndenumerate(leads):
                text = f"{to} ({said[state, symbol]})"
                table.text(symbol, state, text, ha="center", va="center", fontsize=8, color=INK)
        table.set(xlabel="symbol", ylabel="state")
        table.set_xticks(range(leads.shape[1]))
        table.set_yticks(range(len(leads)))
        table.tick_params(color=FAINT)
        table.set_title("leads to (and says)", color=INK, fontsize=10)
        return figure


@torch.no_grad()
def k_means(samples: Tensor, count: int, restarts: int, generator: torch.Generator) -> Tensor:
    """Centres ``[cluster, unit]`` of samples ``[sample, unit]`` by Lloyd's rounds from distant first centres
    (Arthur & Vassilvitskii 2007), the best of some restarts; fewer where samples are."""
    best, least = samples[:1], float("inf")
    for _ in range(restarts):
        centres = samples[torch.randint(len(samples), (1,), generator=generator)]
        while len(centres) < count:
            apart = torch.cdist(samples, centres).min(1).values.square()
            if not bool(apart.max() > 0):
                break
            chosen = torch.multinomial(apart, 1, generator=generator)
            centres = torch.cat([centres, samples[chosen]])
        for _ in range(ROUNDS):
            apart, labels = torch.cdist(samples, centres).min(1)
            sizes = torch.bincount(labels, minlength=len(centres)).clamp_min(1)[:, None]
            moved = torch.zeros_like(centres).index_add_(0, labels, samples) / sizes
            if torch.equal(moved, centres):
                break
            centres = moved
        error = float(apart.square().sum())
        if error < least:
            best, least = centres, error
    return best


def _words(inputs: Tensor, symbols: np.ndarray, name: str) -> np.ndarray:
    """The symbol at each step ``[trial, time]``. Raises :class:`AnalysisError` for inputs that are none."""
    apart = torch.cdist(inputs.double().cpu(), torch.as_tensor(symbols).expand(len(inputs), -1, -1))
    nearest = apart.min(2)
    if float(nearest.values.max()) > 1e-6:
        raise AnalysisError(f"{name} was shown inputs that are no symbols of its task; take other trials.")
    return nearest.indices.numpy()


def _machine(
    labels: np.ndarray, words: np.ndarray, said: np.ndarray, clusters: int, symbols: int
) -> tuple[Machine, dict[str, float]]:
    """By the majority of steps, from labels ``[trial, time + 1]``, symbols and answers ``[trial, time]``."""
    symbols = int(words.max()) + 1 if words.size else 1
    pair = (labels[:, :-1] * symbols + words).ravel()
    to = np.zeros((clusters * symbols, clusters))
    np.add.at(to, (pair, labels[:, 1:].ravel()), 1)
    answers = np.zeros((clusters * symbols, int(said.max()) + 1))
    np.add.at(answers, (pair, said.ravel()), 1)
    unseen = to.sum(1) == 0
    leads = np.where(unseen, np.repeat(np.arange(clusters), symbols), to.argmax(1))
    numbers = {"consistency": float(to.max(1).sum() / to.sum()), "unseen": float(unseen.mean())}
    start = int(np.bincount(labels[:, 0]).argmax())
    shape = (clusters, symbols)
    return Machine(leads.reshape(shape), answers.argmax(1).reshape(shape), start), numbers


def _places(machine: Machine, words: np.ndarray) -> np.ndarray:
    """The state of a machine after each symbol of words ``[word, time]``."""
    state, places = np.full(len(words), machine.start), np.empty_like(words)
    for t in range(words.shape[1]):
        places[:, t] = state = machine.transitions[state, words[:, t]]
    return places
