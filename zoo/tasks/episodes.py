"""Episodes, each about something else that has to be found out from its own beginning."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.specs.tasks.episodes import CompositionalHMMSpec
from zoo.tasks.automata import follow
from zoo.tasks.base import Batch, Task, derive_seed

TRIES = 2000


class CompositionalHMM(Task):
    """What comes next, in a model that is found out in the meantime. Latents: ``rule`` and ``map``,
    ``[example]``, and ``state``, the hidden one behind each input, ``[example, time]``."""

    independent = True
    uncertain = True
    errors = frozenset({"excess", "late_excess"})
    spec: CompositionalHMMSpec

    def draw(self, spec: CompositionalHMMSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, n, v = generator.device, spec.states, spec.symbols
        rules, maps = (each.to(device) for each in parts(n, v, spec.rules, spec.maps, spec.parts))
        pairs = torch.tensor(spec.pairs(), device=device)
        rule, which = pairs[torch.randint(len(pairs), (examples,), generator=generator, device=device)].T
        shape = (examples, spec.steps + 1)
        slips = torch.rand(shape, generator=generator, device=device) < spec.slip
        slips[:, 0] = True  # the first state is any
        anywhere = torch.randint(n, shape, generator=generator, device=device)
        state = follow(torch.where(slips[..., None], anywhere[..., None], rules[rule, None]))[:, 1:]
        errs = torch.rand(shape, generator=generator, device=device) < spec.noise
        anything = torch.randint(v, shape, generator=generator, device=device)
        symbol = F.one_hot(torch.where(errs, anything, maps[which].gather(1, state)), v).float()
        latents = {"rule": rule, "map": which, "state": state[:, :-1]}
        mask = torch.ones(examples, spec.steps, device=device)
        return Batch(symbol[:, :-1], symbol[:, 1:], mask, torch.zeros(examples, device=device), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """Logarithms of Bayes' predictions, with all compositions as likely beforehand, held out or not."""
        spec, x = self.spec, batch.x
        found = parts(spec.states, spec.symbols, spec.rules, spec.maps, spec.parts)
        follows, shows = (each.to(x) for each in chances(*found, spec.symbols, spec.slip, spec.noise))
        belief = x.new_full((len(x), spec.rules, spec.maps, spec.states), 1.0)
        predicted = []
        for seen in x.unbind(1):
            belief = belief * torch.einsum("nv,msv->nms", seen, shows)[:, None]
            belief = belief / belief.sum((1, 2, 3), keepdim=True)
            belief = torch.einsum("nrms,rst->nrmt", belief, follows)
            predicted.append(torch.einsum("nrms,msv->nv", belief, shows))
        return torch.stack(predicted, 1).log()

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``excess``: the divergence of the prediction from Bayes', in nats a step, which is the loss above
        Bayes' in expectation; and ``late_excess``, that over the second half of the episode."""
        best = self.oracle(batch)
        apart = (best.exp() * (best - y.log_softmax(-1))).sum(-1)
        return {"excess": apart.mean(1), "late_excess": apart[:, apart.shape[1] // 2 :].mean(1)}


@cache
def parts(states: int, symbols: int, rules: int, maps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rules ``[rule, state]``, each a cycle through all states, and maps ``[map, state]`` onto all symbols.

    The sequence of symbols that a composition gives without noise is that of no other, wherever it begins,
    and no shorter than the cycle. Raises :class:`SpecError` where so many cannot be found.
    """
    generator = torch.Generator().manual_seed(derive_seed("compositional-hmm", seed))
    for _ in range(TRIES):
        order = torch.rand(rules, states, generator=generator).argsort(1)
        cycles = torch.empty_like(order).scatter_(1, order, order.roll(-1, 1))
        onto = torch.cat(
            [
                torch.arange(symbols).expand(maps, -1),
                torch.randint(symbols, (maps, states - symbols), generator=generator),
            ],
            1,
        )
        onto = onto.gather(1, torch.rand(maps, states, generator=generator).argsort(1))
        words = onto[:, order].flatten(0, 1)  # [composition, state], in the order in which states come
        turned = torch.stack([words.roll(k, 1) for k in range(states)])
        value = (turned * symbols ** torch.arange(states)).sum(2)  # [turn, composition]
        primitive = all(len(each.unique()) == states for each in value.T)
        if primitive and len(value.amin(0).unique()) == rules * maps:
            return cycles, onto
    raise SpecError(
        f"{rules} rules and {maps} maps of {states} states to {symbols} symbols, of which no two "
        "compositions are alike, were not found. Ask for fewer, or for more states or symbols."
    )


def chances(cycles: Tensor, onto: Tensor, symbols: int, slip: float, noise: float) -> tuple[Tensor, Tensor]:
    """Probabilities of the next state ``[rule, state, state]`` and of a symbol ``[map, state, symbol]``."""
    states = cycles.shape[1]
    follows = (1 - slip) * F.one_hot(cycles, states).double() + slip / states
    return follows, (1 - noise) * F.one_hot(onto, symbols).double() + noise / symbols
