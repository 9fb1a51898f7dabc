"""The one interface of everything that is a model: a pass, its sites, and what may be done at them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import AnalysisError
from zoo.models.symmetry import Units
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.families import ModelSpec

Intervention = Callable[[Tensor, int], Tensor]
"""``fn(value, t) -> value``: replaces what a site holds at time step t; ``value`` is [batch, width]."""


@dataclass(frozen=True)
class Output:
    """What a forward pass gives."""

    y: Tensor
    """``[batch, time, output]``."""
    states: Mapping[str, Tensor]
    """Site → ``[batch, time, width]``."""
    cost: Tensor | None = None
    """What the pass costs a learner beside the loss, a single number: a regulariser of the model. Of several
    models at once, ``[model]``."""


class Model(nn.Module, ABC):
    """Base of all models: built from ``(spec, inputs, outputs)`` and nothing else.

    What iterates is a :class:`~zoo.models.dynamics.Dynamics`; a network of layers is a
    :class:`~zoo.models.layered.Layered`.
    """

    iterates: ClassVar[bool] = False
    """Whether there is a step from one state to the next."""

    vectorises: ClassVar[bool] = False
    """Whether ``vmap`` goes through its forward pass (with ``fused`` off, where it has that)."""

    surrogate: ClassVar[bool] = False
    """Whether gradients are surrogates of derivatives that are zero almost everywhere: right for training,
    and no linearisation of a step."""

    def __init__(self, spec: ModelSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.inputs = inputs
        self.outputs = outputs
        self._interventions: dict[str, Intervention] = {}
        self._captures: list[tuple[frozenset[str], dict[str, Tensor]]] = []

    # What a model gives ---------------------------------------------------------------------

    @property
    @abstractmethod
    def sites(self) -> tuple[str, ...]:
        """What can be captured: the input, what is inside, the output."""

    @property
    @abstractmethod
    def exposed(self) -> str:
        """The site that is looked at where none is named: the one that is read out."""

    @abstractmethod
    def forward(self, x: Tensor, noise: Tensor | None = None) -> Output:
        """Outputs and states for inputs ``x`` ``[batch, time, inputs]``."""

    @classmethod
    def varies(cls, spec: Any) -> frozenset[str]:
        """Fields of the spec in which models may differ that run side by side, by :meth:`many`."""
        return frozenset()

    @classmethod
    def many(
        cls,
        specs: Sequence[Any],
        weights: Mapping[str, Tensor],
        x: Tensor,
        noise: Tensor | None = None,
        states: bool = False,
    ) -> tuple[Tensor, Tensor | None] | tuple[Tensor, Tensor | None, Tensor] | None:
        """What several models of this kind give, in one pass that is faster than ``vmap``, if there is one.

        ``weights`` are their tensors by name, ``[model, …]``; ``x`` is ``[model, batch, time, inputs]``, or
        ``[batch, time, inputs]`` for all, and ``noise`` ``[model, batch, time, width]``. Gives the outputs
        ``[model, batch, time, outputs]`` and, if ``states``, the site :attr:`exposed`; and where a pass costs
        something, that ``[model]``. First derivatives with respect to the weights alone.
        """
        return None

    def symmetries(self) -> tuple[Units, ...]:
        """Groups of units whose order is arbitrary; none where the model does not say."""
        return ()

    def consolidate(self) -> None:
        """Told when pretraining is over: a model may put what it learned where nothing changes it."""

    # What follows from it -------------------------------------------------------------------

    @property
    def like(self) -> Tensor:
        """One of the model's own numbers, for their device and type: not every model has parameters."""
        return next(value for value in self.state_dict(keep_vars=True).values() if value.is_floating_point())

    def noise(self, batch: int, steps: int, generator: torch.Generator | None = None) -> Tensor | None:
        """Noise that the model asks for in training: ``[batch, steps, width]``, or none.

        From the generator, on the model's device; without one, from torch's own.
        """
        return None

    def complete(self, run: Trajectories) -> Trajectories:
        """Trajectories of a pass, with what the model knows of them beyond that; most know nothing more."""
        return run

    @contextmanager
    def capture(self, sites: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Fills the mapping that it yields with site → ``[batch, time, width]`` at each forward pass."""
        self._check_sites(sites)
        entry = (frozenset(sites), dict[str, Tensor]())
        self._captures.append(entry)
        try:
            yield entry[1]
        finally:
            self._captures.remove(entry)

    @contextmanager
    def intervene(self, changes: Mapping[str, Intervention]) -> Iterator[None]:
        """While it lasts, each site's value passes through its function, at every time step."""
        self._check_sites(changes)
        before = self._interventions
        self._interventions = {**before, **changes}
        try:
            yield
        finally:
            self._interventions = before

    def _captured(self, states: Mapping[str, Tensor]) -> None:
        """Hands the states of a pass, the output among them, to whoever captures."""
        for sites, into in self._captures:
            into.update({site: states[site] for site in sites})

    def _check_sites(self, sites: Sequence[str] | Mapping[str, Intervention]) -> None:
        for site in sites:
            if site not in self.sites:
                raise AnalysisError(
                    f"{type(self).__name__} has no site {site!r}.{suggest(site, self.sites)} "
                    f"Its sites: {', '.join(self.sites)}."
                )
