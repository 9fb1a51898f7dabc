"""Formal languages: which strings belong to them, and what may come next."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.languages import AutomatonSpec, DyckSpec, RegularLanguageSpec
from zoo.tasks.automata import follow
from zoo.tasks.base import Batch, Task
from zoo.tasks.scores import accuracies, mean_over_time


class RegularLanguage(Task):
    """Membership of every prefix. Latents, ``[example, time]``: ``state`` of the automaton after the symbol,
    and ``accepted``, whether a string may end there."""

    independent = True
    spec: RegularLanguageSpec

    def draw(self, spec: RegularLanguageSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        errs = torch.rand(shape, generator=generator, device=device) < spec.error
        u = torch.rand(shape, generator=generator, device=device)
        transitions, accepting, choices, count = (each.to(device) for each in _tables(spec.accepted_by))
        # The symbol that would come in each state, whichever it is in; and where that leads.
        allowed = torch.where(errs[..., None], spec.inputs, count)
        place = (u[..., None] * allowed).long().clamp_max(allowed - 1)
        symbols = torch.where(errs[..., None], place, choices[torch.arange(len(count), device=device), place])
        leads = transitions[torch.arange(len(count), device=device), symbols]
        states = follow(leads)
        symbol = symbols.gather(2, states[:, :-1, None])[..., 0]
        accepted = accepting[states[:, 1:]]
        latents = {"state": states[:, 1:], "accepted": accepted}
        x, y = (F.one_hot(v, n).float() for v, n in ((symbol, spec.inputs), (accepted, 2)))
        return Batch(x, y, torch.ones(shape, device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        transitions, accepting, *_ = (each.to(batch.x.device) for each in _tables(self.spec.accepted_by))
        states = follow(transitions.T[batch.x.argmax(-1)])
        return F.one_hot(accepting[states[:, 1:]], 2).to(batch.y.dtype)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: share of the prefixes that are told right; ``final_accuracy``: of whole strings."""
        return accuracies(y, batch)


class Dyck(Task):
    """Nested brackets. Latents, ``[example, time]``: ``depth`` after the bracket, counted as if nothing were
    wrong, and ``valid``, whether nothing is so far."""

    independent = True
    spec: DyckSpec

    def draw(self, spec: DyckSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        opens = torch.rand(shape, generator=generator, device=device) < spec.opens
        kind = torch.randint(spec.brackets, shape, generator=generator, device=device)
        before = torch.arange(spec.depth + 1, device=device)
        up = (opens[..., None] & (before < spec.depth)) | (before == 0)
        depth = follow(before + 2 * up.long() - 1)
        rises = depth.diff(dim=1) > 0
        expected = _expected(rises, kind, depth, spec.depth)
        closing = expected.gather(2, depth[:, 1:, None].clamp_max(spec.depth - 1))[..., 0]
        tokens = torch.where(rises, kind, spec.brackets + closing)
        if spec.target == "valid":
            tokens = self._damaged(spec, tokens, generator)
        x = F.one_hot(tokens, spec.inputs).float()
        valid, after, top = _read(spec, tokens)
        y = self._target(spec, valid, after, top)
        latents = {"depth": after, "valid": valid.long()}
        return Batch(x, y, torch.ones(shape, device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return self._target(self.spec, *_read(self.spec, batch.x.argmax(-1))).to(batch.y.dtype)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: for ``next``, share of the steps at which the most likely bracket may come and,
        where one is open, the most likely one to close is that which closes it; for ``valid``, of the steps
        that are told right. ``final_accuracy``: the same for the last step."""
        if self.spec.target == "valid":
            return accuracies(y, batch)
        k = self.spec.brackets
        right = batch.y.gather(-1, y.argmax(-1, keepdim=True))[..., 0] > 0
        closing = batch.y[..., k:]
        closes = closing.gather(-1, y[..., k:].argmax(-1, keepdim=True))[..., 0] > 0
        right = (right & (closes | ~(closing > 0).any(-1))).to(y.dtype)
        return {"accuracy": mean_over_time(right, batch), "final_accuracy": right[:, -1]}

    @staticmethod
    def _damaged(spec: DyckSpec, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Every other string, at random, with a random bracket in place of one."""
        examples, device = len(tokens), tokens.device
        u = torch.rand(examples, generator=generator, device=device)
        where = torch.randint(spec.steps, (examples,), generator=generator, device=device)
        other = torch.randint(1, max(2, spec.inputs), (examples,), generator=generator, device=device)
        row = torch.arange(examples, device=device)
        tokens = tokens.clone()
        tokens[row, where] = torch.where(
            u < 0.5, (tokens[row, where] + other) % spec.inputs, tokens[row, where]
        )
        return tokens

    @staticmethod
    def _target(spec: DyckSpec, valid: Tensor, depth: Tensor, top: Tensor) -> Tensor:
        if spec.target == "valid":
            return F.one_hot(valid.long(), 2).float()
        opens = torch.where(depth == 0, 1.0, torch.where(depth == spec.depth, 0.0, spec.opens))
        closing = (1 - opens)[..., None] * F.one_hot(top, spec.brackets)
        return torch.cat([(opens / spec.brackets)[..., None].expand_as(closing), closing], -1)


def _expected(rises: Tensor, kind: Tensor, depth: Tensor, most: int) -> Tensor:
    """The kind of bracket that was last opened at each depth, up to each step, ``[example, time, depth]``; 0
    where none was. ``depth`` is that before each step and after the last."""
    time = torch.arange(rises.shape[1], device=rises.device)[:, None]
    levels = torch.arange(most, device=rises.device)
    here = rises[..., None] & (depth[:, :-1, None] == levels)
    latest = torch.where(here, time, -1).cummax(1).values
    found = kind.gather(1, latest.clamp_min(0).flatten(1)).view_as(latest)
    return torch.where(latest >= 0, found, 0)


def _read(spec: DyckSpec, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether a string is right up to each step, how many brackets are open after it, and which is on top (0
    where none is), ``[example, time]``."""
    rises = tokens < spec.brackets
    depth = F.pad((2 * rises.long() - 1).cumsum(1), (1, 0))
    after = depth[:, 1:]
    within = (after >= 0) & (after <= spec.depth)
    expected = _expected(rises, tokens.clamp_max(spec.brackets - 1), depth, spec.depth)
    matching = expected.gather(2, after.clamp(0, spec.depth - 1)[..., None])[..., 0]
    good = within & (rises | (matching == tokens - spec.brackets))
    top = expected.gather(2, (after - 1).clamp(0, spec.depth - 1)[..., None])[..., 0]
    return good.long().cummin(1).values > 0, after.clamp(0, spec.depth), torch.where(after > 0, top, 0)


@cache
def _tables(automaton: AutomatonSpec) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Transitions ``[state, symbol]``, whether to accept ``[state]``, and the symbols that may come in each
    state, ``[state, symbol]``, of which there are so many, ``[state]``: those after which a string can be
    completed, or all where there are none."""
    alive = set(automaton.accepting)
    for _ in automaton.transitions:
        alive |= {state for state, row in enumerate(automaton.transitions) if alive & set(row)}
    every = list(range(automaton.symbols))
    choices = [[s for s in every if row[s] in alive] or every for row in automaton.transitions]
    accepting = torch.zeros(len(choices), dtype=torch.int64)
    accepting[list(automaton.accepting)] = 1
    padded = torch.tensor([row + [0] * (len(every) - len(row)) for row in choices])
    return torch.tensor(automaton.transitions), accepting, padded, torch.tensor([len(row) for row in choices])
