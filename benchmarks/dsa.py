"""Dynamical similarity analysis against the authors' package, ``dsa-metric``: time and quality.

Run from a checkout: ``python benchmarks/dsa.py [fit] [angular] [conjugate]``. Prints Markdown tables. One
thread each. Operators are Hankel operators of chaotic rate networks: 10 trials × 400 steps × 100 units,
5 delays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.analysis.dynamics.procrustes import align, align_all

POPULATIONS = {20: (100, 120), 50: (40, 20), 100: (20, 20)}
"""Rank → operators, all of whose pairs we align; and pairs on which the peer is timed and compared."""


def peer(a: Tensor, b: Tensor) -> float:
    """The angle that ``dsa-metric`` finds with the defaults of its ``DSA`` class, in single precision."""
    from DSA.simdist import SimilarityTransformDist

    fit = SimilarityTransformDist(iters=1500, lr=5e-3, score_method="angular", device="cpu")
    return float(fit.fit_score(a.float(), b.float()))


def chaotic(seed: int, units: int = 100, trials: int = 10, steps: int = 400, gain: float = 1.8) -> Tensor:
    """States ``[trial, time, unit]``, every fifth Euler step of a tenth of the time constant."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(units, units, generator=generator, dtype=torch.float64) * gain / units**0.5
    state, states = torch.randn(trials, units, generator=generator, dtype=torch.float64), []
    for step in range(100 + 5 * steps):
        state = state + 0.1 * (torch.tanh(state) @ weights.T - state)
        if step >= 100 and step % 5 == 0:
            states.append(state)
    return torch.stack(states, 1)


FIT = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {folder!r})
import torch
from dsa import chaotic
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
from DSA.dmd import DMD
from zoo.analysis.dynamics.hankel import hankel_operator

def ours(states):
    return hankel_operator(states, 30, 1, 100, 1e-8, "", 0.0)

def theirs(states):
    model = DMD(states.numpy(), n_delays=30, rank=100, lamb=1e-8)
    model.fit()
    return model.A_v

states = chaotic(0, units=200, trials=20, steps=500)
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
operator = {side}(states)
seconds = time.perf_counter() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(seconds, memory / 1024, *torch.linalg.eigvals(operator).tolist())
"""


def fit() -> None:
    """One operator: 20 trials × 500 steps × 200 units, 30 delays, rank 100; each side in its own process."""
    found = {}
    for side in ("ours", "theirs"):
        code = FIT.format(folder=str(Path(__file__).parent), side=side)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, memory, *values = done.stdout.split()
        spectrum = torch.tensor([complex(value) for value in values], dtype=torch.complex128)
        found[side] = float(seconds), float(memory), spectrum
    (time_ours, memory_ours, a), (time_peer, memory_peer, b) = found["ours"], found["theirs"]
    apart = ((a[:, None] - b).abs().min(1).values / a.abs()).max()
    print("| | ours | peer | ratio |\n|---|---|---|---|")
    print(f"| seconds | {time_ours:.1f} | {time_peer:.1f} | {time_peer / time_ours:.0f} |")
    print(f"| added memory (MiB) | {memory_ours:.0f} | {memory_peer:.0f} | {memory_peer / memory_ours:.0f} |")
    print(f"| largest relative difference of eigenvalues | {apart:.0e} | | |", flush=True)


def angular() -> None:
    """All pairs of a population, against the peer on some of them."""
    print(
        "| rank | operators | pairs | ours (ms a pair) | peer (ms a pair) | times faster "
        "| residual ≤ peer's | worst against peer's | converged |\n|---|---|---|---|---|---|---|---|---|"
    )
    for rank, (count, some) in POPULATIONS.items():
        networks = (chaotic(seed) for seed in range(count))
        operators = torch.stack([hankel_operator(each, 5, 1, rank, 1e-8, "", 0.0) for each in networks])
        began = time.perf_counter()
        found = align_all(operators)
        ours = (time.perf_counter() - began) / len(found.pairs)
        chosen = torch.randperm(len(found.pairs), generator=torch.Generator().manual_seed(0))[:some]
        began = time.perf_counter()
        theirs = torch.tensor([peer(operators[i], operators[j]) for i, j in found.pairs[chosen].tolist()])
        peers = (time.perf_counter() - began) / some
        ratio = found.residual[chosen] / (2 * torch.sin(theirs.double() / 2))
        times = f"{1e3 * ours:.1f} | {1e3 * peers:.0f} | {peers / ours:.0f}"
        quality = f"{int((ratio <= 1).sum())} of {some} | {ratio.max():.4f}"
        share = found.converged.double().mean()
        print(f"| {rank} | {count} | {len(found.pairs)} | {times} | {quality} | {share:.2%} |", flush=True)


def conjugate() -> None:
    """Random operators against turned copies of themselves, whose angle is 0."""
    print("| size | pairs | our largest angle (rad) | peer's, mean of 3 (rad) |\n|---|---|---|---|")
    for size in (5, 10, 20, 50, 100, 200):
        count = 50 if size < 100 else 10
        generator = torch.Generator().manual_seed(size)
        a, turn = torch.randn(2, count, size, size, generator=generator, dtype=torch.float64)
        turn = torch.linalg.qr(turn).Q
        b = turn @ a @ turn.mT
        found = align(torch.cat([a, b]), torch.arange(2 * count).view(2, count).T)
        theirs = [peer(a[k], b[k]) for k in range(3 if size <= 50 else 0)]
        mean = f"{sum(theirs) / 3:.2f}" if theirs else "not run"
        print(f"| {size} | {count} | {found.angle.max():.0e} | {mean} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peer's
    torch.set_num_threads(1)
    parts = {"fit": fit, "angular": angular, "conjugate": conjugate}
    for part in sys.argv[1:] or parts:
        parts[part]()
        print()
