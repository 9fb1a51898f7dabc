"""Sequences of symbols: counting, multiplying, copying, recalling, adding."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.sequences import (
    AddingSpec,
    CopySpec,
    CounterSpec,
    RecallSpec,
    WordProblemSpec,
    elements,
)
from zoo.tasks.automata import multiply
from zoo.tasks.base import Batch, Task
from zoo.tasks.scores import accuracies


class Symbolic(Task):
    """Base of tasks whose answer at each step that counts is one of several symbols."""

    independent = True

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: share of the steps that count at which the largest output is the right one;
        ``final_accuracy``: the same for the last step."""
        return accuracies(y, batch)


class Counter(Symbolic):
    """A sum modulo a number. Latents: ``count``, the sum so far, ``[example, time]``."""

    spec: CounterSpec

    def draw(self, spec: CounterSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        which = torch.randint(len(spec.increments), shape, generator=generator, device=device)
        added = torch.tensor(spec.increments, device=device)[which]
        count = added.cumsum(1) % spec.modulus
        x = added[..., None].float() if spec.encoding == "scalar" else _one_hot(which, len(spec.increments))
        mask = torch.ones(shape, device=device)
        return Batch(x, _one_hot(count, spec.modulus), mask, torch.zeros(examples), {"count": count})

    def oracle(self, batch: Batch) -> Tensor:
        increments = torch.tensor(self.spec.increments, device=batch.x.device)
        added = (
            batch.x[..., 0].round().long()
            if self.spec.encoding == "scalar"
            else increments[batch.x.argmax(-1)]
        )
        return _one_hot(added.cumsum(1) % self.spec.modulus, self.spec.modulus)


class WordProblem(Symbolic):
    """A product of group elements. Latents: ``product``, the number of the element so far, ``[example,
    time]``; 0 is the identity."""

    spec: WordProblemSpec

    def draw(self, spec: WordProblemSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, shape = generator.device, (examples, spec.steps)
        which = torch.randint(spec.inputs, shape, generator=generator, device=device)
        product = self._product(spec, which)
        y, mask = _one_hot(product, spec.outputs), torch.ones(shape, device=device)
        return Batch(_one_hot(which, spec.inputs), y, mask, torch.zeros(examples), {"product": product})

    def oracle(self, batch: Batch) -> Tensor:
        return _one_hot(self._product(self.spec, batch.x.argmax(-1)), self.spec.outputs)

    @staticmethod
    def _product(spec: WordProblemSpec, which: Tensor) -> Tensor:
        """Of the symbols with these numbers, up to each of them."""
        table, generators = products(spec.generating)
        if spec.symbols == "generators":
            which = generators.to(which.device)[which]
        return multiply(table.to(which.device), which)


class Copy(Symbolic):
    """Symbols to repeat. Latents: ``due``, 1 at the steps at which a symbol is to be said, ``[example,
    time]``."""

    spec: CopySpec

    def draw(self, spec: CopySpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, before = generator.device, spec.length + spec.delay
        symbols = torch.randint(spec.symbols, (examples, spec.length), generator=generator, device=device)
        place = torch.arange(spec.length, device=device).expand(examples, -1)
        if spec.scattered:
            chance = torch.rand(examples, before, generator=generator, device=device)
            place = chance.argsort(1)[:, : spec.length].sort(1).values
        shown = torch.zeros(examples, spec.steps, spec.symbols, device=device)
        shown.scatter_(1, place[..., None].expand(-1, -1, spec.symbols), _one_hot(symbols, spec.symbols))
        marker = torch.zeros(examples, spec.steps, 1, device=device)
        marker[:, before] = 1
        y = F.pad(_one_hot(symbols, spec.symbols), (0, 0, before, 0))
        due = (torch.arange(spec.steps, device=device) >= before).expand(examples, -1)
        mask = due.to(y.dtype)
        return Batch(torch.cat([shown, marker], -1), y, mask, torch.zeros(examples), {"due": due.long()})

    def oracle(self, batch: Batch) -> Tensor:
        shown = batch.x[..., :-1]
        order = shown.sum(-1).argsort(dim=1, descending=True, stable=True)
        place = order[:, : self.spec.length].sort(1).values
        said = shown.gather(1, place[..., None].expand(-1, -1, self.spec.symbols))
        return F.pad(said, (0, 0, batch.x.shape[1] - self.spec.length, 0))


class Recall(Symbolic):
    """Values by their keys. Latents, ``[example]``: ``pair``, the number of the pair that is asked for
    last."""

    spec: RecallSpec

    def draw(self, spec: RecallSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        order = torch.rand(examples, spec.key_symbols, generator=generator, device=device)
        keys = order.argsort(1)[:, : spec.pairs]
        values = torch.randint(spec.value_symbols, (examples, spec.pairs), generator=generator, device=device)
        asked = torch.randint(spec.pairs, (examples, spec.queries), generator=generator, device=device)
        told, width = 2 * spec.pairs, spec.key_symbols + spec.value_symbols
        x = torch.zeros(examples, spec.steps, width + 1, device=device)
        x[:, 0:told:2, : spec.key_symbols] = _one_hot(keys, spec.key_symbols)
        x[:, 1:told:2, spec.key_symbols : width] = _one_hot(values, spec.value_symbols)
        x[:, told:, : spec.key_symbols] = _one_hot(keys.gather(1, asked), spec.key_symbols)
        x[:, told:, width] = 1
        y = F.pad(_one_hot(values.gather(1, asked), spec.value_symbols), (0, 0, told, 0))
        mask = (torch.arange(spec.steps, device=device) >= told).expand(examples, -1).to(y.dtype)
        return Batch(x, y, mask, torch.zeros(examples), {"pair": asked[:, -1]})

    def oracle(self, batch: Batch) -> Tensor:
        spec, told = self.spec, 2 * self.spec.pairs
        keys, values = batch.x[:, 0:told:2, : spec.key_symbols], batch.x[:, 1:told:2, spec.key_symbols : -1]
        found = batch.x[:, told:, : spec.key_symbols] @ keys.transpose(1, 2) @ values
        return F.pad(found, (0, 0, told, 0))


class Adding(Task):
    """The sum of two marked numbers. Latents, ``[example]``: ``first`` and ``second``, the steps of the
    marks."""

    independent = True
    spec: AddingSpec

    def draw(self, spec: AddingSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, half = generator.device, spec.steps // 2
        numbers = torch.rand(examples, spec.steps, generator=generator, device=device)
        first = torch.randint(half, (examples,), generator=generator, device=device)
        second = torch.randint(half, spec.steps, (examples,), generator=generator, device=device)
        row = torch.arange(examples, device=device)
        marks = torch.zeros_like(numbers)
        marks[row, first] = marks[row, second] = 1
        x = torch.stack([numbers, marks], -1)
        mask = torch.zeros_like(numbers)
        mask[:, -1] = 1
        latents = {"first": first, "second": second}
        return Batch(x, self._sum(x), mask, torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return self._sum(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the output at the last step is within the tolerance of the sum."""
        away = (y - batch.y)[:, -1, 0].abs()
        return {"accuracy": (away <= self.spec.tolerance).to(y.dtype)}

    @staticmethod
    def _sum(x: Tensor) -> Tensor:
        """At the last step, and 0 before."""
        total = x.prod(-1).sum(1)[:, None, None]
        return F.pad(total, (0, 0, x.shape[1] - 1, 0))


def _one_hot(symbols: Tensor, width: int) -> Tensor:
    return F.one_hot(symbols, width).to(torch.get_default_dtype())


@cache
def products(generators: tuple[tuple[int, ...], ...]) -> tuple[Tensor, Tensor]:
    """The number of the product of each two elements, the first of which is applied first, ``[element,
    element]``; and the numbers of the generators."""
    found = elements(generators)
    number = {element: k for k, element in enumerate(found)}
    every = torch.tensor(found)
    joined = every[:, every].transpose(0, 1)  # [first, then, …]: what first becomes, then becomes
    places = len(found[0]) ** torch.arange(len(found[0]))
    codes = (every * places).sum(-1)
    order = codes.argsort()
    table = order[torch.searchsorted(codes[order], (joined * places).sum(-1))]
    return table, torch.tensor([number[each] for each in generators])
