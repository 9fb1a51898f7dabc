"""All pairs of many networks, compared by their representations, beside what a user would write.

    python benchmarks/representations.py [--networks 200]

Ours is `zoo.compare` without its cache, from arrays to the matrix. Theirs is a loop over 100 or 1,000 of the
pairs, scaled to all, with the plain numpy formula, scipy's assignment or scikit-learn's ridge, on the same
arrays and one thread. Prints a Markdown table. Values are checked to agree.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

TRIALS, STEPS, UNITS = 40, 25, 32


def networks(count: int) -> dict[str, np.ndarray]:
    """Random recurrent networks that run freely."""
    found = {}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(UNITS, UNITS)) * 1.5 / np.sqrt(UNITS)
        state, states = rng.normal(size=(TRIALS, UNITS)), []
        for _ in range(STEPS):
            state = state + 0.2 * (np.tanh(state @ weights) - state)
            states.append(state)
        found[f"net-{seed}"] = np.stack(states, 1)
    return found


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    similarity = np.square(x.T @ y).sum() / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return float(np.arccos(similarity))


def unbiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)

    def hsic(K: np.ndarray, L: np.ndarray) -> float:
        sums = K.sum() * L.sum() / ((n - 1) * (n - 2))
        return float((K * L).sum() + sums - 2 / (n - 2) * (K.sum(0) @ L.sum(0)))

    grams = []
    for each in (x, y):
        gram = each @ each.T
        np.fill_diagonal(gram, 0)
        grams.append(gram)
    K, L = grams
    return float(np.arccos(hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))))


def cca(x: np.ndarray, y: np.ndarray) -> float:
    bases = [np.linalg.qr(each - each.mean(0))[0] for each in (x, y)]
    return float(1 - np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean())


def unit_matching(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    cost = 1 - np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]
    return float(np.sqrt(2 * cost[linear_sum_assignment(cost)].mean()))


def predictivity(x: np.ndarray, y: np.ndarray) -> float:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_predict

    which = np.repeat(np.arange(TRIALS) % 5, STEPS)
    folds = [(np.flatnonzero(which != k), np.flatnonzero(which == k)) for k in range(5)]
    score = 0.0
    for a, b in ((x, y), (y, x)):
        variance = np.square(a - a.mean(0)).sum() * 0.8  # of the samples that are fitted to, nearly
        guess = cross_val_predict(Ridge(1e-6 * variance), a, b, cv=folds)
        score += (1 - np.square(b - guess).sum() / np.square(b - b.mean(0)).sum()) / 2
    return max(0.0, 1 - score)


CASES: list[tuple[str, dict[str, Any], Callable[[np.ndarray, np.ndarray], float], str, int]] = [
    ("cka", {}, cka, "the numpy formula", 1000),
    ("cka", {"estimator": "unbiased"}, unbiased_cka, "the numpy formula", 100),
    ("cca", {}, cca, "QR and SVD of numpy", 1000),
    ("unit-matching", {}, unit_matching, "`corrcoef` and scipy's assignment", 1000),
    ("linear-predictivity", {"penalties": [1e-6]}, predictivity, "scikit-learn's `Ridge`", 100),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=200)
    count = parser.parse_args().networks

    import torch

    import zoo

    torch.set_num_threads(1)
    nets = networks(count)
    names, flat = list(nets), {name: states.reshape(-1, UNITS) for name, states in nets.items()}
    pairs = list(combinations(range(count), 2))
    few = {name: nets[name] for name in names[:4]}
    print(f"{count} networks, {len(pairs)} pairs, {TRIALS * STEPS} samples × {UNITS} units, one thread\n")
    print("| metric | against | ours (s) | theirs (s) | times faster |")
    print("|---|---|---|---|---|")
    for metric, fields, theirs, what, some in CASES:
        zoo.compare(few, metric, cache=False, **fields)  # what is imported and compiled the first time
        theirs(flat[names[0]], flat[names[1]])
        start = time.perf_counter()
        matrix = zoo.compare(nets, metric, cache=False, **fields).values
        ours = time.perf_counter() - start
        chosen = [pairs[k] for k in np.linspace(0, len(pairs) - 1, min(some, len(pairs))).astype(int)]
        start = time.perf_counter()
        expected = [theirs(flat[names[i]], flat[names[j]]) for i, j in chosen]
        other = (time.perf_counter() - start) * len(pairs) / len(chosen)
        np.testing.assert_allclose([matrix[i, j] for i, j in chosen], expected, rtol=1e-3, atol=1e-3)
        called = f"`{metric}`" + (", unbiased" if "estimator" in fields else "")
        print(f"| {called} | {what} | {ours:.2f} | {other:.1f} | {other / ours:.0f} |", flush=True)


if __name__ == "__main__":
    main()
