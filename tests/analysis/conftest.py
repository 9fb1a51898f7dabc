"""Activity to compare: small recurrent networks that run freely, and comparators made from a kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from zoo import registry
from zoo.analysis.base import Comparator
from zoo.analysis.matrix import DistanceMatrix
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import ProcrustesSpec


@pytest.fixture(scope="session")
def rnn() -> Callable[..., np.ndarray]:
    """States ``[trial, time, unit]`` of a random network."""

    def run(seed: int, trials: int = 12, steps: int = 60, units: int = 8, gain: float = 1.5) -> np.ndarray:
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(units, units)) * gain / np.sqrt(units)
        state, states = rng.normal(size=(trials, units)), []
        for _ in range(steps):
            state = state + 0.2 * (np.tanh(state @ weights) - state) + 0.02 * rng.normal(size=state.shape)
            states.append(state)
        return np.stack(states, 1)

    return run


@pytest.fixture(scope="session")
def comparator() -> Callable[..., Comparator[Any]]:
    """The comparator of a kind, with fields of its spec."""

    def make(kind: str, **fields: Any) -> Comparator[Any]:
        spec = registry.spec_class("analyses", kind)(**fields)
        return registry.implementation("analyses", kind)(spec)

    return make


@pytest.fixture(scope="session")
def wrap() -> Callable[..., Trajectories]:
    return Trajectories.wrap


@pytest.fixture(scope="session")
def driven() -> Callable[..., Trajectories]:
    """As ``wrap``, for kinds that need inputs, too: white ones, the same in every trial and every network."""

    def make(states: Any, **fields: Any) -> Trajectories:
        found = Trajectories.wrap(states, **fields)
        trials, steps, _ = found.states.shape
        inputs = torch.from_numpy(np.random.default_rng(99).normal(size=1000))[:steps, None]
        return replace(found, inputs=inputs.expand(trials, -1, -1))

    return make


@pytest.fixture(scope="session")
def distances() -> Callable[..., DistanceMatrix]:
    """A matrix of points around one centre a label."""

    def make(
        count: int, labels: tuple[str, ...] = (), spread: float = 0.3, scale: float = 1.0
    ) -> DistanceMatrix:
        rng = np.random.default_rng(3)
        groups = [labels[i * len(labels) // count] for i in range(count)] if labels else []
        names = tuple(f"{groups[i] if groups else 'net'}/{i}" for i in range(count))
        centres = {label: rng.normal(size=5) for label in labels}
        points = np.array([centres.get(g, 0) + spread * rng.normal(size=5) for g in groups or names])
        values = scale * np.linalg.norm(points[:, None] - points[None], axis=-1)
        origins = tuple("0" * 64 for _ in names)
        return DistanceMatrix(
            names,
            (values + values.T) / 2,
            tuple(groups) or names,
            ProcrustesSpec(),
            origins,
            "Distance (rad)",
        )

    return make
