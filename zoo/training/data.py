"""The data of a run as Lightning wants them: generated on the device, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn

from zoo.errors import TrainingError
from zoo.learners.base import Learner
from zoo.models.feedforward import BatchStatistics
from zoo.network import Network
from zoo.specs.experiment import TrainSpec
from zoo.tasks.base import Batch
from zoo.training.recorder import Counter


class BatchNumbers:
    """Numbers of the batches still to come. A resumed run goes on from what was counted before."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def __iter__(self) -> Iterator[int]:
        number = self.counter.batches_seen
        while True:
            yield number
            number += 1

    # Lightning asks for these before it believes that a stream can go on where it stopped.
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class TaskData(L.LightningDataModule):
    """Batches of the network's task. Where several devices train, each takes its rows of the same batch.

    Of ``n`` devices, device ``r`` has the examples ``r``, ``r + n``, ``r + 2 n``, … of every batch, and the
    noise that these would have had on a single device.
    """

    def __init__(self, network: Network, train: TrainSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = train

    def setup(self, stage: str) -> None:
        if self.trainer is not None and self.trainer.world_size > 1:
            share_noise(self.network, self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> BatchNumbers:
        return BatchNumbers(self.network)

    def transfer_batch_to_device(self, batch: int, device: Any, dataloader_idx: int) -> Batch:
        """Turns the number of a batch into the batch."""
        whole = self.network.batch("train", self.spec.seed, batch, self.spec.batch_size)
        if self.trainer is None or self.trainer.world_size == 1:
            return whole
        rank, world = self.trainer.global_rank, self.trainer.world_size
        if len(whole.x) % world:
            raise TrainingError(
                f"a batch of this task has {len(whole.x)} examples, which {world} devices cannot share "
                "equally. Change train.batch_size or train.devices."
            )
        return whole[rank::world]


def share_noise(network: Network, rank: int, world: int) -> None:
    """Have a model draw its noise for all examples of a batch, and use that of ``rank::world``.

    All ranks draw the same numbers, as the one device that would train by itself, so each example has its own
    noise whoever it is given to, and the generators stay together.
    """
    draw = network.model.noise

    def rows(batch: int, steps: int, generator: torch.Generator | None = None) -> Tensor | None:
        whole = draw(batch * world, steps, generator)
        return None if whole is None else whole[rank::world]

    network.model.noise = rows  # type: ignore[method-assign]


ACROSS = (BatchStatistics, nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)
"""Layers that look at a whole batch, or draw numbers on their own."""


def check_shareable(learner: Learner) -> None:
    """Raises :class:`TrainingError` where several devices would not train the network that one does."""
    experiment = learner.network.experiment
    devices = experiment.train.devices
    if not learner.distributes:
        raise TrainingError(
            f"the learner {experiment.learner.kind!r} does not say that {devices} devices can share its "
            "batches (its class would declare distributes = True). Give train.devices=1."
        )
    for name, module in learner.network.model.named_modules():
        if isinstance(module, ACROSS):
            raise TrainingError(
                f"the layer {name} ({type(module).__name__}) of the model {experiment.model.kind!r} would do "
                f"something else on {devices} devices than on one: it works on a whole batch, or draws "
                "numbers of its own. Give train.devices=1."
            )
