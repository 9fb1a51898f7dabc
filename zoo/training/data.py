"""The data of a run as Lightning wants them: generated on the device, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as L

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
    """Batches of the network's task. Where several devices train, each takes its rows of the same batch."""

    def __init__(self, network: Network, train: TrainSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = train

    def train_dataloader(self) -> BatchNumbers:
        return BatchNumbers(self.network)

    def transfer_batch_to_device(self, batch: int, device: Any, dataloader_idx: int) -> Batch:
        """Turns the number of a batch into the batch."""
        whole = self.network.batch("train", self.spec.seed, batch, self.spec.batch_size)
        if self.trainer is None or self.trainer.world_size == 1:
            return whole
        return whole[self.trainer.global_rank :: self.trainer.world_size]
