"""What recurrent weights are held to: signs, masks, areas, and what is not trained."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from zoo.registry import suggest
from zoo.specs.base import Count, Fraction, Name, Seed, Spec, located
from zoo.specs.models.init import InitSpec

Density = Annotated[float, Field(gt=0, le=1)]
Frozen = Literal["input", "recurrent", "bias", "readout"]
RESERVED = ("input", "output", "state")
"""Sites that models have besides the parts of their state."""


class DaleSpec(Spec):
    """Dale's principle: all weights that leave a unit have one sign (Song, Yang & Wang 2016).

    The recurrent weights are |W| · sign, so that no update can break it. The first units of each area (of the
    layer, without areas) are excitatory.
    """

    excitatory: Fraction = 0.8
    """Share of the units, rounded in each area."""
    balanced: bool = True
    """Whether inhibitory weights begin as much larger as excitatory units are more, so that an average
    unit receives as much of both."""
    readout: Literal["all", "excitatory"] = "all"
    """Which units are read out."""


class FixedMaskSpec(Spec):
    """Connections that are drawn once and stay."""

    kind: Literal["fixed"] = "fixed"
    density: Density
    """Share of the possible connections that there are, rounded in each pair of areas."""
    seed: Seed | None = None
    """Of the draw. Without one, it follows from the experiment's seed, and each member has its own."""


class LearnedMaskSpec(Spec):
    """Connections that are learned with their weights: those with the highest scores, whose gradient is that
    of a mask of any value (edge-popup, Ramanujan et al. 2020)."""

    kind: Literal["learned"] = "learned"
    density: Density
    """Share of the possible connections that are in use at any time."""


class AreaSpec(Spec):
    """A named group of units, a site of its own."""

    size: Count
    input: bool = True
    """Whether it receives the network's input."""
    readout: bool = True
    """Whether the output is read from it."""


class ProjectionSpec(Spec):
    """Connections from one area to another."""

    source: Name
    target: Name
    density: Density = 1.0
    """Share of the possible connections that there are, drawn as by ``sparsity``, and times its density."""


class ConstraintsSpec(Spec):
    """What recurrent weights are held to throughout training. The defaults hold them to nothing.

    In gated cells masks and areas are the same for each gate.
    """

    dale: DaleSpec | None = None
    sparsity: Annotated[FixedMaskSpec | LearnedMaskSpec, Field(discriminator="kind")] | None = None
    self_connections: bool = True
    """Whether a unit may connect to itself."""
    areas: dict[Name, AreaSpec] = {}
    """Named groups of units, in the order in which they lie in the layer. Their sizes add up to it."""
    projections: Annotated[tuple[ProjectionSpec, ...], Field(strict=False)] | None = None
    """Which area connects to which, besides to itself. Without it, each to all."""
    fixed: Annotated[tuple[Frozen, ...], Field(strict=False)] = ()
    """Which weights keep their initial values: of the input, among the units, biases, of the readout."""
    learned_inputs: (
        Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)] | None
    ) = None
    """Numbers of the inputs whose weights are trained; those of the others keep their values. Without it,
    all, unless ``fixed`` names them."""

    @property
    def free(self) -> bool:
        """Whether they may be anything, trained or not."""
        return self == ConstraintsSpec(fixed=self.fixed)

    @property
    def drawn(self) -> bool:
        """Whether some of the possible connections are drawn at random."""
        sparse = any(projection.density < 1 for projection in self.projections or ())
        return sparse or isinstance(self.sparsity, FixedMaskSpec)

    def blocks(self, hidden: int) -> dict[tuple[str, str], tuple[int, int]]:
        """(target, source) → connections that are possible there, and those that are drawn; of areas that
        connect."""
        sizes = {name: area.size for name, area in self.areas.items()} or {"": hidden}
        share = self.sparsity.density if isinstance(self.sparsity, FixedMaskSpec) else 1.0
        possible = {(a, a): n * (n if self.self_connections else n - 1) for a, n in sizes.items()}
        densities = dict.fromkeys(possible, share)
        for projection in self._projections():
            pair = projection.target, projection.source
            possible[pair] = sizes[pair[0]] * sizes[pair[1]]
            densities[pair] = projection.density * share
        return {pair: (count, round(densities[pair] * count)) for pair, count in possible.items()}

    def in_use(self, hidden: int) -> int:
        """Connections that there are at a time."""
        drawn = sum(drawn for _, drawn in self.blocks(hidden).values())
        return round(self.sparsity.density * drawn) if isinstance(self.sparsity, LearnedMaskSpec) else drawn

    def _projections(self) -> tuple[ProjectionSpec, ...]:
        if self.projections is not None:
            return self.projections
        return tuple(ProjectionSpec(source=a, target=b) for a in self.areas for b in self.areas if a != b)

    def check(self, hidden: int, init: InitSpec, parts: tuple[str, ...]) -> None:
        """Raises, with the path below the model, where a layer of this size, whose state has these parts,
        cannot be held to it."""
        self._check_areas(hidden, parts)
        blocks = self.blocks(hidden)
        for number, projection in enumerate(self.projections or ()):
            possible, drawn = blocks[projection.target, projection.source]
            if not drawn:
                raise located(
                    f"leaves none of the {possible} connections from {projection.source} to "
                    f"{projection.target}: raise the density, or leave the projection out",
                    *_here("projections", number, "density"),
                )
        possible = sum(count for count, _ in blocks.values())
        if not possible:
            raise located("leaves no connection in a layer of one unit", *_here("self_connections"))
        if not self.in_use(hidden):
            raise located(
                f"leaves none of {possible} possible connections: raise it to at least {1 / possible:.2g}",
                *_here("sparsity", "density"),
            )
        if len(set(self.fixed)) == len(get_args(Frozen)) and not isinstance(self.sparsity, LearnedMaskSpec):
            raise located("leaves nothing to train", *_here("fixed"))
        if self.dale and self.dale.readout == "excitatory":
            sizes = [area.size for area in self.areas.values() if area.readout] or [hidden]
            if not any(round(self.dale.excitatory * size) for size in sizes):
                raise located("there is no excitatory unit to read out", *_here("dale", "readout"))
        if self.learned_inputs is not None and "input" in self.fixed:
            raise located("are inputs of which 'fixed' says that none is trained", *_here("learned_inputs"))
        if init.spectral_radius is not None and not _loops({pair for pair, (_, n) in blocks.items() if n}):
            raise located(
                "the connections that the constraints leave form no loop, so that no scale has a spectral "
                "radius: leave it out, or let units connect to themselves",
                "init",
                "spectral_radius",
            )
        self._check_init(init)

    def _check_areas(self, hidden: int, parts: tuple[str, ...]) -> None:
        total = sum(area.size for area in self.areas.values())
        if self.areas and total != hidden:
            raise located(f"their sizes add up to {total}, and hidden is {hidden}", *_here("areas"))
        for name in self.areas:
            if name in (*RESERVED, *parts):
                raise located(f"{name!r} is another site of the model: rename it", *_here("areas"))
        if self.projections is not None and not self.areas:
            raise located("there are no areas to connect: name them in 'areas'", *_here("projections"))
        seen = set()
        for number, projection in enumerate(self.projections or ()):
            for end in ("source", "target"):
                name = getattr(projection, end)
                if name not in self.areas:
                    guess = suggest(name, self.areas) or f" There are: {', '.join(self.areas)}."
                    raise located(f"there is no area {name!r}.{guess}", *_here("projections", number, end))
            pair = projection.source, projection.target
            if pair[0] == pair[1]:
                raise located("an area always connects to itself", *_here("projections", number))
            if pair in seen:
                raise located(f"{pair[0]} to {pair[1]} is there twice", *_here("projections", number))
            seen.add(pair)
        self._check_path()

    def _check_path(self) -> None:
        """That what enters can come out."""
        if not self.areas:
            return
        reached = {name for name, area in self.areas.items() if area.input}
        read = {name for name, area in self.areas.items() if area.readout}
        for ends, what in ((reached, "receives the input"), (read, "is read out")):
            if not ends:
                raise located(f"none of them {what}", *_here("areas"))
        pairs, before = self._projections(), 0
        while before != (before := len(reached)):
            reached |= {pair.target for pair in pairs if pair.source in reached}
        if not reached & read:
            raise located(
                f"no path leads from an area with input to one that is read out ({', '.join(read)})",
                *_here("projections"),
            )

    def _check_init(self, init: InitSpec) -> None:
        structure = [
            *(["self_connections"] if not self.self_connections else []),
            *(["sparsity"] if self.sparsity else []),
            *(["projections"] if self.projections is not None else []),
        ]
        if self.dale and init.distribution in ("orthogonal", "identity"):
            raise located(
                f"the signs of constraints.dale would undo it: an {init.distribution} matrix has both in a "
                "column, or units without connections; choose uniform or normal",
                "init",
                "distribution",
            )
        if init.distribution == "identity" and "self_connections" in structure:
            raise located(
                "constraints.self_connections is off, which leaves nothing of it", "init", "distribution"
            )
        if init.distribution == "orthogonal" and structure:
            raise located(
                f"constraints.{structure[0]} would undo it: choose uniform or normal", "init", "distribution"
            )
        if init.rank is not None and (structure or self.dale):
            raise located(
                f"constraints.{'dale' if self.dale else structure[0]} would undo it; a 'lowrank' network "
                "keeps its rank",
                "init",
                "rank",
            )


def _loops(pairs: Iterable[tuple[Any, Any]]) -> bool:
    """Whether some of these connections lead back to where they came from."""
    order: TopologicalSorter[Any] = TopologicalSorter()
    for target, source in pairs:
        order.add(target, source)
    try:
        order.prepare()
    except CycleError:
        return True
    return False


def _here(*path: Any) -> tuple[Any, ...]:
    return ("constraints", *path)
