"""Symbols against plain loops that follow the definitions."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.specs.tasks.languages import TOMITA, AutomatonSpec, DyckSpec, RegularLanguageSpec
from zoo.specs.tasks.sequences import (
    GENERATORS,
    AddingSpec,
    CopySpec,
    CounterSpec,
    RecallSpec,
    WordProblemSpec,
    elements,
)
from zoo.tasks.languages import Dyck, RegularLanguage
from zoo.tasks.sequences import Adding, Copy, Counter, Recall, WordProblem, products


def test_parity_and_other_counters() -> None:
    parity = Counter(CounterSpec()).batch("long", 0, 0, 50)
    assert parity.x.shape == (50, 100, 1)
    assert set(parity.x.unique().tolist()) == {0.0, 1.0}
    for row in range(50):
        total = 0
        for t in range(100):
            total ^= int(parity.x[row, t, 0])
            assert parity.y[row, t].tolist() == [1 - total, total]
    clock = Counter(CounterSpec(modulus=12, increments=(-1, 0, 5), encoding="one-hot")).batch(
        "train", 0, 0, 9
    )
    steps = torch.tensor([-1, 0, 5])[clock.x.argmax(-1)]
    assert (clock.y.argmax(-1) == steps.cumsum(1) % 12).all()


@pytest.mark.parametrize(("group", "order"), [("S3", 6), ("S4", 24), ("S5", 120), ("A4", 12), ("A5", 60)])
def test_groups_are_groups(group: str, order: int) -> None:
    found = elements(GENERATORS[group])
    table, generators = products(GENERATORS[group])
    assert len(found) == order
    assert found[0] == tuple(range(len(found[0])))
    assert [found[k] for k in generators.tolist()] == list(GENERATORS[group])
    for rows in (table, table.T):
        assert (rows.sort(1).values == torch.arange(order)).all()
    for first, then in [(1, 2), (order - 1, 3), (2, order - 2)]:
        assert found[table[first, then]] == tuple(found[then][k] for k in found[first])


@pytest.mark.parametrize("symbols", ["elements", "generators"])
@pytest.mark.parametrize("group", ["S3", "A5"])
def test_words_are_multiplied_one_by_one(group: Any, symbols: Any) -> None:
    task = WordProblem(WordProblemSpec(group=group, symbols=symbols))
    batch = task.batch("long", 0, 0, 5)
    found = elements(GENERATORS[group])
    alphabet = found if symbols == "elements" else GENERATORS[group]
    for row in range(5):
        held = found[0]
        for t in range(128):
            symbol = alphabet[batch.x[row, t].argmax()]
            held = tuple(symbol[k] for k in held)
            assert found[batch.y[row, t].argmax()] == held
    assert len(batch.latents["product"].unique()) > 0.9 * len(found)


def test_a_group_of_ones_own() -> None:
    klein = WordProblemSpec(group="other", generators=((1, 0, 3, 2), (2, 3, 0, 1)))
    assert (klein.inputs, klein.outputs) == (4, 4)
    same = WordProblemSpec(group="S3", generators=((1, 0, 2), (0, 2, 1)), symbols="generators")
    assert (same.inputs, same.outputs) == (2, 6)


def belongs(language: str, word: str) -> bool:
    """As the language is described, not by an automaton."""
    match language:
        case "tomita-1":
            return re.fullmatch("1*", word) is not None
        case "tomita-2":
            return re.fullmatch("(10)*", word) is not None
        case "tomita-3":
            runs = [(symbol, len(list(run))) for symbol, run in itertools.groupby(word)]
            pairs = itertools.pairwise(runs)
            return not any(a[0] == "1" and a[1] % 2 and b[1] % 2 for a, b in pairs)
        case "tomita-4":
            return "000" not in word
        case "tomita-5":
            return word.count("0") % 2 == 0 == word.count("1") % 2
        case "tomita-6":
            return (word.count("0") - word.count("1")) % 3 == 0
    return re.fullmatch("0*1*0*1*", word) is not None


@pytest.mark.parametrize("language", TOMITA)
def test_languages_of_tomita(language: Any) -> None:
    automaton = TOMITA[language]
    for length in range(9):
        for word in itertools.product("01", repeat=length):
            state = 0
            for symbol in word:
                state = automaton.transitions[state][int(symbol)]
            assert (state in automaton.accepting) == belongs(language, "".join(word))
    batch = RegularLanguage(RegularLanguageSpec(language=language)).batch("train", 0, 0, 200)
    for row in range(200):
        word = "".join(map(str, batch.x[row].argmax(-1).tolist()))
        expected = [int(belongs(language, word[: t + 1])) for t in range(20)]
        assert batch.y[row].argmax(-1).tolist() == expected
    share = batch.latents["accepted"].double().mean()
    assert 0.2 < share < 0.95  # neither answer is always right


def test_errors_are_as_rare_as_declared() -> None:
    def words(error: float) -> torch.Tensor:
        spec = RegularLanguageSpec(language="tomita-2", error=error, steps=200)
        return RegularLanguage(spec).batch("train", 0, 0, 300).latents["state"]

    assert (words(0.0) < 2).all()
    ends = (words(0.02) == 2).int().argmax(1).double()  # every other error is one: a chance of 1 in 100
    assert ends[ends > 0].mean().item() == pytest.approx(70, abs=15)


def brackets(spec: DyckSpec, word: list[int]) -> list[list[int] | None]:
    """The stack after each bracket, and nothing from the first that is wrong."""
    stack: list[int] = []
    found: list[list[int] | None] = []
    wrong = False
    for token in word:
        if token < spec.brackets:
            stack.append(token)
            wrong |= len(stack) > spec.depth
        else:
            wrong |= not stack or stack.pop() != token - spec.brackets
        found.append(None if wrong else list(stack))
    return found


@pytest.mark.parametrize(("kinds", "depth"), [(1, 3), (2, 5), (3, 1)])
def test_brackets_match_and_what_may_come_next(kinds: int, depth: int) -> None:
    spec = DyckSpec(brackets=kinds, depth=depth, opens=0.6)
    batch = Dyck(spec).batch("train", 0, 0, 60)
    following: list[tuple[float, int]] = []
    for row in range(60):
        tokens = batch.x[row].argmax(-1).tolist()
        for t, stack in enumerate(brackets(spec, tokens)):
            assert stack is not None
            expected = [0.0] * (2 * kinds)
            opens = 1.0 if not stack else 0.0 if len(stack) == depth else 0.6
            expected[:kinds] = [opens / kinds] * kinds
            if stack:
                expected[kinds + stack[-1]] = 1 - opens
            assert batch.y[row, t].tolist() == pytest.approx(expected)
            if t + 1 < len(tokens) and 0 < opens < 1:
                following.append((opens, int(tokens[t + 1] < kinds)))
    if following:
        assert sum(f for _, f in following) / len(following) == pytest.approx(0.6, abs=0.04)


def test_any_symbol_comes_by_error_and_when_all_is_lost() -> None:
    spec = RegularLanguageSpec(language="tomita-1", error=1.0, steps=50)
    assert RegularLanguage(spec).batch("train", 0, 0, 100).x.mean((0, 1)).tolist() == pytest.approx(
        [0.5, 0.5], abs=0.03
    )
    batch = RegularLanguage(spec.updated(error=0.1)).batch("train", 0, 0, 200)
    lost = batch.latents["state"][:, :-1] == 1  # after a 0, nothing is only ones
    assert batch.x[:, 1:][lost].mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.03)


def test_depths_of_brackets_and_what_counts_as_closing() -> None:
    """Who always opens, and would close with the wrong bracket, is right only where none is open."""
    task = Dyck(DyckSpec(depth=3))
    batch = task.batch("train", 0, 0, 100)
    depth = (batch.x[..., :2].sum(-1) - batch.x[..., 2:].sum(-1)).cumsum(1)
    assert torch.equal(batch.latents["depth"], depth.long())
    wrong = torch.cat([torch.full_like(batch.y[..., :2], 2.0), 1 - batch.y[..., 2:]], -1)
    found = task.metrics(wrong, batch)
    torch.testing.assert_close(found["accuracy"], (depth == 0).float().mean(1))
    assert torch.equal(found["final_accuracy"], (depth[:, -1] == 0).float())


def test_strings_break_anywhere() -> None:
    batch = Dyck(DyckSpec(brackets=1, target="valid", steps=20)).batch("train", 0, 0, 500)
    first = batch.latents["valid"].sum(1)
    assert len(first[first < 20].unique()) > 10


def test_broken_strings_are_told() -> None:
    spec = DyckSpec(target="valid", brackets=2, depth=3)
    batch = Dyck(spec).batch("train", 0, 0, 300)
    for row in range(300):
        tokens = batch.x[row].argmax(-1).tolist()
        expected = [int(stack is not None) for stack in brackets(spec, tokens)]
        assert batch.y[row].argmax(-1).tolist() == expected
    assert 0.4 < batch.latents["valid"][:, -1].double().mean() < 0.65


@pytest.mark.parametrize("scattered", [False, True])
def test_symbols_are_said_again(scattered: bool) -> None:
    task = Copy(CopySpec(length=4, delay=6, scattered=scattered))
    batch = task.batch("train", 0, 0, 200)
    assert batch.x.shape == (200, 14, 9)
    assert (batch.x[..., 8].argmax(1) == 10).all()
    assert (batch.x[..., 8].sum(1) == 1).all()
    for row in range(200):
        shown = [t for t in range(14) if batch.x[row, t, :8].any()]
        assert len(shown) == 4
        assert scattered or shown == [0, 1, 2, 3]
        assert batch.y[row, 10:].argmax(-1).tolist() == batch.x[row, shown, :8].argmax(-1).tolist()
        assert batch.mask[row].tolist() == [0.0] * 10 + [1.0] * 4
    if scattered:
        seen = batch.x[:, :10, :8].sum((0, 2)) / 200
        assert (seen - 0.4).abs().max() < 0.12
    assert task.batch("delayed", 0, 0, 1).x.shape[1] == 58


def test_values_come_back_by_their_keys() -> None:
    batch = Recall(RecallSpec(pairs=5, queries=3)).batch("train", 0, 0, 200)
    for row in range(200):
        memory = {}
        for t in range(0, 10, 2):
            memory[batch.x[row, t, :8].argmax().item()] = batch.x[row, t + 1, 8:16].argmax().item()
        assert len(memory) == 5
        for t in range(10, 13):
            assert batch.x[row, t, 16] == 1
            assert batch.y[row, t].argmax().item() == memory[batch.x[row, t, :8].argmax().item()]
    assert (batch.x.sum(-1) == torch.tensor([1.0] * 10 + [2.0] * 3)).all()
    assert batch.mask.sum(1).unique().tolist() == [3.0]


def test_marked_numbers_are_added() -> None:
    task = Adding(AddingSpec(steps=31))
    batch = task.batch("train", 0, 0, 4000)
    rows = torch.arange(4000)
    expected = batch.x[rows, batch.latents["first"], 0] + batch.x[rows, batch.latents["second"], 0]
    torch.testing.assert_close(batch.y[:, -1, 0], expected)
    assert batch.latents["first"].max() == 14
    assert batch.latents["second"].min() == 15
    assert (batch.x[..., 1].sum(1) == 2).all()
    assert task.losses(torch.ones_like(batch.y), batch).mean().item() == pytest.approx(1 / 6, abs=0.01)
    assert task.metrics(batch.y + 0.039, batch)["accuracy"].all()
    assert not task.metrics(batch.y + 0.041, batch)["accuracy"].any()


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (CounterSpec, {"increments": [1, 3]}, "increments: has two that are the same modulo 2"),
        (CounterSpec, {"modulus": 1}, "modulus"),
        (WordProblemSpec, {"group": "other"}, "generators: says which group"),
        (WordProblemSpec, {"generators": [[1, 0, 2], [0, 0, 1]]}, r"generators\.1: \[0, 0, 1\] is no perm"),
        (WordProblemSpec, {"generators": [[1, 2, 0]]}, "generate a group of 3 elements; S3 has 6"),
        (
            WordProblemSpec,
            {"group": "other", "generators": [[1, 0, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 0]]},
            "more than 1,000",
        ),
        (RecallSpec, {"pairs": 9}, "pairs: 9 pairs need as many keys, and there are 8"),
        (AddingSpec, {"steps": 1}, "steps"),
        (RegularLanguageSpec, {"language": "other"}, "automaton: is given where"),
        (RegularLanguageSpec, {"automaton": {"transitions": [[0]], "accepting": [0]}}, "automaton: is given"),
        (AutomatonSpec, {"transitions": [[0, 1], [0]], "accepting": [0]}, r"transitions\.1: state 1 has"),
        (AutomatonSpec, {"transitions": [[0, 2]], "accepting": [0]}, r"transitions\.0: leads to states"),
        (AutomatonSpec, {"transitions": [[0]], "accepting": [1]}, "accepting: names states"),
        (DyckSpec, {"opens": 1.0}, "opens"),
        (DyckSpec, {"splits": {"more": {"brackets": 3}}}, "may not change the width"),
    ],
)
def test_impossible_sequences_are_refused(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind.model_validate(fields)
