"""Chaotic systems against independent integrators, closed forms and published statistics."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from zoo.errors import AnalysisError, MissingDependencyError, SpecError
from zoo.specs.tasks.chaos import SYSTEMS, ChaosSpec, DystsSpec
from zoo.tasks import catalogue
from zoo.tasks.chaos import Chaos, Dysts
from zoo.tasks.flows import FLOWS, mackey_glass, origin, sample


def chaos(**fields: Any) -> Chaos:
    return Chaos(
        ChaosSpec.model_validate(
            {"trajectories": 20, "burn_in": 100, "steps": 50, "standardise": False, **fields}
        )
    )


EQUATIONS = {
    "lorenz": lambda t, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]],
    "rossler": lambda t, s: [-s[1] - s[2], s[0] + 0.2 * s[1], 0.2 + s[2] * (s[0] - 5.7)],
    "lorenz96": lambda t, s: [(s[(i + 1) % 6] - s[i - 2]) * s[i - 1] - s[i] + 8 for i in range(6)],
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_trajectories_are_those_of_scipy(name: str) -> None:
    system = SYSTEMS[name]
    state = torch.tensor(
        [[1.0, 2.0, 3.0]] if name != "lorenz96" else [[1.0, 2.0, 8.0, 8.1, 0.3, -2.0]]
    ).double()
    found = torch.stack(sample(FLOWS[name](system.parameters), state, 40, system.dt, system.substeps, 5), 1)
    times = [system.dt * k for k in range(5, 45)]
    peer = solve_ivp(
        EQUATIONS[name], (0, times[-1]), state[0].numpy(), t_eval=times, rtol=1e-10, atol=1e-10
    ).y.T
    assert found[0].numpy() == pytest.approx(peer, abs=2e-3, rel=2e-3)


def test_a_delay_against_the_closed_form_and_smaller_steps() -> None:
    p = SYSTEMS["mackey-glass"].parameters
    past = torch.tensor([0.5, 1.2]).double()
    found = torch.stack(mackey_glass(p, past[:, None], 18, 1.0, 4, 0), 1)[..., 0]
    source = 0.2 * past / (1 + past**10)  # while the delayed value is the constant past
    for t in range(17):  # after which the method sees that the past was not smooth
        exact = source / 0.1 + (past - source / 0.1) * math.exp(-0.1 * t)
        assert found[:, t].tolist() == pytest.approx(exact.tolist(), abs=1e-8)
    coarse, fine = (mackey_glass(p, past[:, None], 1, 1.0, n, 100)[0] for n in (4, 32))
    assert coarse.flatten().tolist() == pytest.approx(fine.flatten().tolist(), abs=1e-3)


# Mean and deviation: the first three of the catalogue dysts 0.96 (long runs at the same parameters, but for
# beta 2.667); Lorenz & Emanuel (1998) for the fourth.
STATISTICS = [
    ("lorenz", 2, 23.546, 8.579),
    ("lorenz", 0, 0.0, 7.906),
    ("lorenz", 1, 0.0, 8.999),
    ("lorenz96", 0, 2.3, 3.6),
]


@pytest.mark.parametrize(("name", "variable", "mean", "deviation"), STATISTICS)
def test_statistics_of_the_attractors(name: Any, variable: int, mean: float, deviation: float) -> None:
    task = chaos(system=name, observed=None, variables=40)
    found = task.simulate(task.spec, 300, 400, 600, 0.1, "near", 0)[..., variable]
    assert found.mean().item() == pytest.approx(mean, abs=0.35)
    assert found.std().item() == pytest.approx(deviation, rel=0.04)


def test_targets_are_what_comes_later() -> None:
    task = chaos(horizon=3, observed=[0, 2], noise=0.1)
    batch = task.batch("train", 0, 0, 15)
    assert batch.x.shape == (15, 50, 2)
    torch.testing.assert_close(batch.x[:, 3:], batch.y[:, :-3])
    clean = batch.latents["state"][..., [0, 2]]
    assert (batch.x - clean).std().item() == pytest.approx(0.1, rel=0.1)
    quiet = chaos(horizon=3, observed=[0, 2], noise=0.1, target="clean").batch("train", 0, 0, 15)
    torch.testing.assert_close(quiet.y[:, :-3], clean[:, 3:])
    assert torch.equal(quiet.x, batch.x)


def test_splits_have_trajectories_of_their_own() -> None:
    task = chaos(splits={"again": {"part": "test"}})

    def states(split: str, seed: int = 0) -> set[float]:
        return set(task.batch(split, seed, 0, 200).x[:, 0, 0].tolist())

    train = states("train")
    assert len(train) == 20
    assert states("train", 1) == train
    assert not train & states("test")
    assert not states("validation") & states("test")
    assert states("again") == states("test")


def test_noise_is_new_in_every_split() -> None:
    task = chaos(noise=0.5)
    noise = []
    for split in ("train", "validation"):
        batch = task.batch(split, 0, 0, 400)
        seen = batch.x - batch.latents["state"][..., :1]
        noise.append(torch.stack([seen[batch.latents["trajectory"] == k][0] for k in range(20)]).flatten())
    assert torch.corrcoef(torch.stack(noise))[0, 1].abs() < 0.15


def test_initial_states_are_near_a_point_or_on_the_ray_to_it() -> None:
    point, size = (each.float() for each in origin("lorenz", 3))
    fields = {"burn_in": 0, "steps": 2, "trajectories": 500, "spread": 0.3}
    near = chaos(**fields).batch("train", 0, 0, 2000).latents["state"][:, 0]
    assert (near.std(0) / size).tolist() == pytest.approx([0.3] * 3, rel=0.1)
    ray = chaos(**fields, start="ray").batch("train", 0, 0, 2000).latents["state"][:, 0]
    factor = ray @ point / (point @ point)
    torch.testing.assert_close(ray, factor[:, None] * point)
    assert 0 <= factor.min() < 0.02
    assert 0.28 < factor.max() <= 0.3


def test_standardised_or_in_its_own_units() -> None:
    task = chaos(trajectories=200, steps=300, observed=None, burn_in=600, standardise=True)
    batch = task.batch("test", 0, 0, 400)
    assert batch.x.mean((0, 1)).abs().max() < 0.25
    assert (batch.x.std((0, 1)) - 1).abs().max() < 0.1
    raw = chaos(trajectories=200, steps=300, observed=None, burn_in=600)
    found = raw.batch("test", 0, 0, 400)
    mean, deviation = task._scale(task.spec)
    torch.testing.assert_close(((found.x - mean) / deviation).float(), batch.x, atol=1e-4, rtol=1e-4)


def test_the_settings_of_the_delay_embedding_theory() -> None:
    fields = {"steps": 499, "dt": 0.01, "burn_in": 200, "start": "ray", "spread": 5.0}
    task = chaos(**fields, noise=0.05, trajectories=200)
    batch = task.batch("train", 0, 0, 200)
    assert batch.x.shape == (200, 499, 1)
    assert 15 < batch.x.abs().max() < 22
    noise = batch.x[..., 0] - batch.latents["state"][..., 0]
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    start = chaos(**{**fields, "burn_in": 0}).batch("train", 0, 0, 50).latents["state"][:, 0]
    factor = start / torch.tensor([-9.7869288, -15.03852, 20.533978])
    torch.testing.assert_close(factor[:, 0], factor[:, 1])
    assert factor.min() >= 0
    assert factor.max() <= 5


def test_errors_are_relative_to_saying_that_nothing_changes() -> None:
    task = chaos()
    batch = task.batch("test", 0, 0, 10)
    assert task.metrics(batch.x, batch)["mase"].tolist() == pytest.approx([1.0] * 10)
    assert task.metrics((batch.x + batch.y) / 2, batch)["mase"].tolist() == pytest.approx(
        [0.5] * 10, rel=1e-4
    )


@pytest.mark.parametrize("fields", [{"noise": 0.1}, {"system": "mackey-glass"}])
def test_no_oracle_without_knowing_the_state(fields: dict[str, Any]) -> None:
    task = chaos(**fields)
    with pytest.raises(AnalysisError, match="has no oracle"):
        task.oracle(task.batch("test", 0, 0, 2))


def test_the_oracle_looks_ahead() -> None:
    task = chaos(system="rossler", horizon=7, observed=[1], standardise=True)
    batch = task.batch("test", 0, 0, 5)
    torch.testing.assert_close(task.oracle(batch), batch.y, atol=1e-4, rtol=1e-4)


def test_a_trajectory_that_leaves_every_bound() -> None:
    with pytest.raises(SpecError, match="leaves every bound"):
        chaos(system="rossler", spread=50.0).batch("train", 0, 0, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"parameters": {"rhoo": 1.0}},
            r"parameters\.rhoo: lorenz has no parameter 'rhoo'.*Did you mean 'rho'",
        ),
        ({"observed": [3]}, "observed: lorenz has the variables 0 … 2"),
        ({"observed": [1, 1]}, "observed: names a variable twice"),
        ({"observed": []}, "observed"),
        (
            {"system": "mackey-glass", "substeps": 3, "parameters": {"tau": 17.1}},
            "substeps: tau is 51.3 steps",
        ),
        (
            {"system": "mackey-glass", "parameters": {"tau": 0}},
            r"parameters\.tau: a delay of 0 is less than one step of the integration, 0\.25",
        ),
        (
            {"system": "mackey-glass", "parameters": {"tau": 701.25}},
            r"parameters\.tau: nothing comes back after a delay of 701\.25: a trajectory ends at 701",
        ),
        ({"trajectories": 10**6}, "trajectories: so many"),
        ({"splits": {"all": {"observed": None}}}, "may not change the width"),
        ({"system": "henon"}, "system"),
    ],
)
def test_impossible_systems_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChaosSpec.model_validate(fields)


@pytest.mark.parametrize("tau", [0.25, 701])
def test_delays_from_one_step_to_the_whole_trajectory(tau: float) -> None:
    spec = ChaosSpec(system="mackey-glass", parameters={"tau": tau}, trajectories=1)
    assert Chaos(spec).batch("train", 0, 0, 1).y.isfinite().all()


FLOWS_PY = """
import numpy as np
from .base import DynSys, DynSysDelay, staticjit

class Spiral(DynSys):
    @staticjit
    def _rhs(x, y, t, a, b):
        return -a * x - b * y, b * x - a * y

class Twin(Spiral):
    pass

class Written(DynSys):
    def rhs(self, X, t):
        x, p = X
        return np.sin(p) - self.a * x, 2.0

class Late(DynSysDelay):
    @staticjit
    def _rhs(x, xt, t, a):
        return -a * xt

class Clock(DynSys):
    @staticjit
    def _rhs(x, y, t, a, b):
        return np.sin(t) - a * x, b * y

class Choosy(DynSys):
    @staticjit
    def _rhs(x, y, t, a, b):
        return (a, b) if x > 0 else (b, a)
"""


@pytest.fixture
def dysts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package with the interface of dysts 0.96, in which importing anything would fail."""
    (tmp_path / "dysts" / "data").mkdir(parents=True)
    (tmp_path / "dysts" / "__init__.py").write_text("raise ImportError('gluonts')")
    (tmp_path / "dysts" / "flows.py").write_text(FLOWS_PY)
    facts = {"initial_conditions": [1.0, 0.5], "std": [0.5, 0.5], "period": 5.0, "unbounded_indices": []}
    facts["parameters"] = {"b": 2.0, "a": 0.1}
    names = ("Spiral", "Twin", "Clock", "Choosy")
    entries: dict[str, Any] = {name: dict(facts) for name in names}
    entries["Written"] = {**facts, "parameters": {"a": 1.0}, "unbounded_indices": [1]}
    entries["Late"] = {**facts, "parameters": {"a": 1.0}, "initial_conditions": [1.0]}
    (tmp_path / "dysts" / "data" / "chaotic_attractors.json").write_text(json.dumps(entries))
    monkeypatch.syspath_prepend(tmp_path)
    caches = (catalogue._entry, catalogue._facts, catalogue._classes)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


def ask(system: str, **fields: Any) -> Dysts:
    small = {"trajectories": 5, "burn_in": 0, "steps": 30, "standardise": False, "spread": 0.0}
    return Dysts(DystsSpec.model_validate({"system": system, **small, **fields}))


@pytest.mark.parametrize("system", ["Spiral", "Twin"])
def test_equations_of_the_catalogue(dysts: None, system: str) -> None:
    batch = ask(system, observed=[1, 0]).batch("train", 0, 0, 4)
    time = torch.arange(30) * 0.05  # a hundredth of the period
    x = torch.exp(-0.1 * time) * (torch.cos(2 * time) - 0.5 * torch.sin(2 * time))
    y = torch.exp(-0.1 * time) * (torch.sin(2 * time) + 0.5 * torch.cos(2 * time))
    torch.testing.assert_close(batch.x, torch.stack([y, x], -1).expand(4, -1, -1), atol=1e-5, rtol=0)
    task = ask(system, parameters={"a": 0.0}, dt=0.1, spread=0.1)
    batch = task.batch("test", 0, 0, 4)
    torch.testing.assert_close(task.oracle(batch), batch.y)
    assert np.ptp(batch.latents["state"].norm(dim=-1).numpy(), axis=1).max() < 1e-5


def test_systems_with_code_of_their_own(dysts: None) -> None:
    batch = ask("Written").batch("train", 0, 0, 2)
    torch.testing.assert_close(batch.latents["state"][0, :, 1], 0.5 + 2 * 0.05 * torch.arange(30))
    with pytest.raises(SpecError, match=r"task\.observed: Written has the variables \[0\], not \[1\]"):
        ask("Written", observed=[1])
    with pytest.raises(SpecError, match=r"task\.observed: Spiral has the variables \[0, 1\], not \[0, 2\]"):
        ask("Spiral", observed=[0, 2])


@pytest.mark.parametrize("system", ["Late", "Clock", "Choosy"])
def test_what_is_no_function_of_the_state_is_refused(dysts: None, system: str) -> None:
    with pytest.raises(SpecError, match=f"{system} is not given as a rate of change"):
        ask(system)


def test_what_the_catalogue_does_not_have(dysts: None) -> None:
    with pytest.raises(SpecError, match=r"no system 'Spirale'\. Did you mean 'Spiral'"):
        ask("Spirale")
    with pytest.raises(SpecError, match=r"Spiral has no parameter 'c'"):
        ask("Spiral", parameters={"c": 1.0})


def test_without_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue._entry.cache_clear()
    catalogue._facts.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps dysts"):
        ask("Lorenz")
