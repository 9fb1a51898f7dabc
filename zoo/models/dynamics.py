"""The one interface of everything that iterates.

A dynamics has a state ``h`` of shape ``[batch, units]``, whatever it is made of inside, and four
methods that analyses rely on: ``step``, ``readout``, ``initial_state`` and ``rollout``. A new
architecture gives ``step`` and ``readout``; a faster way through a whole sequence (``unroll``) and one to
the derivatives of a step (``jacobians``) are optional and have a parity test.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from zoo.errors import AnalysisError
from zoo.models.base import Intervention, Model, Output

__all__ = ["Dynamics", "Intervention", "Output"]


class Pass(NamedTuple):
    """A pass in single steps that is under way."""

    time: int
    seen: dict[str, list[Tensor]]


class Dynamics(Model):
    """Base of all models that iterate."""

    iterates: ClassVar[bool] = True

    # What an architecture gives -------------------------------------------------------------

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, slice]:
        """Name of each part of the state → where it lies on the unit axis; the first one is read out, and
        those within it are groups of its units."""

    @abstractmethod
    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        """The next state ``[batch, units]`` from the state, the input ``[batch, inputs]``, and noise
        ``[batch, units]`` (already scaled by its deviation), if any."""

    @abstractmethod
    def decode(self, exposed: Tensor) -> Tensor:
        """The output ``[…, outputs]`` from the first part of the state ``[…, width]``."""

    def unroll(self, x: Tensor) -> Tensor | None:
        """All values of the first part, ``[batch, time, width]``, from ``x`` in one fast pass.

        ``None`` where there is no faster way than ``step``.
        """
        return None

    def unroll_noisy(self, x: Tensor, noise: Tensor) -> Tensor | None:
        """The same with noise ``[batch, time, units]``."""
        return None

    def unroll_whole(self, x: Tensor) -> Tensor | None:
        """The whole state at all steps, ``[batch, time, units]``, where there is a fast way to it as well."""
        return None

    def jacobians(self, h: Tensor, u: Tensor) -> Tensor | None:
        """∂F/∂h ``[batch, unit, unit]`` of a step without noise, at states ``[batch, units]`` and inputs
        ``[batch, inputs]``, written out.

        ``None`` where that is no faster than automatic differentiation.
        """
        return None

    @property
    def inner_sites(self) -> tuple[str, ...]:
        """Sites inside a step, whose values ``[batch, width]`` it passes through :meth:`at`: they are no part
        of the state."""
        return ()

    # What follows from it -------------------------------------------------------------------

    _pass: Pass | None = None

    def at(self, site: str, value: Tensor) -> Tensor:
        """Says what a site inside a step holds, and gives it back as interventions leave it."""
        if self._pass is not None:
            if site in self._interventions:
                value = self._interventions[site](value, self._pass.time)
            self._pass.seen[site].append(value)
        return value

    @property
    def units(self) -> int:
        """Width of the flat state."""
        return max(part.stop for part in self.parts.values())

    @property
    def sites(self) -> tuple[str, ...]:
        """What can be captured: the input, each part of the state, the whole state, what is inside a step,
        the output."""
        whole = () if self.units == self.parts[self.exposed].stop else ("state",)
        return ("input", *self.parts, *whole, *self.inner_sites, "output")

    @property
    def exposed(self) -> str:
        return next(iter(self.parts))

    def readout(self, h: Tensor) -> Tensor:
        """The output ``[…, outputs]`` from the flat state ``[…, units]``."""
        return self.decode(h[..., self.parts[self.exposed]])

    def initial_state(self, batch: int) -> Tensor:
        """``[batch, units]`` of zeros, on the model's device and of its type."""
        like = self.like
        return torch.zeros(batch, self.units, dtype=like.dtype, device=like.device)

    def rollout(
        self, h0: Tensor, u: Tensor | None = None, steps: int | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """States ``[batch, steps, units]`` that follow ``h0`` ``[batch, units]``.

        ``u`` is ``[batch, steps, inputs]``, or none for an autonomous run of ``steps`` with zero input.
        """
        if u is None:
            if steps is None:
                raise AnalysisError("a rollout needs an input sequence or a number of steps.")
            u = h0.new_zeros(h0.shape[0], 1, self.inputs).expand(-1, steps, -1)
        h, states = h0, []
        for t in range(u.shape[1] if steps is None else steps):
            h = self.step(h, u[:, t], None if noise is None else noise[:, t])
            states.append(h)
        return torch.stack(states, 1)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Output:
        """Outputs and states for input sequences ``x`` ``[batch, time, inputs]`` from the initial state.

        Takes the fast pass unless noise, an intervention or a part of the state beyond the first asks
        for single steps, where there is no fast way with it.
        """
        if noise is None and self.training:
            noise = self.noise(x.shape[0], x.shape[1])
        wanted = set().union(*(sites for sites, _ in self._captures)) if self._captures else set()
        width = self.parts[self.exposed].stop  # areas are parts of the part that is read out
        inner = {name: part for name, part in self.parts.items() if part.stop <= width}
        found, parts = None, inner
        if not self._interventions:
            if wanted <= {"input", *inner, "output"}:
                found = self.unroll(x) if noise is None else self.unroll_noisy(x, noise)
            elif noise is None:
                found, parts = self.unroll_whole(x), dict(self.parts)
        if found is not None:
            if parts is not inner and "state" in self.sites:
                parts["state"] = slice(0, self.units)
            states = {"input": x, **{name: found[..., part] for name, part in parts.items()}}
            y = self.decode(found[..., :width])
        else:
            x, states, y = self._stepwise(x, noise)
        self._captured({**states, "output": y})
        return Output(y, states)

    def _stepwise(self, x: Tensor, noise: Tensor | None) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        edit = self._interventions
        h, inputs, states, outputs = self.initial_state(x.shape[0]), [], [], []
        inside: dict[str, list[Tensor]] = {site: [] for site in self.inner_sites}
        for t in range(x.shape[1]):
            u = edit["input"](x[:, t], t) if "input" in edit else x[:, t]
            self._pass = Pass(t, inside) if inside else None
            try:
                h = self.step(h, u, None if noise is None else noise[:, t])
            finally:
                self._pass = None
            for name, part in self.parts.items():
                if name in edit:
                    h = torch.cat([h[:, : part.start], edit[name](h[:, part], t), h[:, part.stop :]], 1)
            if "state" in edit:
                h = edit["state"](h, t)
            y = self.readout(h)
            inputs.append(u)
            states.append(h)
            outputs.append(edit["output"](y, t) if "output" in edit else y)
        flat, u = torch.stack(states, 1), torch.stack(inputs, 1)
        parts = {name: flat[..., part] for name, part in self.parts.items()}
        whole = {"state": flat} if "state" in self.sites else {}
        within = {site: torch.stack(values, 1) for site, values in inside.items()}
        return u, {"input": u, **parts, **whole, **within}, torch.stack(outputs, 1)
