"""Rules that compute their own updates, in place of a backward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import grad_and_value

from zoo.learners.backprop import make_optimizer, schedule
from zoo.learners.base import Learner, Update
from zoo.network import Network
from zoo.specs.learners.backprop import AdamSpec, AdamWSpec, SGDSpec
from zoo.specs.learners.rule import GradientRuleSpec, RuleSpec
from zoo.tasks.base import Batch, derive_seed


class Rule(Learner):
    """A rule of its own. A new one gives :meth:`update`, a function of its arguments alone.

    Where its spec is a :class:`~zoo.specs.learners.rule.GradientRuleSpec`, an update stands in for a
    gradient, and the optimizer of the spec makes changes of it; else it is the change itself. Either is
    handed to Lightning where a backward pass would be, so that steps, snapshots, clipping, schedules and
    states to resume from are those of backpropagation. What it owns it registers in its ``__init__``,
    drawn from :meth:`generator`.

    It ``vectorises`` if ``vmap`` goes through :meth:`update`: then members of a population train together.
    """

    varies = frozenset(
        {
            *(f"optimizer.{field}" for field in ("lr", "betas", "eps", "weight_decay", "momentum")),
            "clip_norm",
            "schedule",
        }
    )
    spec: RuleSpec

    def __init__(self, spec: RuleSpec, network: Network) -> None:
        super().__init__(spec, network)
        self._update: Update | None = None

    @abstractmethod
    def update(
        self,
        weights: Mapping[str, Tensor],
        own: Mapping[str, Tensor],
        batch: Batch,
        drawn: Mapping[str, Tensor],
    ) -> Update:
        """What a batch would change, where the model's tensors are ``weights`` and those of the rule ``own``.

        ``drawn`` is what :meth:`draw` gave. The batch has no latents.
        """

    @property
    def passes(self) -> int:
        """Passes through the network that :meth:`update` holds in memory at once, about."""
        return 8

    def generator(self) -> torch.Generator:
        """Of what the rule begins with: the same for the same ``train.seed``, and no other's."""
        seed = derive_seed("learner", self.network.experiment.train.seed)
        return torch.Generator().manual_seed(seed)

    def error(self, y: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of outputs ``[batch, time, output]``, and its gradient with respect to them."""

        def mean(y: Tensor) -> Tensor:
            return self.network.losses(y, batch).mean()

        slope, loss = grad_and_value(mean)(y)
        return loss, slope

    # What Lightning asks --------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        weights = {
            name: value.detach() for name, value in self.network.model.state_dict(keep_vars=True).items()
        }
        with torch.no_grad():
            self._update = self.update(weights, self.own(), batch, self.draw(batch))
        return self._update.loss

    def backward(self, loss: Tensor, *_: Any, **__: Any) -> None:
        """Hands out the update: there is no graph to go back through."""
        assert self._update is not None
        own = {name: each for name, each in self.named_parameters() if not name.startswith("network.")}
        hand_out(self._update.weights, dict(self.network.model.named_parameters()), is_change(self.spec))
        hand_out(self._update.own, own, is_change(self.spec))
        self._update = None

    def configure_optimizers(self) -> Any:
        learned = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(optimizer_of(self.spec), learned)
        scale = schedule(self.spec.schedule, self.network.experiment.train.steps)
        if scale is None:
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        most = getattr(self.spec, "clip_norm", None)
        if most is not None:
            self.clip_gradients(optimizer, gradient_clip_val=most, gradient_clip_algorithm="norm")


def is_change(spec: RuleSpec) -> bool:
    """Whether updates of the rule are changes, to be made as they are."""
    return not isinstance(spec, GradientRuleSpec)


def optimizer_of(spec: Any) -> AdamSpec | AdamWSpec | SGDSpec:
    """What applies the updates of a learner; plain steps of size 1 for changes."""
    return cast(AdamSpec | AdamWSpec | SGDSpec, getattr(spec, "optimizer", None) or SGDSpec(lr=1.0))


def hand_out(
    update: Mapping[str, Tensor], parameters: Mapping[str, torch.nn.Parameter], change: bool
) -> None:
    """Put an update where the optimizer looks for gradients. Raises :class:`KeyError` for a strange name."""
    for name, value in update.items():
        parameter = parameters[name]
        if parameter.requires_grad:
            given = value.detach().to(parameter.dtype)
            parameter.grad = (-given if change else given).contiguous()
