"""A recording as a file of Neurodata Without Borders (NWB 2), through pynwb."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import CheckpointError, ForeignFileError
from zoo.extras import need
from zoo.models.recording import LATENT, Recording
from zoo.network import Network

SUFFIX = ".nwb"
BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
"""When a simulated session began: never, and the same file is written again."""
SERIES = {"states": "activity", "input": "input", "output": "output"}


def write_nwb(network: Network, path: Path) -> Path:
    """Write a recording as NWB: trials one after the other, with a table of them.

    Spike counts become spike times, evenly spread within their steps, in the table of units; fluorescence a
    ``DfOverF``; any other activity a ``TimeSeries``. Inputs, outputs and latents over time are series, other
    latents are columns of the table of trials, and so is ``split``. Seconds follow from ``dt``; without one,
    a step is a second.

    Raises :class:`MissingDependencyError` without pynwb, :class:`AnalysisError` for a network that is no
    recording, :class:`ForeignFileError` for another suffix, :class:`CheckpointError` where there is a file
    already or the disk refuses.
    """
    pynwb = need("pynwb", "nwb", "Writing NWB")
    model = network.model
    if not isinstance(model, Recording):
        raise ForeignFileError(
            f"{network.name} is a network and no recording. Record it with zoo.record first."
        )
    if path.suffix.lower() != SUFFIX:
        raise ForeignFileError(f"{path} should end in {SUFFIX}. Rename it.")
    if os.path.lexists(path):
        raise CheckpointError(f"{path} exists already and is not replaced. Choose another file.")
    made = _file(pynwb, network, model)
    stage = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, stage = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=SUFFIX)
        os.close(descriptor)
        with pynwb.NWBHDF5IO(stage, "w") as stream:
            stream.write(made)
        os.replace(stage, path)
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be written: {problem.strerror or problem}.") from problem
    finally:
        if stage and os.path.exists(stage):
            os.unlink(stage)
    return path


def _file(pynwb: Any, network: Network, model: Recording) -> Any:
    spec, experiment = model.spec, network.experiment
    step = spec.dt or 1.0
    tensors = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    lengths = tensors.get("lengths", np.full(spec.trials, spec.steps))
    made = pynwb.NWBFile(
        session_description=experiment.title or f"Recording {experiment.name}",
        identifier=f"{experiment.name}-{experiment.digest()[:16]}",
        session_start_time=BEGAN,
        experiment_description=experiment.description or None,
    )
    start = np.arange(spec.trials) * (spec.steps * step)
    _trials(made, tensors, start, start + lengths * step, getattr(experiment.task, "held_out", 0))

    def series(name: str, values: np.ndarray) -> Any:
        flat = np.ascontiguousarray(values.reshape(spec.trials * spec.steps, *values.shape[2:3] and (-1,)))
        text = f"{name} of each step; trials of {spec.steps} steps, one after the other"
        return pynwb.TimeSeries(
            name=name, data=flat, unit="a.u.", rate=1 / step, starting_time=0.0, description=text
        )

    states = tensors["states"]
    if spec.signal == "spikes":
        _units(made, states, tensors.get(f"{LATENT}held_out"), step)
    elif spec.signal == "fluorescence":
        _fluorescence(pynwb, made, states, step)
    else:
        made.add_acquisition(series("activity", states))
    if "input" in tensors:
        made.add_stimulus(series("input", tensors["input"]))
    over_time = {
        n.removeprefix(LATENT): v for n, v in tensors.items() if n.startswith(LATENT) and _runs(v, spec.steps)
    }
    if spec.signal == "spikes":
        over_time.pop("held_out", None)  # which are units
    if "output" in tensors:
        over_time["output"] = tensors["output"]
    if over_time:
        module = made.create_processing_module("behavior", "what was recorded beside the activity")
        for name, values in over_time.items():
            module.add(series(name, values))
    return made


def _runs(values: np.ndarray, steps: int) -> bool:
    return values.ndim > 1 and values.shape[1] == steps


def _trials(made: Any, tensors: dict[str, np.ndarray], start: Any, stop: Any, held_out: int) -> None:
    columns = {n.removeprefix(LATENT): v for n, v in tensors.items() if n.startswith(LATENT) and v.ndim == 1}
    for name in columns:
        made.add_trial_column(name, f"{name} of the trial")
    made.add_trial_column("split", "what the trial is for: train or test")
    for k in range(len(start)):
        row = {name: values[k].item() for name, values in columns.items()}
        split = "test" if k >= len(start) - held_out and held_out else "train"
        made.add_trial(start_time=float(start[k]), stop_time=float(stop[k]), split=split, **row)


def _units(made: Any, seen: np.ndarray, apart: np.ndarray | None, step: float) -> None:
    made.add_unit_column("held_out", "whether the unit is kept apart, to be predicted")
    for values, held_out in ((seen, False), (apart, True)):
        if values is None:
            continue
        counts = values.reshape(-1, values.shape[-1]).round().astype(np.int64)
        for unit in range(counts.shape[1]):
            made.add_unit(spike_times=spike_times(counts[:, unit], step), held_out=held_out)


def spike_times(counts: np.ndarray, step: float) -> np.ndarray:
    """Seconds of the spikes of counts ``[step]``: the n of a step at its fractions (½ + j)/n."""
    bins = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    within = (np.arange(len(bins)) - first + 0.5) / np.repeat(np.maximum(counts, 1), counts)
    return (bins + within) * step


def _fluorescence(pynwb: Any, made: Any, states: np.ndarray, step: float) -> None:
    ophys = need("pynwb.ophys", "nwb", "Writing NWB")
    device = made.create_device(name="simulated", description="no microscope: a network of the zoo")
    channel = ophys.OpticalChannel(name="channel", description="simulated", emission_lambda=510.0)
    plane = made.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="units of a network, which have no place",
        device=device,
        excitation_lambda=920.0,
        indicator="simulated calcium",
        location="none",
    )
    module = made.create_processing_module("ophys", "simulated fluorescence")
    segments = ophys.ImageSegmentation()
    module.add(segments)
    table = segments.create_plane_segmentation("one pixel a unit", plane, name="units")
    for unit in range(states.shape[-1]):
        table.add_roi(pixel_mask=[(unit, 0, 1.0)])
    region = table.create_roi_table_region("all units", region=list(range(states.shape[-1])))
    container = ophys.DfOverF()
    module.add(container)
    container.create_roi_response_series(
        name="activity",
        data=np.ascontiguousarray(states.reshape(-1, states.shape[-1])),
        rois=region,
        unit="a.u.",
        rate=1 / step,
        starting_time=0.0,
    )
