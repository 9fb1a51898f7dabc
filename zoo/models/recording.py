"""Recorded activity in the place of a model: it is looked up, not computed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor

from zoo.errors import AnalysisError, SpecError
from zoo.models.dynamics import Dynamics, Intervention, Output
from zoo.models.trajectories import Trajectories
from zoo.specs.models.recording import RecordingSpec

LATENT = "latent_"


class Recording(Dynamics):
    """Trials ``states`` [trial, time, unit], and perhaps ``input``, ``output``, ``lengths`` and latents.

    They are buffers, so that a checkpoint carries them. The input of a pass is the number of a trial, at
    every step.
    """

    spec: RecordingSpec
    iterates = False
    states: Tensor

    def __init__(self, spec: RecordingSpec, inputs: int, outputs: int) -> None:
        if (inputs, outputs) != (1, spec.width):
            raise SpecError(
                f"a recording takes the number of a trial and gives {spec.width} outputs, and the task has "
                f"{inputs} inputs and {outputs} outputs.",
                f"Give it the task 'recorded' with width {spec.width}.",
            )
        if not torch.empty(
            ()
        ).is_meta:  # a checkpoint's is filled, and there is nothing to begin another with
            raise SpecError(
                "a recording cannot be trained or begun anew: all that it is was recorded.",
                "It is read from its source when its name is asked for, as by zoo.load."
                if spec.source
                else "Make one from arrays with: zoo import FILE --licence … --source … --output …",
            )
        super().__init__(spec, inputs, outputs)
        for name, (shape, whole) in contents(spec).items():
            self.register_buffer(name, torch.empty(shape, dtype=torch.int64 if whole else None))

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.spec.units)}

    @property
    def sites(self) -> tuple[str, ...]:
        """The recorded inputs and outputs too, where there are some."""
        return (*["input"] * bool(self.spec.channels), "h", *["output"] * bool(self.spec.outputs))

    def decode(self, exposed: Tensor) -> Tensor:
        """Only where the output is the activity: recorded outputs do not follow from it."""
        if self.spec.outputs:
            self._refuse("readout")
        return exposed

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        self._refuse("step")

    def initial_state(self, batch: int) -> Tensor:
        self._refuse("initial state")

    def intervene(self, changes: Mapping[str, Intervention]) -> AbstractContextManager[None]:  # type: ignore[override]
        self._refuse("step in which one could intervene")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Output:
        """Trials by number: ``x`` is ``[batch, time, 1]``, with the number of the trial at the first step.

        Raises :class:`AnalysisError` for a trial, or a time, that was not recorded.
        """
        number, steps = self._numbers(x), x.shape[1]
        states = {"h": self.states[number, :steps]}
        states |= {site: self.get_buffer(site)[number, :steps] for site in self.sites if site != "h"}
        for sites, into in self._captures:
            into.update({site: states[site] for site in sites})
        return Output(states.get("output", states["h"]), states)

    def complete(self, run: Trajectories) -> Trajectories:
        """With what was recorded beside the activity; what was not, such as an initial state, is none."""
        assert run.inputs is not None
        number, steps = self._numbers(run.inputs), run.inputs.shape[1]
        recorded = {name: self.get_buffer(name)[number] for name in contents(self.spec)}
        latents = {name.removeprefix(LATENT): v for name, v in recorded.items() if name.startswith(LATENT)}
        drive, outputs = recorded.get("input"), recorded.get("output")
        return replace(
            run,
            lengths=recorded.get("lengths"),
            inputs=None if drive is None else drive[:, :steps],
            outputs=None if outputs is None else outputs[:, :steps],
            targets=None,
            latents={**latents, **{name: v for name, v in run.latents.items() if name not in latents}},
        )

    def _numbers(self, x: Tensor) -> Tensor:
        number = x[:, 0, 0].round().long()
        most = self.spec.trials
        if x.shape[1] > self.spec.steps or bool(((number < 0) | (number >= most)).any()):
            raise AnalysisError(
                f"the recording has {most} trials of {self.spec.steps} steps, and {x.shape[1]} of trials "
                f"{', '.join(map(str, number.tolist()[:8]))} were asked for. Draw them from its own task."
            )
        return number

    def _refuse(self, what: str) -> NoReturn:
        raise AnalysisError(
            f"a recording has no {what}: it is activity that was recorded, not a network. Compare its "
            "trajectories, or ask a network that was trained."
        )


def contents(spec: RecordingSpec) -> dict[str, tuple[tuple[int, ...], bool]]:
    """What a recording holds: name of the tensor → its shape, and whether it is of whole numbers."""
    found: dict[str, tuple[tuple[int, ...], bool]] = {}
    for name, width in (("states", spec.units), ("input", spec.channels), ("output", spec.outputs)):
        if width:
            found[name] = (spec.trials, spec.steps, width), False
    if spec.ragged:
        found["lengths"] = (spec.trials,), True
    for name, latent in spec.latents.items():
        found[LATENT + name] = (spec.trials, *latent.shape), latent.whole
    return found
