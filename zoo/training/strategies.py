"""What Lightning is told of the devices that train a network, and what is refused before it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.plugins.precision import FSDPPrecision
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy
from lightning_utilities.core.rank_zero import rank_zero_only
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel,
    OptimStateKeyType,
    StateDictType,
)

from zoo.errors import RankLostError, TrainingError, cut
from zoo.specs.experiment import TrainSpec
from zoo.training.place import Place


def options(train: TrainSpec, place: Place) -> dict[str, Any]:
    """Arguments of Lightning's trainer: accelerator, devices, nodes, strategy, precision, environment.

    Raises :class:`TrainingError` for what this machine cannot do.
    """
    kind = accelerator(train, place)
    found: dict[str, Any] = {"accelerator": kind, "precision": train.precision}
    environment = Started(place)
    if place.world == 1:
        # A launcher may have started this process as one of several, to train other networks.
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
        return {**found, "devices": 1, "plugins": [environment]}
    found |= {"devices": place.world // place.nodes, "num_nodes": place.nodes}
    if train.strategy != "fsdp":
        return {**found, "strategy": DDPStrategy(cluster_environment=environment)}
    return {**found, "strategy": Sharded(train.precision, environment), "precision": None}


def accelerator(train: TrainSpec, place: Place) -> str:
    """Which of ``cpu``, ``cuda`` and ``mps`` trains. Raises :class:`TrainingError` where there is none."""
    cuda = torch.cuda.device_count() if train.accelerator in ("auto", "gpu") else 0
    mps = train.accelerator != "cpu" and torch.backends.mps.is_available()
    if train.accelerator in ("gpu", "mps") and not (mps or (cuda and train.accelerator == "gpu")):
        raise TrainingError(
            f"train.accelerator is {train.accelerator}, and torch {torch.__version__} finds none here. "
            "Give train.accelerator=auto, or a torch that is built for the device."
        )
    kind = "cuda" if cuda else "mps" if mps else "cpu"
    devices = train.devices // place.nodes
    if train.devices > 1 and kind == "mps":
        raise TrainingError(
            f"train.devices is {train.devices}, and this machine has one GPU, which cannot be shared. "
            "Give train.devices=1, or train.accelerator=cpu for as many processes."
        )
    if kind == "cuda" and devices > cuda:
        raise TrainingError(
            f"{devices} devices are wanted of this machine, and torch sees {cuda} GPU here. "
            f"Give train.devices={cuda}, or train.accelerator=cpu for as many processes; under srun, let "
            "each task see all GPUs of its node (--gpus-per-node, not --gpus-per-task)."
        )
    if train.strategy == "fsdp" and train.devices > 1 and kind == "cpu" and "mixed" in train.precision:
        raise TrainingError(
            f"train.strategy=fsdp with train.precision={train.precision} needs GPUs: on the CPU sharded "
            "weights have one type. Give train.precision=32-true, or train.strategy=ddp."
        )
    return kind


@contextmanager
def losses_explained(world: int) -> Iterator[None]:
    """Makes the error of torch's communication, where another process is gone, one of ours."""
    try:
        yield
    except RuntimeError as problem:
        text = str(problem)
        signs = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "Socket", "store")
        if world == 1 or not any(sign in text for sign in signs):
            raise
        raise RankLostError(
            f"one of {world} processes that trained together is gone: {cut(text, 200)}. End the others, look "
            "into their logs, and call again: training goes on from the last saved state."
        ) from problem


class Started(ClusterEnvironment):
    """Processes that are there already: Lightning starts none, and none of its own guesses apply."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        nodes = os.environ.get("SLURM_STEP_NODELIST", "")
        first = SLURMEnvironment.resolve_root_node_address(nodes) if self.place.launcher == "srun" else ""
        return os.environ.get("MASTER_ADDR") or first or "127.0.0.1"

    @property
    def main_port(self) -> int:
        step = [int(os.environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
        return int(os.environ.get("MASTER_PORT") or 15_000 + (37 * step[0] + step[1]) % 15_000)

    @staticmethod
    def detect() -> bool:
        return False  # it is given, never found

    def world_size(self) -> int:
        return self.place.world

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.place.local

    def node_rank(self) -> int:
        return self.place.rank * self.place.nodes // self.place.world


class Sharded(FSDPStrategy):
    """Lightning's FSDP, but also on CPUs (gloo), in double precision, and with clipped gradients.

    States are saved whole, as other strategies save them, so that a run can go on with any of them.
    """

    def __init__(self, precision: str, environment: ClusterEnvironment) -> None:
        super().__init__(cluster_environment=environment, precision_plugin=_ShardedPrecision(precision))

    def _setup_model(self, model: torch.nn.Module) -> torch.nn.Module:
        return FullyShardedDataParallel(
            model, device_id=self.root_device, mixed_precision=self.mixed_precision_config, **self.kwargs
        )

    @property
    def wrapped(self) -> torch.nn.Module:
        """The module in its shards."""
        assert self.model is not None
        return self.model

    def gathered(self, change: bool = False) -> AbstractContextManager[None]:
        """While it lasts, the module has its whole weights on each rank; all enter and leave together."""
        context: AbstractContextManager[None] = FullyShardedDataParallel.summon_full_params(
            self.wrapped, writeback=change
        )
        return context

    # Lightning moves whole states to the CPU, which torch crashes on where they are there already.

    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        with self.gathered():
            state = self.lightning_module.state_dict()
            return {name: value.detach().cpu().clone() for name, value in state.items()}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        plain = getattr(optimizer, "_optimizer", optimizer)
        with self._whole_states():
            state = FullyShardedDataParallel.optim_state_dict(self.wrapped, plain)
        numbered: dict[str, Any] = FullyShardedDataParallel.rekey_optim_state_dict(
            state, OptimStateKeyType.PARAM_ID, self.wrapped
        )
        return numbered

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        assert self.lightning_module is not None
        checkpoint: dict[str, Any] = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        with self.gathered(change=True):
            self.lightning_module.load_state_dict(checkpoint["state_dict"])
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            named = FullyShardedDataParallel.rekey_optim_state_dict(
                state, OptimStateKeyType.PARAM_NAME, self.wrapped
            )
            with self._whole_states():
                optimizer.load_state_dict(
                    FullyShardedDataParallel.optim_state_dict_to_load(self.wrapped, optimizer, named)
                )
        return checkpoint

    def _whole_states(self) -> AbstractContextManager[None]:
        whole = {"offload_to_cpu": self.root_device.type != "cpu", "rank0_only": False}
        context: AbstractContextManager[None] = FullyShardedDataParallel.state_dict_type(
            self.wrapped,
            StateDictType.FULL_STATE_DICT,
            FullStateDictConfig(**whole),
            FullOptimStateDictConfig(**whole),
        )
        return context


class _ShardedPrecision(FSDPPrecision):
    def __init__(self, precision: Any) -> None:
        super().__init__("32-true" if precision == "64-true" else precision)
        if precision == "64-true":
            self._desired_input_dtype = torch.float64

    @property
    def mixed_precision_config(self) -> Any:
        return super().mixed_precision_config if "mixed" in self.precision else None

    def clip_grad_by_norm(self, optimizer: Any, clip_val: float) -> None:
        # Each rank has a part of every gradient. FSDP's own clip_grad_norm_ knows no double precision.
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        squares = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        torch.distributed.all_reduce(squares)
        scale = (clip_val / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale)
