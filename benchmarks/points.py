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
from zoo.analysis.dynamics.resting import Resting, Search, distinct, resting_points
from zoo.analysis.jacobians import double
from zoo.models.dynamics import Dynamics
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec

MEMORY, STARTS, SHARE, SEEDS = "dsa-gru-flipflop/0", 1024, 16, 10
USUAL, ADAM = 4, 5000
"""Starts of the usual search, and its steps at most."""
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
    centre = begun.mean(0)
    radius = float((begun - centre).norm(dim=1).max())
    search = Search(1e-10, 300, worth=1e-10, within=(centre, 2 * radius), apart=1e-3 * radius)

    def together() -> None:
        resting_points(model, begun, u, search)

    def one_by_one() -> None:
        for start in begun[::SHARE]:
            resting_points(model, start[None], u, search)

    ratio = side_by_side(together, one_by_one, runs=9)
    print(
        report(
            f"Fixed points from {STARTS} starts; the other side has {STARTS // SHARE}",
            [
                ("all at once", "one start at a time", ratio, f"≤ {SHARE / 20:.1f}"),
            ],
        )
    )
    print(f"at equal starts: {SHARE / ratio.ratio:.1f} times as fast\n")
    usual(model, begun[:: STARTS // USUAL], u, ratio.ours / STARTS)
    each = [found_by(seed) for seed in range(SEEDS)]
    union = distinct(_joined(each), 1e-3)
    counts = [len(points) for points in each]
    print(f"{SEEDS} seeds: {counts} points, {len(union.points)} in all of them together")


def usual(model: Dynamics, begun: torch.Tensor, u: torch.Tensor, ours: float) -> None:
    """Adam on the squared speed, one start at a time, as the usual package for fixed points does."""
    speeds, before = [], time.perf_counter()
    for start in begun:
        h = start[None].clone().requires_grad_()
        optimizer = torch.optim.Adam([h], lr=1e-2)
        slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 1e-3 ** (1 / ADAM))
        for _ in range(ADAM):
            optimizer.zero_grad()
            speed = (model.step(h, u[None]) - h).norm()
            if speed < 1e-10:
                break
            speed.square().backward()
            optimizer.step()
            slower.step()
        speeds.append(speed.item())
    seconds = (time.perf_counter() - before) / len(begun)
    reached = ", ".join(f"{speed:.0e}" for speed in sorted(speeds))
    print(f"Adam from one start: {seconds:.2f} s, to speeds of {reached}; {seconds / ours:.0f} times ours\n")


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
