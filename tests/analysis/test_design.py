"""Design of sequences: detailed balance by enumeration, clusters, rounds, and what is measured of designs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from examples import experiment
from torch import Tensor

import zoo
from zoo.analysis.design.designing import spearman
from zoo.analysis.design.gibbs import Predictor, accepted, moves, proposals
from zoo.analysis.design.rounds import among, clusters, heads
from zoo.errors import AnalysisError
from zoo.network import build
from zoo.specs.analyses.design import GibbsSpec
from zoo.tasks.edits import levenshtein
from zoo.tasks.fitness import SequenceFitness

EVERY = torch.cartesian_prod(*[torch.arange(4)] * 3)
"""All sequences of three of four letters."""


@pytest.fixture(scope="module")
def tiny() -> Predictor:
    """A network on sequences of three letters, in double precision and far from flat."""
    changes = {
        "task": {"kind": "sequence-fitness", "landscape": {"kind": "nk", "length": 3, "neighbours": 1}}
    }
    document = experiment("sequence-cnn", **changes, train={"precision": "64-true"})
    network = build(document.updated(model={**document.model.plain(), "kernel": 2}))
    for parameter in network.parameters():
        parameter.data.mul_(3)
    return Predictor(network.eval().model, 4)


def chain(predictor: Predictor, spec: GibbsSpec) -> Tensor:
    """The probabilities ``[64, 64]`` of going from each sequence to each, in one step, by enumeration."""
    value, logits = moves(predictor, EVERY, spec.temperature)
    number = (EVERY * torch.tensor([16, 4, 1])).sum(1)
    assert torch.equal(number, torch.arange(64))
    steps = torch.zeros(64, 64, dtype=torch.float64)
    for x in range(64):
        for site in range(3):
            for letter in range(4):
                then = EVERY[x].clone()
                then[site] = letter
                to = int((then * torch.tensor([16, 4, 1])).sum())
                there, back = logits[x, 4 * site + letter], logits[to, 4 * site + int(EVERY[x, site])]
                uniform = (torch.arange(20_000).double() + 0.5) / 20_000
                kept = accepted(spec, (value[x], there), (value[to], back), uniform).double().mean()
                steps[x, to] += there.exp() * kept
    return steps


def test_the_chain_has_detailed_balance(tiny: Predictor) -> None:
    """With respect to e^f, which is then what it samples; what was released has not."""
    weight = (tiny.value(EVERY) - tiny.value(EVERY).max()).exp()
    for acceptance, holds in (("stated", True), ("released", False)):
        spec = GibbsSpec(temperature=2.0, acceptance=acceptance)  # type: ignore[arg-type]
        flow = weight[:, None] * chain(tiny, spec)
        flow.fill_diagonal_(0)
        assert flow.max() > 1e-3
        assert ((flow - flow.mT).abs().max() < 1e-4 * flow.max()) == holds


def test_proposals_follow_the_softmax_of_slopes(tiny: Predictor) -> None:
    here = EVERY[27:28]
    found = moves(tiny, here, 0.5)
    x = torch.nn.functional.one_hot(here, 4).double().flatten(1).requires_grad_()
    value = tiny.model(x[:, None]).y.sum()
    (slope,) = torch.autograd.grad(value, x)
    slope = slope.view(3, 4)
    d = slope - slope[torch.arange(3), here[0]][:, None]
    torch.testing.assert_close(found.logits[0], torch.log_softmax(d.flatten() / 0.5, 0))
    torch.testing.assert_close(found.value[0], value.detach())


def test_what_is_accepted_from_a_sequence_is_what_the_chain_goes_to(tiny: Predictor) -> None:
    spec = GibbsSpec(temperature=2.0, proposals=20)
    step = chain(tiny, spec)
    count, here = torch.zeros(64), EVERY[27:28]
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        made, value = proposals(tiny, here, spec, generator)
        torch.testing.assert_close(value, tiny.value(made))
        assert not (made == here).all(1).any()
        count[(made * torch.tensor([16, 4, 1])).sum(1)] += 1
    expected = 1 - (1 - step[27]) ** 20  # each of twenty may lead there
    expected[27] = 0
    torch.testing.assert_close(count.double() / 200, expected, atol=0.12, rtol=0)
    assert count.sum() > 200


def test_clusters_are_of_what_is_near_and_their_heads_the_fittest() -> None:
    centres = torch.tensor([[0] * 6, [1] * 6, [2] * 6])
    tokens = centres.repeat_interleave(5, 0)
    tokens[torch.arange(15), torch.arange(15) % 6] = 3
    found = clusters(tokens, 3, 4)
    assert all(len(found[k : k + 5].unique()) == 1 for k in (0, 5, 10))
    assert len(found.unique()) == 3
    assert torch.equal(clusters(tokens, 15, 4), torch.arange(15))
    score = torch.zeros(15, dtype=torch.float64)
    score[[2, 7, 8]] = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    assert heads(found, score).tolist() == [2, 7, 8, 10, 11, 12, 13, 14]
    assert among(tokens[:3], tokens[1:2]).tolist() == [False, True, False]


def test_ranks_of_equal_values_are_shared() -> None:
    """As scipy.stats.spearmanr([1, 2, 2, 4], [1, 3, 2, 5]) has it: 0.9486832980505138."""
    assert spearman(torch.tensor([1, 2, 2, 4]), torch.tensor([1, 3, 2, 5])).item() == pytest.approx(0.9486833)


@pytest.mark.parametrize(
    "sampler",
    [
        {"kind": "gibbs", "proposals": 10, "clusters": 10, "temperature": 1.0},
        {
            "kind": "gibbs",
            "proposals": 10,
            "clusters": 10,
            "temperature": 1.0,
            "most": 20,
            "acceptance": "released",
        },
        {"kind": "genetic", "population": 10, "children": 5},
    ],
)
def test_what_is_measured_of_designs(sampler: dict[str, Any], tmp_path: Path) -> None:
    network = build(experiment("sequence-cnn", task="sequence-fitness-potts")).eval()
    for parameter in network.parameters():
        parameter.data.mul_(3)  # or what was released keeps nothing
    asked: dict[str, Any] = {"sampler": sampler, "rounds": 3, "designs": 12}
    found = zoo.analyse([network], "sequence-design", **asked).only
    task, designs = network.task, torch.from_numpy(found["designs"])
    assert isinstance(task, SequenceFitness)
    land, pool = task.landscape, task.pool()
    fit = land.normalised(land.fitness(designs))
    assert 2 <= len(designs) <= 12
    assert len(torch.unique(designs, dim=0)) == len(designs) == found.numbers["designs"]
    assert not among(designs, pool.tokens).any()
    assert found.numbers["fitness"] == pytest.approx(fit.median().item(), rel=1e-5)
    between = levenshtein(designs, designs)[tuple(torch.triu_indices(len(designs), len(designs), 1))]
    assert found.numbers["diversity"] == pytest.approx(between.double().mean().item())
    near = levenshtein(designs, pool.tokens).min(1).values
    assert found.numbers["novelty"] == near.median()
    said = Predictor(network.model, 4).value(designs)
    assert (said.diff() <= 1e-9).all()
    assert found.numbers["predicted"] == pytest.approx(said.median().item(), rel=1e-5)
    assert len(found["fitness"]) == found.numbers["rounds"] + 1 == len(found["predicted"])
    again = zoo.analyse([network], "sequence-design", **asked).only
    assert (again["designs"] == found["designs"]).all()
    other = zoo.analyse([network], "sequence-design", **asked, seed=1).only
    assert other["designs"].shape != designs.shape or (other["designs"] != found["designs"]).any()
    assert found.plot(tmp_path / "rounds.png").stat().st_size > 0


def test_what_a_predictor_is_as_one() -> None:
    network = build(experiment("sequence-cnn")).eval()
    found = zoo.analyse([network], "fitness-fit", graph={"nodes": 100}).only.numbers
    assert found.keys() == {"spearman", "spearman_pool", "roughness"}
    assert all(abs(found[name]) <= 1 for name in ("spearman", "spearman_pool"))
    assert 0 < found["roughness"] < 2


def test_what_cannot_be_asked() -> None:
    perceptron = build(experiment("mlp", "digits"))
    with pytest.raises(AnalysisError, match=r"does not say how fit sequences are.* 'digits'"):
        zoo.analyse([perceptron], "sequence-design")
    network = build(experiment("sequence-cnn"))
    with pytest.raises(AnalysisError, match="leave out 'observe'"):
        zoo.analyse([network], "fitness-fit", observe={"units": 2})
    with pytest.raises(AnalysisError, match=r"accepted \d sequences .* Give more proposals"):
        zoo.analyse(
            [network],
            "sequence-design",
            sampler={"kind": "gibbs", "temperature": 1e-6, "proposals": 1, "clusters": 1},
        )
