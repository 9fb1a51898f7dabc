"""Fixed points all at once beside one start at a time, and Lyapunov spectra beside published ones.

    python benchmarks/points.py

The same network (a trained memory of three bits), starts and steps in both; the slow side gets a share of the
starts, whose time is scaled up. Every seed draws other starts.
"""

from __future__ import annotations

import sys
import time

import torch
from timing import report, side_by_side

import zoo
from zoo.analysis.dynamics.resting import Resting, distinct, resting_points
from zoo.analysis.jacobians import double
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec

MEMORY, STARTS, SHARE, SEEDS = "dsa-gru-flipflop/0", 1024, 16, 10
PUBLISHED = {
    "lorenz": (0.9056, 0.0, -14.5723),  # Sprott 2003, table 1
    "lorenz-96": (1.68,),  # 40 sites, F = 8: Karimi & Paul 2010
}


def starts(network: Network) -> torch.Tensor:
    """States of trials, displaced."""
    visited = network.trajectories(trials=64).states.double().flatten(0, 1)
    generator = torch.Generator().manual_seed(0)
    chosen = visited[torch.randint(len(visited), (STARTS,), generator=generator)]
    return chosen + 0.1 * visited.std(0) * torch.randn(chosen.shape, generator=generator, dtype=chosen.dtype)


def fixed_points() -> None:
    network = zoo.load(MEMORY)
    model, begun = double(network), starts(network)
    u = begun.new_zeros(model.inputs)

    def together() -> None:
        resting_points(model, begun, u, 1e-10, 300)

    def one_by_one() -> None:
        for start in begun[::SHARE]:
            resting_points(model, start[None], u, 1e-10, 300)

    ratio = side_by_side(together, one_by_one, runs=3)
    print(
        report(
            f"Fixed points from {STARTS} starts; the other side has {STARTS // SHARE}",
            [
                ("all at once", "one start at a time", ratio, f"≤ {SHARE / 20:.1f}"),
            ],
        )
    )
    print(f"at equal starts: {SHARE / ratio.ratio:.0f} times as fast\n")
    each = [found_by(seed) for seed in range(SEEDS)]
    union = distinct(_joined(each), 1e-3)
    counts = [len(points) for points in each]
    print(f"{SEEDS} seeds: {counts} points, {len(union.points)} in all of them together")


def found_by(seed: int) -> torch.Tensor:
    found = zoo.analyse(MEMORY, "fixed-points", seed=seed, cache=False).only
    assert found.numbers["speed"] < 1e-10
    return torch.from_numpy(found["points"])


def _joined(each: list[torch.Tensor]) -> Resting:
    points = torch.cat(each)
    return Resting(points, torch.zeros(len(points), dtype=points.dtype))


def system(model: dict[str, object], width: int) -> Network:
    return build(
        ExperimentSpec.model_validate(
            {
                "name": "system",
                "model": model,
                "task": {"kind": "drive", "channels": width, "width": width, "steps": 50, "noise": 0.0},
                "learner": {"kind": "none"},
                "train": {"steps": 0, "precision": "64-true"},
            }
        )
    )


def lyapunov() -> None:
    lorenz = system({"kind": "lorenz", "dt": 0.02, "substeps": 4}, 3)
    cases = [
        ("lorenz", lorenz, {"dt": 0.02, "steps": 100_000, "transient": 2_000}),
        ("lorenz-96", system({"kind": "lorenz-96"}, 40), {"dt": 0.05, "steps": 20_000, "transient": 2_000}),
    ]
    for name, network, how in cases:
        begun = time.perf_counter()
        found = zoo.analyse([network], "lyapunov", trials=1, autonomous=True, cache=False, **how).only
        seconds = time.perf_counter() - begun
        leading = ", ".join(f"{value:.4f}" for value in found["exponents"][:3])
        print(f"{name}: {leading}; dimension {found.numbers['dimension']:.3f}; {seconds:.1f} s", end="; ")
        print("published:", ", ".join(map(str, PUBLISHED[name])))
    begun = time.perf_counter()
    zoo.analyse(MEMORY, "lyapunov", trials=1, cache=False)
    print(f"all 64 exponents of {MEMORY}, 2,200 steps: {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or ["fixed", "lyapunov"]
    if "fixed" in wanted:
        fixed_points()
    if "lyapunov" in wanted:
        lyapunov()
