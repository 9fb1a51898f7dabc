"""How near distances by way of landmarks come to the true ones, on networks that were trained for it.

    python benchmarks/landmarks.py [--networks 300] [--metrics cka procrustes dsa]

Trains so many networks (a third Elman, GRU and LSTM each, 8 to 16 units, from 25 to 400 batches), computes
all of their distances, and estimates them from k landmarks. Prints a Markdown table a metric.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from timing import show

COUNTS = (5, 10, 20, 40)
DRAWS = 3
"""Choices of landmarks that are tried."""
NEIGHBOURS = 10
OPTIONS: dict[str, dict[str, Any]] = {"dsa": {"delays": 5, "rank": 10}}


def experiment(kind: str, members: int) -> dict[str, Any]:
    """A grid of sizes and lengths of training with some seeds each."""
    grid = {"model.hidden": [8, 16], "train.steps": [25, 100, 400]}
    return {
        "spec": "experiment/1",
        "name": f"landmark-{kind}",
        "model": {"kind": kind, "hidden": 8},
        "task": {"kind": "flip-flop", "bits": 2, "steps": 40},
        "learner": {"kind": "backprop", "optimizer": {"kind": "adam", "lr": 1e-2}},
        "train": {"steps": 400, "batch_size": 16, "validate_every": 400},
        "record": {"snapshots": None, "evaluation": {"trials": 64}},
        "population": {"members": max(1, round(members / 6)), "grid": grid},
    }


def networks(count: int) -> list[str]:
    """Names of published members."""
    import zoo
    from zoo.specs.experiment import ExperimentSpec

    names = []
    for kind in ("elman", "gru", "lstm"):
        spec = ExperimentSpec.model_validate(experiment(kind, count // 3))
        zoo.publish(zoo.train(spec))
        names += [f"{spec.name}/{member}" for member in range(len(spec.population or ()))]
    return names


def ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(values)


def near(matrix: np.ndarray) -> np.ndarray:
    """The nearest neighbours of each ``[n, neighbour]``."""
    other = matrix + np.diag(np.full(len(matrix), np.inf))
    return np.argsort(other, axis=1, kind="stable")[:, :NEIGHBOURS]


def quality(true: np.ndarray, found: np.ndarray, chosen: list[int]) -> tuple[float, float, float]:
    """Of pairs without a landmark: rank correlation, median relative error, and share of true neighbours."""
    left = np.setdiff1d(np.arange(len(true)), chosen)
    true, found = true[np.ix_(left, left)], found[np.ix_(left, left)]
    pairs = np.triu_indices(len(left), 1)
    correlation = float(np.corrcoef(ranks(true[pairs]), ranks(found[pairs]))[0, 1])
    error = float(np.median(np.abs(found[pairs] - true[pairs]) / np.maximum(true[pairs], 1e-12)))
    hits = [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(near(true), near(found), strict=True)]
    return correlation, error, float(np.mean(hits))


def farthest(true: np.ndarray, count: int, first: int) -> list[int]:
    """Landmarks as :func:`zoo.analysis.landmarks` chooses them, from distances that are known."""
    chosen, nearest = [first], true[first].copy()
    while len(chosen) < count:
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, true[chosen[-1]])
    return chosen


def estimates(true: np.ndarray, chosen: list[int]) -> dict[str, np.ndarray]:
    from zoo.analysis.landmarks import LandmarkMap, place
    from zoo.specs.analyses.geometry import CKASpec

    everyone = tuple(map(str, range(len(true))))
    found = LandmarkMap(everyone, everyone, tuple(chosen), true[chosen], CKASpec(), "")
    lower, upper = found.bounds(range(len(true)))
    points = place(true[chosen], chosen)
    return {
        "estimate": found.estimate(range(len(true))),
        "points alone": np.linalg.norm(points[:, None] - points[None], axis=-1),
        "least": lower,
        "most": upper,
        "middle": (lower + upper) / 2,
    }


def study(true: np.ndarray) -> None:
    """The tables of one metric."""
    pairs, size = np.triu_indices(len(true), 1), len(true)
    broken = sum(int((true > true[:, [k]] + true[[k]] + 1e-9).sum()) for k in range(size)) / size**3
    print(
        f"\n{len(pairs[0]):,} distances from {true[pairs].min():.3g} to {true[pairs].max():.3g}; the "
        f"triangle inequality is broken in {broken:.2%} of triples."
    )
    others = ("points alone", "least", "most", "middle")
    rows = []
    for count in COUNTS:
        for how in ("farthest", "random"):
            found: dict[str, list[tuple[float, float, float]]] = {}
            for draw in range(DRAWS):
                chosen = np.random.default_rng(draw).permutation(size)[:count].tolist()
                if how == "farthest":
                    chosen = farthest(true, count, chosen[0])
                for name, estimate in estimates(true, chosen).items():
                    found.setdefault(name, []).append(quality(true, estimate, chosen))
            mean = {name: np.mean(values, 0) for name, values in found.items()}
            spread = np.ptp([values[0] for values in found["estimate"]]) / 2
            correlation, error, hits = mean["estimate"]
            row = [count, how, f"{correlation:.3f} ± {spread:.3f}", f"{error:.1%}", f"{hits:.0%}"]
            row += [f"{mean[name][0]:.3f}" for name in others]
            rows.append([*row, f"{2 * count / (size - 1):.1%}"])
    columns = ["landmarks", "chosen", "rank correlation", "median error", f"of the {NEIGHBOURS} nearest"]
    show([*columns, *(f"correlation, {name}" for name in others), "of all distances"], rows)


def main() -> None:
    import zoo

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--metrics", nargs="+", default=["cka", "procrustes", "dsa"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zoo-landmarks-") as home:
        os.environ.setdefault("ZOO_HOME", home)
        begun = time.perf_counter()
        names = networks(given.networks)
        print(f"{len(names)} networks trained in {time.perf_counter() - begun:.0f} s", flush=True)
        for metric in given.metrics:
            begun = time.perf_counter()
            matrix = zoo.compare(names, metric, **OPTIONS.get(metric, {}))
            print(f"\n{metric}: {time.perf_counter() - begun:.0f} s for the whole matrix")
            study(matrix.values)


if __name__ == "__main__":
    main()
