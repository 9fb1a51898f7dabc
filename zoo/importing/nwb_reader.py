"""A program of its own that turns an NWB file on its standard input into numpy's archive on its output.

Like :mod:`zoo.importing.hdf5_reader`, whose checks it shares, and for the same reasons: a damaged file may
hang or crash the library. Why a file is refused is written to standard error, with exit status 2.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO, TimeSeries
from pynwb.ophys import RoiResponseSeries

# Last, so that nothing else is found here first: this is a program, and no module of the package.
sys.path.append(str(Path(__file__).parent))
from hdf5_reader import (  # type: ignore[import-not-found]
    MAX_GROUPS,
    RATIO,
    REFUSED,
    SMALL,
    RefusedError,
    limit,
)

MAX_LISTED = 12


def main(most: int, asked: dict[str, Any]) -> None:
    """Reads files that hold ``most`` bytes at most; ``asked`` are the fields of :class:`NwbSpec`."""
    limit(2 * most + 2**32)
    with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as root:
        if "nwb_version" not in root.attrs:
            raise RefusedError("is HDF5, and no NWB: it says no version of NWB")
        check(root, most)
        try:
            with NWBHDF5IO(file=root, mode="r", load_namespaces=True) as stream:
                arrays = trials(stream.read(), asked, most)
        except RefusedError:
            raise
        except Exception as problem:  # whatever pynwb misses in it
            reason = str(problem).partition("\n")[0] or type(problem).__name__
            raise RefusedError(f"cannot be read as NWB: {reason[:200]}") from problem
    with zipfile.ZipFile(sys.stdout.buffer, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
                np.lib.format.write_array(target, np.asarray(values), allow_pickle=False)


def check(root: Any, most: int) -> None:
    """That the file stays within itself and holds what it says. Links inside it are part of the format."""
    groups, total, pending = 0, 0, [root]
    seen = set()
    while pending:
        group = pending.pop()
        groups += 1
        if groups > 100 * MAX_GROUPS:
            raise RefusedError("has groups without end")
        for key in group:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise RefusedError(f"holds {key!r}, a link to another file, and those are not opened")
            if isinstance(link, h5py.SoftLink):
                continue  # what it leads to has a hard link, which is looked at
            found = group[key]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(found, h5py.Group):
                pending.append(found)
            elif isinstance(found, h5py.Dataset):
                if found.external or found.is_virtual:
                    raise RefusedError(
                        f"holds {key!r}, whose numbers are in other files, which are not opened"
                    )
                if found.nbytes > max(SMALL, RATIO * found.id.get_storage_size()):
                    raise RefusedError(
                        f"holds {key!r}, which says it has {found.nbytes:,} bytes, and stores far fewer"
                    )
                total += found.nbytes
    if total > 4 * most:
        raise RefusedError(f"unpacks to {total:,} bytes, which are too many")


def trials(file: Any, asked: dict[str, Any], most: int) -> dict[str, np.ndarray]:
    """The arrays of a recording by our names, from first to last trial."""
    begin, end, columns = intervals(file, asked)
    signal = chosen(file, asked)
    found: dict[str, np.ndarray] = {}
    if signal is None:
        step = asked["bin"]
        lengths = np.maximum(np.round((end - begin) / step), 1).astype(np.int64)
        keep, apart = held_out(file)
        size(lengths, len(keep) + len(apart), most)
        counts = spikes(file, begin, lengths, step, [*keep, *apart])
        found["states"] = counts[..., : len(keep)].astype(np.float32)
        if apart:
            found["held_out"] = counts[..., len(keep) :]
        marker = "spikes"
    else:
        step, starts, values = sampled(signal)
        lengths = cut(signal.name, begin, end, step, starts, len(values))
        size(lengths, values.shape[1], most)
        found["states"] = pieces(values, np.round((begin - starts) / step).astype(np.int64), lengths)
        marker = "fluorescence" if isinstance(signal, RoiResponseSeries) else "activity"
    for series in every(file, TimeSeries):
        if series is not signal and series.name not in found and not isinstance(series, RoiResponseSeries):
            beside = aligned(series, begin, lengths, step)
            if beside is not None:
                found[{"input": "inputs", "output": "outputs"}.get(series.name, series.name)] = beside
    found["lengths"] = lengths
    if len(np.unique(lengths)) == 1:
        del found["lengths"]
    found |= {name: values for name, values in columns.items() if name not in found}
    facts = json.dumps({"signal": marker, "dt": step}).encode()
    return {**found, "nwb/facts": np.frombuffer(facts, np.uint8)}


def size(lengths: np.ndarray, units: int, most: int) -> None:
    if len(lengths) * int(lengths.max()) * units * 8 > most:
        raise RefusedError(
            f"would be {len(lengths):,} trials of up to {lengths.max():,} steps of {units:,} units: "
            "too many; raise 'bin'"
        )


def intervals(file: Any, asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Seconds at which trials begin and end, and their columns of numbers."""
    table = file.trials
    if table is None or not len(table):
        first, last = span(file, asked["bin"])
        return np.array([first]), np.array([last]), {}
    if asked["align"] is not None and asked["align"] not in table.colnames:
        raise RefusedError(
            f"has no column {asked['align']!r} of trials to align to; it has {listed(table.colnames)}"
        )
    begin, end = (np.asarray(table[name][:], np.float64) for name in ("start_time", "stop_time"))
    if asked["align"] is not None:
        event = np.asarray(table[asked["align"]][:], np.float64)
        begin, end = event + asked["window"][0], event + asked["window"][1]
    if not (np.isfinite(begin).all() and np.isfinite(end).all()) or (end <= begin).any():
        raise RefusedError("has trials that do not end after they begin")
    columns = {}
    for name in table.colnames:
        if name in ("start_time", "stop_time", "timeseries", "tags", "timeseries_index", "tags_index"):
            continue
        values = np.asarray(table[name][:])
        if name == "split" and values.dtype.kind in "OU":
            test = np.array([str(value) == "test" for value in values])
            if test.any() and not test[: len(test) - test.sum()].any():
                columns["nwb/test"] = np.array(test.sum())
        elif (
            values.ndim == 1 and values.dtype.kind in "fiub" and np.isfinite(values.astype(np.float64)).all()
        ):
            columns[name] = values
    return begin, end, columns


def span(file: Any, step: float) -> tuple[float, float]:
    """From the first to the last second of anything that is read, where there are no trials."""
    ends = [0.0]
    if file.units is not None and "spike_times" in file.units.colnames:
        times = np.asarray(file.units.spike_times.data[:], np.float64)
        ends += [(np.floor(times.max() / step + 1e-6) + 1) * step] if times.size else []
    for series in every(file, TimeSeries):
        count = len(series.data) if series.data is not None else 0
        if count and series.rate:
            ends.append(float(series.starting_time or 0) + count / series.rate)
        elif count and series.timestamps is not None:
            ends.append(float(series.timestamps[-1]))
    if not max(ends) > 0 or not np.isfinite(ends).all():
        raise RefusedError("holds no trials, and nothing that would tell how long it is")
    return 0.0, max(ends)


def chosen(file: Any, asked: dict[str, Any]) -> Any:
    """The series that is the activity; none where spikes are."""
    series = [each for each in every(file, TimeSeries) if np.ndim(each.data) in (1, 2)]
    has_units = file.units is not None and len(file.units) and "spike_times" in file.units.colnames
    if asked["series"] is not None:
        for each in series:
            if asked["series"] in (each.name, getattr(each.parent, "name", "") + "/" + each.name):
                return each
        raise RefusedError(
            f"has no series {asked['series']!r}; it has {listed([each.name for each in series])}"
        )
    if has_units:
        return None
    for first in (
        [each for each in series if isinstance(each, RoiResponseSeries)],
        [s for s in series if s.name == "activity"],
    ):
        if first:
            return first[0]
    raise RefusedError(
        "holds no units with spike times and no responses of regions of interest. Say which series is the "
        f"activity in a mapping, nwb: {{series: …}}; it has {listed([each.name for each in series])}"
    )


def every(file: Any, kind: type) -> list[Any]:
    return sorted(
        (each for each in file.objects.values() if isinstance(each, kind)), key=lambda each: each.name
    )


def held_out(file: Any) -> tuple[list[int], list[int]]:
    count = len(file.units)
    apart = np.zeros(count, bool)
    if "held_out" in file.units.colnames:
        apart = np.asarray(file.units["held_out"][:]).astype(bool)
    if apart.all():
        apart[:] = False
    return np.flatnonzero(~apart).tolist(), np.flatnonzero(apart).tolist()


def spikes(file: Any, begin: np.ndarray, lengths: np.ndarray, step: float, units: list[int]) -> np.ndarray:
    """Counts ``[trial, step, unit]``."""
    counts = np.zeros((len(begin), int(lengths.max()), len(units)), np.int64)
    for place, unit in enumerate(units):
        times = np.asarray(file.units["spike_times"][unit], np.float64)
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise RefusedError(f"holds spike times of unit {unit} that do not ascend, or are no numbers")
        first = np.searchsorted(times, begin - 1e-9 * step)
        last = np.searchsorted(times, begin + lengths * step)
        trial = np.repeat(np.arange(len(begin)), last - first)
        if not len(trial):
            continue
        picked = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        bins = np.floor((times[picked] - begin[trial]) / step + 1e-6).astype(np.int64)
        np.add.at(counts[..., place], (trial, np.clip(bins, 0, lengths[trial] - 1)), 1)
    return counts


def sampled(series: Any) -> tuple[float, float, np.ndarray]:
    """Seconds of a step and of the first sample, and the samples ``[time, channel]``."""
    values = np.asarray(series.data[:], np.float64)
    values = values * float(series.conversion or 1.0) + float(series.offset or 0.0)
    if not values.size or not np.isfinite(values).all():
        raise RefusedError(f"holds the series {series.name!r} with NaN, infinite or no values")
    values = values.reshape(len(values), -1)
    if series.rate:
        return 1 / float(series.rate), float(series.starting_time or 0.0), values
    times = np.asarray(series.timestamps[:], np.float64)
    gaps = np.diff(times)
    if len(times) != len(values) or not np.isfinite(times).all() or not len(gaps) or (gaps <= 0).any():
        raise RefusedError(
            f"holds the series {series.name!r} whose times do not ascend, or do not go with its samples"
        )
    if gaps.max() > 1.01 * gaps.min():
        raise RefusedError(
            f"holds the series {series.name!r} with samples {gaps.min():g} to {gaps.max():g} s apart. "
            "Write it anew at one rate"
        )
    return float(gaps.mean()), float(times[0]), values


def cut(name: str, begin: np.ndarray, end: np.ndarray, step: float, start: float, count: int) -> np.ndarray:
    """Steps of each trial. Raises :class:`RefusedError` where a series does not cover them."""
    lengths = np.maximum(np.round((end - begin) / step), 1).astype(np.int64)
    first = np.round((begin - start) / step).astype(np.int64)
    if (first < 0).any() or (first + lengths > count).any():
        raise RefusedError(
            f"holds trials that are not within the series {name!r}, {start:g} to {start + count * step:g} s"
        )
    return lengths


def pieces(values: np.ndarray, first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``[trial, step, channel]``, zero where a trial has ended."""
    time = np.arange(int(lengths.max()))
    at = np.minimum(first[:, None] + time, len(values) - 1)
    return values[at] * (time < lengths[:, None])[..., None]


def aligned(series: Any, begin: np.ndarray, lengths: np.ndarray, step: float) -> np.ndarray | None:
    """A series beside the activity; none unless it is of numbers, at the same rate, and covers all trials."""
    if np.ndim(series.data) not in (1, 2) or not series.rate or series.data.dtype.kind not in "fiub":
        return None
    if abs(series.rate * step - 1) > 1e-6:
        return None
    values = np.asarray(series.data[:])
    first = np.round((begin - float(series.starting_time or 0.0)) / step).astype(np.int64)
    if (
        (first < 0).any()
        or (first + lengths > len(values)).any()
        or not np.isfinite(values.astype(float)).all()
    ):
        return None
    found = pieces(values.reshape(len(values), -1), first, lengths)
    return found[..., 0] if values.ndim == 1 and series.name not in ("input", "output") else found


def listed(names: Any) -> str:
    names = [str(name)[:60] for name in names]
    return ", ".join(names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "") or "none"


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), json.loads(sys.argv[2]))
    except Exception as problem:  # whatever the libraries meet in a damaged file
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        text = reason if isinstance(problem, RefusedError) else f"cannot be read as NWB: {reason[:200]}"
        sys.stderr.write(text.encode("ascii", "backslashreplace").decode())
        sys.exit(REFUSED)
