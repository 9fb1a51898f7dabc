"""From a checkpoint folder to a network, and back to the bytes of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checkpoints.folder import AGAIN, RECORD, SPEC, CheckpointFolder
from zoo.errors import CheckpointError, SpecError, UnknownNameError, brief, cut
from zoo.network import Network, assemble
from zoo.specs.claim import finite
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Tolerance

GOLDEN, LEDGER = "golden.safetensors", "ledger.safetensors"
TOLERANCES = {"cpu": Tolerance(rtol=1e-4, atol=1e-5), "cuda": Tolerance(rtol=1e-2, atol=1e-3)}
"""How far golden outputs may drift between machines of a class; float32, a few hundred steps."""

LARGEST, ROOM = 16, 2**24
"""Bytes of the largest number there is, and of the header of a file of weights, at most."""


def load_network(folder: CheckpointFolder, member: int | None = None, step: int | None = None) -> Network:
    """A trained network in eval mode on the CPU.

    ``member`` picks one of a population (the first without it), ``step`` a snapshot of its training.
    Loading is strict: raises :class:`CheckpointError` on a missing, additional or misshapen tensor,
    and :class:`UnknownNameError` for a member or step that the checkpoint does not have.
    """
    record = folder.record
    index, file = _place(folder, member, step)
    network = empty(_experiment(folder, index))
    _check_size(folder, file, network)
    fill(network, folder.tensors(file), str(folder.path / file))
    network.record = record
    owned = next(
        (name for name in (record.owned(index, step), record.owned(index)) if name in record.files), ""
    )
    if owned:
        network.owned = lambda: folder.tensors(owned)
    network.digest = origin(folder, member, step)
    network.batches_seen = record.steps[index] if step is None else step
    return network.eval()


def origin(folder: CheckpointFolder, member: int | None = None, step: int | None = None) -> str:
    """What identifies one network, without reading its weights: their SHA-256, and the member's number.

    Raises :class:`UnknownNameError` for a member or step that the checkpoint does not have.
    """
    index, file = _place(folder, member, step)
    entry = folder.record.files.get(file)
    return f"{entry.sha256 if entry else 'missing'}/{index}"  # which reading it will say


def empty(experiment: ExperimentSpec) -> Network:
    """The modules of an experiment without memory for their weights.

    Raises :class:`SpecError` where no machine could hold them.
    """
    try:
        with torch.device("meta"):
            return assemble(experiment)
    except (RuntimeError, MemoryError, OverflowError) as problem:
        why = str(problem).partition("\n")[0]
        raise SpecError(
            f"the model of {experiment.name} cannot be built: {brief(why, 200)}. Make it smaller."
        ) from problem


def fill(network: Network, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Give an empty network its weights. Raises :class:`CheckpointError` unless names and shapes agree."""
    expected = network.model.state_dict()
    wrong = [f"missing {name}" for name in expected.keys() - tensors.keys()]
    wrong += [f"unexpected {name}" for name in tensors.keys() - expected.keys()]
    wrong += [
        f"{name} is {tuple(tensors[name].shape)} rather than {tuple(expected[name].shape)}"
        for name in expected.keys() & tensors.keys()
        if tensors[name].shape != expected[name].shape
    ]
    if wrong:
        listed = "; ".join(cut(each, 120) for each in sorted(wrong)[:8])
        raise CheckpointError(
            f"{origin} does not fit the model that its spec.json declares: {listed}. "
            "Fetch the checkpoint again, or train it anew."
        )
    odd = [name for name, tensor in tensors.items() if _kind(tensor) != _kind(expected[name])]
    types = {tensors[name].dtype for name, _ in network.model.named_parameters()}
    if odd or len(types) > 1 or any(each.itemsize < 2 for each in types):
        held = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
        raise CheckpointError(
            f"{origin} holds {', '.join(held)}, which are not the kinds of numbers that the model of its "
            "spec.json has. Fetch the checkpoint again, or train it anew."
        )
    network.model.load_state_dict(dict(tensors), strict=True, assign=True)


@torch.no_grad()
def golden_outputs(members: Sequence[Network], trials: int) -> dict[str, Tensor]:
    """A probe from the test split, ``x`` [trial, time, input], and what each member answers, ``y``
    [member, trial, time, output]."""
    x = members[0].batch("test", 0, 0, trials).x
    return {"x": x, "y": torch.stack([network(x).y for network in members])}


@dataclass(frozen=True)
class Replay:
    """How one member's outputs compare with the stored ones."""

    member: int
    worst: float
    """Largest absolute difference."""
    holds: bool


@torch.no_grad()
def replay(folder: CheckpointFolder, device: str = "cpu") -> list[Replay]:
    """Run the golden probe again on a device; raises nothing on a difference, reports it."""
    x, answers = _probe(folder)
    allowed = folder.record.golden.get(torch.device(device).type) or TOLERANCES["cuda"]  # type: ignore[call-overload]
    found = []
    for index in range(folder.record.members or 1):
        network = load_network(folder, index if folder.record.members else None).to(device)
        try:
            y, expected = network(x.to(device)).y.cpu().double(), answers[index].double()
        except (RuntimeError, ValueError) as problem:
            why = brief(str(problem).partition("\n")[0], 200)
            raise CheckpointError(f"{folder.path / GOLDEN} cannot be replayed: {why}. {AGAIN}") from problem
        holds = torch.allclose(y, expected, rtol=allowed.rtol, atol=allowed.atol)
        found.append(Replay(index, (y - expected).abs().max().item(), holds))
    return found


def measure_members(
    folder: CheckpointFolder, device: str = "cpu", *, members: Sequence[int] | None = None
) -> dict[str, tuple[float | None, ...]]:
    """The metrics of the record measured again: ``split/name`` → a value for each member, or each of some."""
    found = []
    for index in range(folder.record.members or 1) if members is None else members:
        network = load_network(folder, index if folder.record.members else None).to(device)
        found.append(evaluate(network))
    names = dict.fromkeys(name for each in found for name in each)
    return {name: tuple(each.get(name) for each in found) for name in names}


def evaluate(network: Network) -> dict[str, float | None]:
    """Means over the splits that its experiment is measured on: ``split/name`` → value, none where it is
    no finite number."""
    return evaluated(network.experiment, network.measure, network.updates)


def evaluated(
    experiment: ExperimentSpec,
    measure: Callable[[str, int], Mapping[str, Tensor]],
    updates: Callable[[], Mapping[str, float | None]],
) -> dict[str, float | None]:
    """The same of whatever measures: split and trials → name → ``[example]``; and how its learner's update
    compares with the gradient."""
    evaluation = experiment.record.evaluation
    means = {
        f"{split}/{name}": values.mean().item()
        for split in evaluation.splits
        for name, values in measure(split, evaluation.trials).items()
    }
    return {**{name: finite(value) for name, value in means.items()}, **updates()}


def _probe(folder: CheckpointFolder) -> tuple[Tensor, Tensor]:
    """The golden inputs ``[trial, time, input]``, and outputs ``[member, trial, time, output]``.

    Raises :class:`CheckpointError` for others than the experiment and the record say.
    """
    golden, task, count = folder.tensors(GOLDEN), folder.experiment.task, folder.record.members or 1
    x, y = golden.get("x"), golden.get("y")
    sound = x is not None and y is not None and x.ndim == 3 and y.ndim == 4
    if sound and x is not None and y is not None:
        sound = x.is_floating_point() and y.is_floating_point() and x.numel() > 0
        sound = sound and x.shape[2] == task.inputs and y.shape == (count, *x.shape[:2], task.outputs)
    if x is None or y is None or not sound:
        raise CheckpointError(
            f"{folder.path / GOLDEN} does not hold inputs and outputs as the experiment has them. {AGAIN}"
        )
    return x, y


def _experiment(folder: CheckpointFolder, index: int) -> ExperimentSpec:
    """Of a member. Raises :class:`CheckpointError` where spec and record do not agree how many there are."""
    experiment, members = folder.experiment, folder.record.members
    population = experiment.population
    if (None if population is None else len(population)) != members:
        raise CheckpointError(f"{folder.path}: {SPEC} has other members than {RECORD}. {AGAIN}")
    return experiment.member(index)


def _check_size(folder: CheckpointFolder, file: str, network: Network) -> None:
    """Before anything is read or fetched: whether a file of this size can hold the model's tensors."""
    entry, expected = folder.record.files.get(file), network.model.state_dict().values()
    numbers = sum(tensor.numel() for tensor in expected)
    if entry is not None and not numbers <= entry.size <= numbers * LARGEST + ROOM:
        raise CheckpointError(
            f"{folder.path / file} has {entry.size:,} bytes, which cannot be the {numbers:,} numbers of the "
            f"model that its {SPEC} declares. {AGAIN}"
        )


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    """Numbers that may stand for each other: of floating point, complex, or whole."""
    return tensor.is_floating_point(), tensor.is_complex()


def _place(folder: CheckpointFolder, member: int | None, step: int | None) -> tuple[int, str]:
    """The number of a member, and the file with its weights."""
    record = folder.record
    count, index = record.members, member or 0
    if index >= (count or 1):
        has = "is a single network" if count is None else f"has members 0 to {count - 1}"
        raise UnknownNameError(f"{record.name} {has}; there is no {record.name}/{member}.")
    if step is not None and not record.series:
        raise UnknownNameError(f"{record.name} was published without snapshots, so there is no #{step}.")
    if step is not None and step not in record.series[index]:
        steps = ", ".join(f"#{s}" for s in record.series[index])
        raise UnknownNameError(f"{record.name}/{index} has no snapshot #{step}; it has {steps}.")
    return index, record.weights(index, step)
