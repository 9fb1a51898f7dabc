"""A loaded network, and training it on with a Trainer of one's own."""

from __future__ import annotations

import lightning.pytorch as L
import torch

import zoo
from zoo.training.data import TaskData
from zoo.training.run import quiet_lightning


def test_a_loaded_network_trains_on() -> None:
    network = zoo.load("sine-rate")
    seen = network.batches_seen
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    trainer = L.Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with quiet_lightning():
        trainer.fit(network.learner(), TaskData(network, network.experiment.train))
    assert network.batches_seen == seen + 3
    assert any(not torch.equal(value, before[name]) for name, value in network.model.state_dict().items())
    assert zoo.load("sine-rate").batches_seen == seen
