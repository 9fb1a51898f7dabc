"""The contract of a learner: a LightningModule that trains a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.func import vmap

from zoo.models.dynamics import Output
from zoo.network import Network
from zoo.specs.families import LearnerSpec
from zoo.tasks.base import Batch


class Learner(L.LightningModule):
    """A rule by which a network learns, built from ``(spec, network)``.

    A new rule gives ``training_step``, which gets a :class:`~zoo.tasks.base.Batch`, and
    ``configure_optimizers``; whatever changes weights does so through an optimizer object, so that
    Lightning's counters, checkpoints and limits keep working. Batches are counted by the zoo in
    ``network.batches_seen``: Lightning's ``global_step`` counts optimizer steps.
    """

    vectorises: ClassVar[bool] = False
    """Whether it is gradient descent on :meth:`loss` by the optimizer, clipping and schedule of its spec, so
    that several networks can be trained by it at once."""

    distributes: ClassVar[bool] = False
    """Whether all that it changes follows from the mean of a loss over the examples of a batch, by one
    backward pass, so that devices can share the batch and average their gradients."""

    varies: ClassVar[frozenset[str]] = frozenset()
    """Fields of the spec, as dotted paths, in which networks may differ that are trained at once."""

    def __init__(self, spec: LearnerSpec, network: Network) -> None:
        super().__init__()
        self.spec = spec
        self.network = network

    @classmethod
    def reads_states(cls, spec: Any) -> bool:
        """Whether the loss looks at the states of the model, beside its output."""
        return True

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """What is minimised, from a forward pass; for learners that vectorise."""
        raise NotImplementedError

    def losses(self, specs: Sequence[Any], output: Output, batch: Batch) -> Tensor:
        """The losses ``[member]`` of several networks that learn by this rule, from a pass of all.

        ``specs`` of the members are that of this one, but for what ``varies``; tensors of ``output`` and
        ``batch`` have a leading member axis, and ``batch`` has no latents.
        """

        def one(y: Tensor, states: dict[str, Tensor], x: Tensor, target: Tensor, mask: Tensor) -> Tensor:
            return self.loss(Output(y, states), Batch(x, target, mask, torch.zeros(len(x)), {}))

        return vmap(one)(output.y, dict(output.states), batch.x, batch.y, batch.mask)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.network.batches_seen += 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        on_gpu = self.device.type == "cuda"
        cuda: Sequence[Tensor] = (torch.cuda.get_rng_state(self.device),) if on_gpu else ()
        checkpoint["zoo"] = {
            "batches_seen": self.network.batches_seen,
            "rng": torch.get_rng_state(),
            "rng_cuda": list(cuda),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["zoo"]
        self.network.batches_seen = state["batches_seen"]
        torch.set_rng_state(state["rng"])
        if state["rng_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["rng_cuda"][0])  # of the device in use, whichever it is now
