"""Rules that send errors back by other weights than those that brought the activity."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.learners import through
from zoo.learners.base import Update
from zoo.learners.chain import gradients, normal, run
from zoo.learners.rule import Rule
from zoo.models.cells import Readable
from zoo.models.layered import Layer, Layered
from zoo.network import Network
from zoo.specs.learners.feedback import AlignSpec, DirectFeedbackAlignmentSpec, FeedbackAlignmentSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]


class Chained(Rule):
    """A rule for chains of layers."""

    vectorises = True

    @property
    def layers(self) -> tuple[Layer, ...]:
        model = self.network.model
        assert isinstance(model, Layered)
        return model.layers_in_chain()


class FeedbackAlignment(Chained):
    """δ_k = φ'(a_k) ∘ B_{k+1}ᵀ δ_{k+1}, where the gradient has W_{k+1} for B_{k+1} (Lillicrap et al. 2016).

    It owns ``feedback.k``: B of the k-th layer above the first, ``[units, units below]``.
    """

    spec: FeedbackAlignmentSpec

    def __init__(self, spec: FeedbackAlignmentSpec, network: Network) -> None:
        super().__init__(spec, network)
        weights, drawing = network.model.state_dict(), self.generator()
        shapes = [weights[layer.weight] for layer in self.layers[1:]]
        self.feedback = nn.ParameterList(
            nn.Parameter(
                normal((value.shape[0], value.shape[1]), spec.scale * value.shape[1] ** -0.5, drawing, value),
                requires_grad=spec.feedback == "learned",
            )
            for value in shapes
        )

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        passed = run(self.layers, weights, batch.x)
        loss, slope = self.error(passed[-1].h, batch)
        found: dict[str, Tensor] = {}
        learned: dict[str, Tensor] = {}
        for k in reversed(range(len(passed))):
            inner, delta = passed[k].back(slope)
            layer = passed[k].layer
            found |= {**inner, **gradients(layer, passed[k].below, delta)}
            if k:
                slope = delta @ own[f"feedback.{k - 1}"]
                if self.spec.feedback == "learned":
                    learned[f"feedback.{k - 1}"] = layer.scale * found[layer.weight]
        return Update(loss, found, learned)


class DirectFeedbackAlignment(Chained):
    """δ_k = φ'(a_k) ∘ B_kᵀ e, with the error e of the output (Nøkland 2016).

    It owns ``feedback.k``: B of the k-th hidden layer, ``[outputs, units]``.
    """

    spec: DirectFeedbackAlignmentSpec

    def __init__(self, spec: DirectFeedbackAlignmentSpec, network: Network) -> None:
        super().__init__(spec, network)
        weights, drawing = network.model.state_dict(), self.generator()
        widths = [weights[layer.weight] for layer in self.layers[:-1]]
        outputs = network.model.outputs
        self.feedback = nn.ParameterList(
            nn.Parameter(
                normal((outputs, len(value)), spec.scale * len(value) ** -0.5, drawing, value),
                requires_grad=False,
            )
            for value in widths
        )

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        passed = run(self.layers, weights, batch.x)
        loss, error = self.error(passed[-1].h, batch)
        found: dict[str, Tensor] = {}
        for k, each in enumerate(passed):
            slope = error if k == len(passed) - 1 else error @ own[f"feedback.{k}"]
            inner, delta = each.back(slope)
            found |= {**inner, **gradients(each.layer, each.below, delta)}
        return Update(loss, found, {})


class Align(Chained):
    """δ_k = φ'(a_k⁰) ∘ W⁰_{k+1}ᵀ δ_{k+1} from the error of today's network, with ⁰ for the initial one; and
    ∂W_k = δ_k h_{k-1}ᵀ with the activity of then (zero) or of today (ada) (Boopathy & Fiete 2022).

    It owns ``initial``: the model as it was when the learner was made.
    """

    spec: AlignSpec

    def __init__(self, spec: AlignSpec, network: Network) -> None:
        super().__init__(spec, network)
        self.initial = copy.deepcopy(network.model).requires_grad_(False)

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        model = self.network.model
        return through.noise(model, batch, generator) if isinstance(model, Readable) else {}

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        frozen = {name: own[f"initial.{name}"] for name in weights}
        if isinstance(self.network.model, Readable):
            return self._through_time(self.network.model, weights, frozen, batch, drawn.get("noise"))
        now = run(self.layers, weights, batch.x)
        loss, slope = self.error(now[-1].h, batch)
        variant = self.spec.variant
        then = now if variant == "prop" else run(self.layers, frozen, batch.x)
        active = then if variant == "zero" else now
        found: dict[str, Tensor] = {}
        for k in reversed(range(len(now))):
            layer = now[k].layer
            inner, delta = then[k].back(slope)
            found |= {**inner, **gradients(layer, active[k].below, delta)}
            slope = layer.scale * (delta @ frozen[layer.weight])
        return Update(loss, found, {})

    def _through_time(
        self, model: Readable, weights: Tensors, frozen: Tensors, batch: Batch, noise: Tensor | None
    ) -> Update:
        """The same with time steps for layers."""
        x, variant = batch.x, self.spec.variant
        now, then = (through.run(model, each, x, noise) for each in (weights, frozen))
        read = through.decode(model, weights, now.states[:, 1:])
        loss, error = self.error(read.y, batch)
        back = now if variant == "prop" else then
        above, slopes = through.decode(model, frozen, back.states[:, 1:]).back(error)
        if variant != "zero":
            above = read.back(error)[0]
        active = then if variant == "zero" else now
        below = active.gradients(back.credit(slopes, then.weight), x)
        return Update(loss, through.together(below, above), {})
