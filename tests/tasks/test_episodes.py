"""Compositional hidden Markov models: the family, and Bayes' prediction against sums over all paths."""

from __future__ import annotations

import itertools

import pytest
import torch

from zoo.errors import SpecError
from zoo.specs.problems import validate
from zoo.specs.tasks.episodes import CompositionalHMMSpec
from zoo.tasks.episodes import CompositionalHMM, chances, parts


def test_bayes_predicts_as_sums_over_all_paths_do() -> None:
    spec = CompositionalHMMSpec(
        states=4, symbols=3, rules=2, maps=1, held_out=0, splits={}, steps=3, slip=0.2, noise=0.3
    )
    task = CompositionalHMM(spec)
    batch = task.batch("train", 0, 0, 3).to("cpu", torch.float64)
    follows, shows = chances(*parts(4, 3, 2, 1, 0), 3, 0.2, 0.3)

    def joint(word: list[int]) -> float:
        total = 0.0
        for rule, path in itertools.product(range(2), itertools.product(range(4), repeat=len(word))):
            p = shows[0, path[0], word[0]] / 8
            for (before, after), symbol in zip(itertools.pairwise(path), word[1:], strict=True):
                p = p * follows[rule, before, after] * shows[0, after, symbol]
            total += float(p)
        return total

    for row, x in zip(task.oracle(batch).exp(), batch.x, strict=True):
        word = x.argmax(1).tolist()
        for t in range(3):
            seen = word[: t + 1]
            expected = torch.tensor([joint([*seen, v]) for v in range(3)]) / joint(seen)
            torch.testing.assert_close(row[t], expected.double(), rtol=1e-5, atol=0)


def test_compositions_are_unlike_and_held_out_evenly() -> None:
    spec = CompositionalHMMSpec()
    cycles, onto = parts(spec.states, spec.symbols, spec.rules, spec.maps, spec.parts)
    words = set()
    for cycle, which in itertools.product(cycles.tolist(), onto.tolist()):
        state, word = 0, []
        for _ in range(6):
            word.append(which[state])
            state = cycle[state]
        assert state == 0
        words.add(min(tuple(word[k:] + word[:k]) for k in range(6)))
    assert len(words) == 25
    held = spec.for_split("held-out").pairs()
    assert len(held) == 5
    assert {rule for rule, _ in held} == {which for _, which in held} == set(range(5))
    assert not set(held) & set(spec.pairs())
    assert len(spec.pairs()) == 20


def test_episodes_are_of_their_latents() -> None:
    spec = CompositionalHMMSpec(slip=0.01, noise=0.01, steps=40)
    task, (cycles, onto) = CompositionalHMM(spec), parts(6, 4, 5, 5, 0)
    for split, pairs in (("train", spec.pairs()), ("held-out", spec.for_split("held-out").pairs())):
        batch = task.batch(split, 0, 0, 300)
        rule, which, state = (batch.latents[name] for name in ("rule", "map", "state"))
        assert set(zip(rule.tolist(), which.tolist(), strict=True)) == set(pairs)
        assert (onto[which].gather(1, state) == batch.x.argmax(2)).float().mean() > 0.98
        assert (cycles[rule].gather(1, state[:, :-1]) == state[:, 1:]).float().mean() > 0.98
        assert torch.equal(batch.x[:, 1:], batch.y[:, :-1])
        assert (state[:, 0].bincount(minlength=6) > 20).all()


def test_evidence_accumulates_and_the_excess_is_a_divergence() -> None:
    task = CompositionalHMM(CompositionalHMMSpec())
    batch = task.batch("test", 0, 0, 500)
    best = task.oracle(batch)
    nats = -(best * batch.y).sum(2).mean(0)
    assert nats[32:].mean() < 0.7 < 1.0 < nats[:8].mean()
    torch.testing.assert_close(best.exp().sum(2), torch.ones(500, 64))
    blind = torch.zeros_like(best)
    excess = task.metrics(blind, batch)["excess"].mean()
    assert excess == pytest.approx(
        float((task.losses(blind, batch) - task.losses(best, batch)).mean()), abs=0.02
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"symbols": 6}, "symbols: should be fewer than the 6 states"),
        ({"held_out": 22}, "held_out: leaves a rule or a map that is never seen"),
        ({"held_out": 0}, "none is held out; set held_out, or splits"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validate(CompositionalHMMSpec, {"kind": "compositional-hmm", **fields})


def test_a_family_that_cannot_be_drawn_is_refused() -> None:
    spec = CompositionalHMMSpec(states=3, symbols=2, rules=2, maps=2, held_out=1)
    with pytest.raises(SpecError, match="were not found"):
        CompositionalHMM(spec).batch("train", 0, 0, 1)
