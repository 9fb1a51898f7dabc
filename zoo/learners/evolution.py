"""Rules that follow no gradient: they try weights at random, and go where reward was."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from zoo.errors import SpecError
from zoo.learners.base import Update
from zoo.learners.rule import Rule
from zoo.models.perturbed import side_by_side
from zoo.network import Network
from zoo.registry import suggest
from zoo.specs.learners.evolution import EvolutionStrategiesSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]
WEIGHT, NOISE = "weight.", "noise"
"""What begins the names of what is drawn for weights, and the name of the noise that a model asks for."""


class EvolutionStrategies(Rule):
    """g = -Σ_i z_i ε_i / N, of N perturbed networks that are run side by side.

    All see the same batch and, where the model has noise, the same noise. Reported as loss is the mean of
    theirs. Raises :class:`SpecError` for a reward that the task does not measure.
    """

    vectorises = True
    spec: EvolutionStrategiesSpec

    def __init__(self, spec: EvolutionStrategiesSpec, network: Network) -> None:
        super().__init__(spec, network)
        self.sign = self._sign()

    @property
    def passes(self) -> int:
        return self.spec.samples

    def _sign(self) -> float:
        """Of the reward: whether more or less of what is measured is better."""
        name, task = self.spec.reward, self.network.task
        if name == "loss":
            return -1.0
        shown = task.batch("train", 0, 0, 1)
        try:
            known = list(task.metrics(shown.y, Batch(shown.x, shown.y, shown.mask, shown.example_id, {})))
        except KeyError:  # they read latents, which a rule is not given
            known = []
        if name not in known:
            raise SpecError(
                f"learner.reward: the task {task.spec.kind!r} measures no {name!r} of an output."
                f"{suggest(name, known)} Give one of: {', '.join(['loss', *known])}."
            )
        return -1.0 if name in task.errors else 1.0

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """ε of each of the model's parameters, ``[sample, …]``, the first half of them for twins."""
        model, count = self.network.model, self.spec.samples // (2 if self.spec.antithetic else 1)
        device = batch.x.device if generator is None else generator.device
        found = {
            WEIGHT + name: torch.randn(
                count, *each.shape, generator=generator, dtype=each.dtype, device=device
            )
            for name, each in model.named_parameters()
            if each.requires_grad
        }
        examples, steps = batch.x.shape[:2]
        noise = model.noise(examples, steps, generator)
        return found if noise is None else {**found, NOISE: noise}

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        spec, network = self.spec, self.network
        noise = drawn.get(NOISE)
        tried = {name.removeprefix(WEIGHT): each for name, each in drawn.items() if name != NOISE}
        if spec.antithetic:
            tried = {name: torch.cat([each, -each]) for name, each in tried.items()}

        def one(epsilon: Tensors) -> tuple[Tensor, Tensor]:
            moved = {name: weights[name] + spec.sigma * each for name, each in epsilon.items()}
            y = functional_call(network.model, {**weights, **moved}, (batch.x,), {"noise": noise}).y
            loss = network.losses(y, batch).mean()
            return loss, loss if spec.reward == "loss" else network.task.metrics(y, batch)[spec.reward].mean()

        losses, measured = side_by_side(network.model, one, tried)
        z = shaped(self.sign * measured, spec)
        found = {name: -torch.tensordot(z, each, 1) / len(z) for name, each in tried.items()}
        return Update(losses.mean(), found, {})


def shaped(rewards: Tensor, spec: EvolutionStrategiesSpec) -> Tensor:
    """z ``[sample]`` from rewards; zeros where all are equal."""
    apart = rewards - rewards.mean()
    if spec.shaping == "centred":
        return apart / spec.sigma
    if spec.shaping == "ranks":
        # Those that are equal share the mean of their ranks.
        above = (rewards[:, None] > rewards).to(rewards).sum(1)
        below = (rewards[:, None] < rewards).to(rewards).sum(1)
        return 0.5 * (above - below) / (len(rewards) - 1)
    deviation = apart.square().mean().sqrt()
    rounding = 1e-6 * rewards.abs().amax()  # what is left of the mean of equal rewards
    return torch.where(deviation > rounding, apart / (deviation + 1e-8), 0.0)
