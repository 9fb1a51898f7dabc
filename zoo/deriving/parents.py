"""The networks that a derivation names, operand by operand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.checkpoints.folder import CheckpointFolder
from zoo.checkpoints.network import load_network
from zoo.errors import DerivationError
from zoo.hub.lookup import expand, fetch
from zoo.hub.reference import Reference
from zoo.network import Network
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.lineage import ParentSpec
from zoo.specs.population import SEED, PopulationSpec


@dataclass(frozen=True)
class Parent:
    """One network by its name, with the folder that holds it."""

    reference: Reference
    folder: CheckpointFolder

    @property
    def member(self) -> int:
        """Its number in its population; 0 of a single network."""
        return self.reference.member if isinstance(self.reference.member, int) else 0

    def load(self) -> Network:
        """The network, on the CPU."""
        network = load_network(self.folder, self.member, self.reference.step)
        network.reference = str(self.reference)
        return network

    def spec(self) -> ParentSpec:
        """What the lineage says of it."""
        record = self.folder.record
        file = record.weights(self.member, self.reference.step)
        return ParentSpec(reference=str(self.reference), sha256=record.files[file].sha256)


Operand = list[Parent]


def operands(named: Sequence[str | Sequence[str]]) -> list[Operand]:
    """The networks of each operand: one for each member of the result, or one for all.

    Raises :class:`UnknownNameError` for names that stand for nothing, :class:`DerivationError` where the
    operands have different numbers of networks.
    """
    folders: dict[Reference, CheckpointFolder] = {}
    found = []
    for names in named:
        texts = [names] if isinstance(names, str) else names
        operand = []
        for reference in (each for text in texts for each in expand(text)):
            whole = reference.whole()
            if whole not in folders:
                folders[whole] = fetch(whole)
            operand.append(Parent(reference, folders[whole]))
        found.append(operand)
    count = len(found[0])
    for names, operand in zip(named, found, strict=True):
        if len(operand) not in (1, count):
            first, other = (each if isinstance(each, str) else ", ".join(each) for each in (named[0], names))
            raise DerivationError(
                f"{first} is {count} networks and {other} is {len(operand)}. Give as many, or a single one, "
                "which then goes with each: name/0 is the first member of a population."
            )
    return found


def shared(operand: Operand) -> ExperimentSpec:
    """The experiment of the networks of the first operand: one, or a population of them.

    Raises :class:`DerivationError` for a population out of several checkpoints.
    """
    first = operand[0]
    if len(operand) == 1:
        return first.folder.experiment.member(first.member)
    for other in operand[1:]:
        if other.folder is not first.folder or other.reference.step != first.reference.step:
            raise DerivationError(
                f"{first.reference} and {other.reference} are of different checkpoints or steps: that is no "
                "population. Make a checkpoint of each, or take members of one population."
            )
    experiment = first.folder.experiment
    population = experiment.population
    numbers = [parent.member for parent in operand]
    if population is None or len(set(numbers)) < len(numbers):
        raise DerivationError(
            f"{first.reference} is named more than once in the first operand, whose networks are the members "
            "of what is made. Name each once."
        )
    if numbers == list(range(len(population))):
        return experiment
    points = tuple(population.variation(number, experiment.train.seed) for number in numbers)
    if SEED in population.paths or any(SEED in point for point in points):
        points = tuple({SEED: experiment.train.seed, **point} for point in points)
    return experiment.updated(population=PopulationSpec(points=points))
