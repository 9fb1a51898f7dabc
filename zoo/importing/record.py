"""The verb ``record``: a network of the zoo as a lab would see it, spikes or fluorescence of some units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import AnalysisError
from zoo.importing.emission import firing_rates, fluorescence, spike_counts
from zoo.importing.naming import Named
from zoo.importing.recording import Recorded, assembled
from zoo.models.recording import LATENT
from zoo.models.trajectories import Trajectories
from zoo.network import Network
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.sources import CalciumSpec, NetworkSource
from zoo.specs.problems import validate
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from zoo.hub.reference import Reference

TAKEN = ("states", "inputs", "outputs", "lengths", "rates", "held_out", "units", "held_out_units", "trial")


def record(
    network: str | Path | Reference | Network,
    signal: str | Mapping[str, Any] = "poisson",
    *,
    units: int | None = None,
    held_out_units: int = 0,
    held_out: float = 0.2,
    trials: int = 64,
    split: str = "test",
    trial_seed: int = 0,
    site: str | None = None,
    dt: float = 0.01,
    seed: int = 0,
    name: str | None = None,
    output: str | Path | None = None,
    nwb: str | Path | None = None,
) -> Network:
    """A recording of a network: Poisson spike counts, or calcium fluorescence, of some of its units.

    What is returned is a network of kind ``recording``, which every analysis takes; the same arguments give
    the same numbers.

    Args:
        network: A name, or a network. One that is a recording already is only written.
        signal: ``poisson``, ``calcium``, or one of them with its fields: ``{"kind": "poisson", "rate": 20}``.
        units: How many are recorded, drawn without replacement; without a number, all that are not held out.
        held_out_units: Further units, whose activity is the latent ``held_out``.
        held_out: Share of the trials that are the split ``test``, evenly spread.
        trials: Of the task, from ``split`` and with ``trial_seed``.
        site: Which of the network's; without one, that which is read out.
        dt: Seconds that a step of the network stands for.
        seed: Of the units, the spikes and the noise.
        name: Of the recording; without one, that of the network and the kind.
        output: A checkpoint folder to write as well.
        nwb: An NWB file to write as well.

    Raises:
        SpecError: Arguments that do not validate, or a split that the task does not have.
        AnalysisError: More units than there are, a site that there is not.
        MissingDependencyError: NWB without pynwb.
    """
    from zoo.hub.load import load

    base = network if isinstance(network, Network) else load(network)
    if base.experiment.model.kind == "recording":
        made = base
    else:
        document = {
            "kind": "network",
            "of": base.name,
            "signal": {"kind": signal} if isinstance(signal, str) else dict(signal),
            "units": units,
            "held_out_units": held_out_units,
            "held_out": held_out,
            "trials": trials,
            "split": split,
            "trial_seed": trial_seed,
            "site": site,
            "dt": dt,
            "seed": seed,
        }
        made = _recording(base, validate(NetworkSource, document), name)
    if output is not None:
        _write(made, Path(output))
    if nwb is not None:
        from zoo.importing.nwb_writer import write_nwb

        write_nwb(made, Path(nwb))
    return made


def observed(source: NetworkSource, network: Network | None = None) -> tuple[Recorded, str, str]:
    """What a source says is seen of a network; see :func:`zoo.importing.sources.read_source`."""
    from zoo.hub.load import load

    base = load(source.of) if network is None else network
    if base.experiment.model.kind == "recording":
        raise AnalysisError(f"{base.name} is a recording already. Name the network that should be recorded.")
    run = base.trajectories(source.trials, source.trial_seed, source.split, source.site)
    arrays = _seen(run, source)
    named = {name: Named(values, f"{name} of {base.name}") for name, values in arrays.items()}
    signal = "fluorescence" if isinstance(source.signal, CalciumSpec) else "spikes"
    facts = {"source": source, "signal": signal, "dt": source.dt}
    found = assembled(base.name, named, source.held_out, facts)
    digest = run.origin.partition("/")[0]
    return found, f"{source.of}, seen by {source.signal.kind}", digest if len(digest) == 64 else ""


def _seen(run: Trajectories, source: NetworkSource) -> dict[str, np.ndarray]:
    """Arrays by name, of every trial."""
    chosen, apart = _units(run, source)
    valid = run.valid()
    activity = run.states[..., torch.cat([chosen, apart])]
    rates = firing_rates(activity, source.signal, valid)
    generator = torch.Generator(rates.device).manual_seed(derive_seed("recording", source.seed, run.origin))
    spikes = spike_counts(rates, source.dt, generator)
    seen = spikes
    if isinstance(source.signal, CalciumSpec):
        seen = fluorescence(spikes, rates, source.dt, source.signal, generator)
    if valid is not None:
        seen = seen * valid[..., None]
    count = len(chosen)
    whole = not isinstance(source.signal, CalciumSpec)
    found: dict[str, Tensor] = {"states": seen[..., :count].float(), "rates": rates[..., :count].float()}
    found |= {"inputs": run.inputs} if run.inputs is not None else {}
    found |= {"outputs": run.outputs} if run.outputs is not None else {}
    found |= {"lengths": run.lengths} if run.lengths is not None else {}
    if len(apart):
        kept = seen[..., count:]
        found["held_out"] = kept.long() if whole else kept.float()
    found |= {name: value for name, value in run.latents.items() if name not in TAKEN}
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def _units(run: Trajectories, source: NetworkSource) -> tuple[Tensor, Tensor]:
    """Numbers of the units that are recorded, and of those that are held out, each ascending."""
    width = run.states.shape[-1]
    count = width - source.held_out_units if source.units is None else source.units
    if count < 1 or count + source.held_out_units > width:
        raise AnalysisError(
            f"{run.name} has {width} units, of which {max(count, 1)} should be recorded and "
            f"{source.held_out_units} held out. Ask for fewer."
        )
    generator = torch.Generator().manual_seed(derive_seed("units", source.seed, width))
    order = torch.randperm(width, generator=generator)
    return order[:count].sort().values, order[count : count + source.held_out_units].sort().values


def _recording(base: Network, source: NetworkSource, name: str | None) -> Network:
    from zoo.importing.sources import filled

    found, _, _ = observed(source, base)
    plain = base.experiment.name if base.record is None else base.record.name
    called = name or f"{plain}-{source.signal.kind}"
    document = {
        "name": called,
        "model": found.model,
        "task": found.task,
        "learner": {"kind": "none"},
        "train": {"steps": 0},
        "record": {"snapshots": None, "golden_trials": min(4, found.model.trials)},
        "license": base.experiment.license,
    }
    made = filled(validate(ExperimentSpec, document), found)
    made.reference = called
    return made


def _write(made: Network, output: Path) -> None:
    """Raises :class:`CheckpointError` where there is something already."""
    from zoo.importing.adopt import free, written
    from zoo.importing.members import Members

    free(output)
    source = getattr(made.experiment.model, "source", None)
    table = {key: key.removeprefix(LATENT) for key in made.model.state_dict()}
    what = f"{source.of}, seen by {source.signal.kind}" if isinstance(source, NetworkSource) else made.name
    members = Members(made.experiment, [made], [], table, [])
    written(members, {"source": f"recorded from {what}", "mapping": None}, 0, output, progress=False)
