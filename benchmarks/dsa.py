"""Dynamical similarity analysis against the authors' package, ``dsa-metric``: time and quality.

Run from a checkout: ``python benchmarks/dsa.py [PART …]``, the parts being functions below. Prints Markdown
tables. One thread each. Operators are Hankel operators of chaotic rate networks: 10
trials × 400 steps × 100 units, 5 delays. ``fast`` compares with the code of fastDSA, a checkout of which
``FASTDSA`` in the environment names (github.com/CMC-lab/fastDSA, which needs scikit-learn and POT and is not
on a package index).
"""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from timing import side_by_side, slope
from torch import Tensor

from zoo.analysis.dynamics.descent import Landing, descend
from zoo.analysis.dynamics.driven import subspace
from zoo.analysis.dynamics.fast_dsa import delay_operator
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
        count = 50
        generator = torch.Generator().manual_seed(size)
        a, turn = torch.randn(2, count, size, size, generator=generator, dtype=torch.float64)
        turn = torch.linalg.qr(turn).Q
        b = turn @ a @ turn.mT
        found = align(torch.cat([a, b]), torch.arange(2 * count).view(2, count).T)
        theirs = [peer(a[k], b[k]) for k in range(3 if size <= 50 else 0)]
        mean = f"{sum(theirs) / 3:.2f}" if theirs else "not run"
        print(f"| {size} | {count} | {found.angle.max():.0e} | {mean} |", flush=True)


def landing_peer() -> Any:
    """The landing algorithm of the authors of fastDSA with the defaults of their pipeline, or nothing."""
    file = Path(os.environ.get("FASTDSA", "")) / "src" / "fastDSA" / "LandingAlgorithm.py"
    if not file.is_file():
        return None
    found = importlib.util.spec_from_file_location("LandingAlgorithm", file)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    # Without scores along the way, which its pipeline computes and which take a quarter of the time.
    return module.SimilarityTransformDist(its=500, eta=0.01, gamma=0.98, device="cpu", metrics=())


def landed(operators: Tensor, pairs: Tensor, steps: int) -> tuple[float, float]:
    """The mean angle after so many steps of ours, and milliseconds a pair."""
    began = time.perf_counter()
    found = descend(operators, pairs, Landing(steps))
    return float(found.angle.mean()), 1e3 * (time.perf_counter() - began) / len(pairs)


def fast() -> None:
    """Operators in delay coordinates, by landing: the steps that reach the peer's mean angle, and as many."""
    peer = landing_peer()
    if peer is None:
        print("fast: set FASTDSA to a checkout of github.com/CMC-lab/fastDSA; skipped.")
        return
    print(
        "| coordinates | pairs | peer: 500 steps (ms a pair) | its mean angle | ours, to that angle: steps "
        "| ms a pair | times faster | ours, 500 steps: mean angle | ms a pair | times faster |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for units, delays, rank in ((4, 5, 10), (10, 6, 15), (10, 10, 20)):
        networks = (chaotic(seed)[:, :, :units] for seed in range(8))
        operators = torch.stack([delay_operator(each, delays, 1, rank, 1e-8, "") for each in networks])
        pairs = torch.triu_indices(8, 8, 1).T
        began = time.perf_counter()
        theirs = [peer.fit_score(operators[i], operators[j]) for i, j in pairs.tolist()]
        peers = 1e3 * (time.perf_counter() - began) / len(pairs)
        goal = sum(theirs) / len(pairs)
        steps = next(n for n in range(5, 501, 5) if landed(operators, pairs, n)[0] <= goal)
        _, ours = landed(operators, pairs, steps)
        angle, whole = landed(operators, pairs, 500)
        row = f"{units * delays} | {len(pairs)} | {peers:.0f} | {goal:.3f}"
        short = f"{steps} | {ours:.1f} | {peers / ours:.0f}"
        print(f"| {row} | {short} | {angle:.3f} | {whole:.0f} | {peers / whole:.1f} |", flush=True)


def driven(seed: int, units: int = 20, seen: int = 2, steps: int = 1000) -> tuple[Tensor, Tensor]:
    """What is seen of a nearly linear network, ``[1, time, seen]``, and its input (InputDSA, Fig. 2)."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(units, units, generator=generator, dtype=torch.float64)
    weights *= 0.9 / torch.linalg.eigvals(weights).abs().max()
    entry = torch.randn(units, generator=generator, dtype=torch.float64)
    inputs = torch.randn(1, steps, 1, generator=generator, dtype=torch.float64)
    hidden = (torch.arange(units) >= seen).double()
    state, states = torch.zeros(units, dtype=torch.float64), []
    for drive in inputs.flatten():
        ahead = weights @ state
        state = ahead + 0.1 * hidden * torch.tanh(ahead) + drive * entry
        states.append(state[:seen])
    observed = torch.stack(states)[None]
    return observed + 0.01 * torch.randn(observed.shape, generator=generator, dtype=torch.float64), inputs


def subspaces() -> None:
    """Subspace identification of 16 networks: 1000 steps × 2 units, 1 input, rank 20; in turns, 5 times."""
    from DSA import SubspaceDMDc

    networks = [driven(seed) for seed in range(16)]
    spectra: dict[str, list[Tensor]] = {}
    print(
        "| delays | ours (ms a fit) | peer (ms a fit) | times faster | least, most "
        "| largest relative difference of eigenvalues |\n|---|---|---|---|---|---|"
    )
    for delays in (20, 50, 150):

        def ours(delays: int = delays) -> None:
            found = [subspace(states, inputs, delays, 20, 1e-8, "").a for states, inputs in networks]
            spectra["ours"] = [torch.linalg.eigvals(each) for each in found]

        def theirs(delays: int = delays) -> None:
            models = [
                SubspaceDMDc(states[0].numpy(), inputs[0].roll(-1, 0).numpy(), n_delays=delays, rank=20)
                for states, inputs in networks
            ]
            for model in models:
                model.fit()
            spectra["theirs"] = [torch.linalg.eigvals(torch.from_numpy(model.A_v)) for model in models]

        times = side_by_side(ours, theirs, runs=5)
        apart = max(
            ((a[:, None] - b).abs().min(1).values / a.abs()).max()
            for a, b in zip(spectra["ours"], spectra["theirs"], strict=True)
        )
        each = f"{1e3 * times.ours / 16:.1f} | {1e3 * times.theirs / 16:.0f} | {1 / times.ratio:.1f}"
        spread = f"{1 / times.spread[1]:.1f}, {1 / times.spread[0]:.1f}"
        print(f"| {delays} | {each} | {spread} | {apart:.0e} |", flush=True)


def scaling() -> None:
    """Time against pairs and against rank, with the slope on log axes; the peer on three pairs a rank."""
    counts, ranks = (10, 20, 40, 80, 160), (5, 10, 20, 40, 80)
    by_pairs, by_rank, peers = [], [], []
    everything = [chaotic(seed) for seed in range(max(counts))]
    few = torch.stack([hankel_operator(each, 5, 1, 10, 1e-8, "") for each in everything])
    for count in counts:
        began = time.perf_counter()
        pairs = len(align_all(few[:count]).pairs)
        by_pairs.append((pairs, time.perf_counter() - began))
    for rank in ranks:
        operators = torch.stack([hankel_operator(each, 5, 1, rank, 1e-8, "") for each in everything[:20]])
        began = time.perf_counter()
        pairs = len(align_all(operators).pairs)
        by_rank.append((rank, (time.perf_counter() - began) / pairs))
        began = time.perf_counter()
        for other in (1, 2, 3):
            peer(operators[0], operators[other])
        peers.append((rank, (time.perf_counter() - began) / 3))
    print("| what | from … to | ours, from … to (s) | slope | peer, from … to (s) |\n|---|---|---|---|---|")
    for what, ours, theirs in (
        ("pairs, rank 10", by_pairs, []),
        ("rank, a pair of 20 operators", by_rank, peers),
    ):
        other = f"{theirs[0][1]:.3g} … {theirs[-1][1]:.3g}" if theirs else ""
        times = f"{ours[0][1]:.3g} … {ours[-1][1]:.3g}"
        print(
            f"| {what} | {ours[0][0]} … {ours[-1][0]} | {times} | {slope(ours):.2f} | {other} |", flush=True
        )
    draw(by_pairs, by_rank, peers)


def draw(
    by_pairs: list[tuple[int, float]], by_rank: list[tuple[int, float]], peers: list[tuple[int, float]]
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, label, points, colour in (
        (left, "zoo", by_pairs, "#0072B2"),
        (right, "zoo", by_rank, "#0072B2"),
        (right, "dsa-metric", peers, "#D55E00"),
    ):
        axes.loglog(
            *zip(*points, strict=True), "o-", color=colour, label=f"{label}, slope {slope(points):.2f}"
        )
        axes.legend(frameon=False, fontsize=8)
        axes.grid(color="#ECECEC")
    left.set(xlabel="pairs (rank 10)", ylabel="seconds")
    right.set(xlabel="rank", ylabel="seconds a pair")
    ranks = [rank for rank, _ in by_rank]
    right.set_xticks(ranks, map(str, ranks))
    right.set_xticks([], minor=True)
    figure.savefig(Path(__file__).parents[1] / "docs" / "dsa-cost.svg", metadata={"Date": None})


def thousand() -> None:
    """All pairs of 1,000 operators at rank 20, with half of the starts and of the rounds."""
    operators = torch.stack([hankel_operator(chaotic(seed), 5, 1, 20, 1e-8, "") for seed in range(1000)])
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = align_all(operators, starts=4, rounds=2)
    minutes = (time.perf_counter() - began) / 60
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    gap = (found.residual / found.bound).median()
    print("| operators | pairs | minutes | ms a pair | added memory (GiB) | converged | residual / bound |")
    print("|---|---|---|---|---|---|---|")
    each = 6e4 * minutes / len(found.pairs)
    share = found.converged.double().mean()
    print(
        f"| 1000 | {len(found.pairs)} | {minutes:.1f} | {each:.2f} | {memory:.2f} | {share:.2%} | {gap:.2f} |"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peer's
    torch.set_num_threads(1)
    parts = {
        "fit": fit,
        "angular": angular,
        "conjugate": conjugate,
        "fast": fast,
        "subspace": subspaces,
        "scaling": scaling,
        "thousand": thousand,
    }
    for part in sys.argv[1:] or parts:
        parts[part]()
        print()
