"""Trials of NeuroGym's environments: of a package with its interface, and, slowly, of itself."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.errors import MissingDependencyError, SpecError
from zoo.specs.tasks.environments import NeuroGymSpec
from zoo.tasks import environments
from zoo.tasks.environments import NeuroGym

ROOT = Path(__file__).resolve().parents[2]

FAKE = '''
"""The interface of neurogym 2.3: make, unwrapped, seed, reset, new_trial, ob, gt and the two spaces."""
import numpy as np

class Space:
    def __init__(self, shape, n=None):
        self.shape = shape
        if n is not None:
            self.n = n

class Choice:
    """Wait for 2 to 4 steps, then name the louder of two channels for 2."""
    def __init__(self, dt=100, values=False):
        self.dt, self.values = dt, values
        self.observation_space = Space((3,))
        self.action_space = Space((1,)) if values else Space((), 3)

    unwrapped = property(lambda self: self)

    def seed(self, seed):
        assert 0 <= seed < 2**32
        self.rng = np.random.RandomState(seed)

    def reset(self, seed=None, options=None):
        self.seed(seed)
        self.new_trial()
        return self.ob[0], {}

    def new_trial(self):
        wait, side = self.rng.randint(2, 5), self.rng.randint(2)
        self.ob = np.zeros((wait + 2, 3))
        self.ob[:wait, 0] = 1
        self.ob[:, 1 + side] = self.rng.rand(wait + 2)
        self.gt = np.zeros((wait + 2, 1)) if self.values else np.zeros(wait + 2, dtype=int)
        self.gt[wait:] = 1 + side
        return {"ground_truth": side, "coherence": np.float64(0.5), "name": "left", "no": None, "bad name": 1}

def make(name, **options):
    if name != "Choice-v0":
        raise KeyError(f"no environment {name}")
    return Choice(**options)
'''


@pytest.fixture
def neurogym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "neurogym.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("neurogym", None)
    environments._pools.clear()


def ask(**fields: Any) -> NeuroGym:
    given = {"environment": "Choice-v0", "observations": 3, "actions": 3, "steps": 8, "trials": 30, **fields}
    return NeuroGym(NeuroGymSpec.model_validate(given))


def test_trials_are_those_of_the_environment(neurogym: None) -> None:
    task = ask()
    batch = task.batch("train", 0, 0, 200)
    end, side = batch.latents["end"], batch.latents["ground_truth"]
    assert set(end.tolist()) == {4, 5, 6}
    assert set(batch.latents) == {"number", "end", "ground_truth", "coherence"}
    assert side.dtype == torch.int64
    for row in range(200):
        steps = int(end[row])
        assert batch.mask[row].tolist() == [1.0] * steps + [0.0] * (8 - steps)
        assert batch.y[row, :steps].argmax(-1).tolist() == [0] * (steps - 2) + [1 + int(side[row])] * 2
        assert not batch.x[row, steps:].any()
        assert batch.x[row, :steps, 0].tolist() == [1.0] * (steps - 2) + [0.0] * 2
        assert batch.x[row, :steps, 1 + int(side[row])].all()
    assert task.spec.loss == "cross-entropy"
    assert (task.metrics(batch.y, batch)["accuracy"] == 1).all()
    silent = torch.zeros_like(batch.y)
    silent[..., 0] = 1
    found = task.metrics(silent, batch)
    torch.testing.assert_close(found["accuracy"], 1 - 2 / end)
    assert not found["choice_accuracy"].any()


def test_splits_have_trials_of_their_own_and_are_made_once(neurogym: None) -> None:
    def sounds(task: NeuroGym, split: str) -> set[float]:
        return set(task.batch(split, 0, 0, 500).x[:, 0, 1:].sum(-1).tolist())

    task = ask()
    assert len(sounds(task, "train")) == 30
    assert sounds(task, "train") == sounds(ask(), "train")
    assert not sounds(task, "train") & sounds(task, "test")
    assert len(environments._pools) == 2
    other = ask(splits={"slow": {"options": {"dt": 20}}})
    assert not sounds(other, "slow") & sounds(task, "train")


def test_values(neurogym: None) -> None:
    task = ask(options={"values": True}, actions=1, target="value")
    batch = task.batch("test", 0, 0, 5)
    assert task.spec.loss == "mse"
    assert batch.y.shape == (5, 8, 1)
    assert set(batch.y.unique().tolist()) <= {0.0, 1.0, 2.0}
    assert task.metrics(batch.y, batch)["r2"].tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"environment": "Choise-v0"}, "cannot make 'Choise-v0'.*no environment Choise-v0"),
        ({"options": {"dtt": 20}}, "cannot make 'Choice-v0' with these options: TypeError"),
        ({"actions": 2}, "has observations: 3, actions: 3, target: class"),
        ({"target": "value"}, "target: class"),
        ({"steps": 5}, r"task\.steps: a trial of Choice-v0 has 6 steps, and 5 were asked for"),
    ],
)
def test_what_does_not_fit_is_said(neurogym: None, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        ask(**fields).batch("train", 0, 0, 2)


def test_too_many_trials() -> None:
    with pytest.raises(ValidationError, match="trials: so many of 8 steps"):
        ask(trials=10**8)


def test_without_neurogym(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neurogym", None)
    with pytest.raises(MissingDependencyError, match="pip install neurogym"):
        ask().batch("train", 0, 0, 1)


CHECK = """
import numpy as np, neurogym
from zoo.specs.tasks.environments import NeuroGymSpec
from zoo.tasks.environments import NeuroGym
from zoo.tasks.base import derive_seed
for name, widths in {WIDTHS!r}.items():
    spec = NeuroGymSpec(environment=name, observations=widths[0], actions=widths[1], steps=120, trials=20)
    task = NeuroGym(spec)
    batch = task.batch("train", 0, 0, 40)
    env = neurogym.make(name).unwrapped
    seed = derive_seed("trials", name, "train") % 2**32
    env.reset(seed=seed), env.seed(seed)
    seen = []
    for _ in range(20):
        env.new_trial()
        seen.append((env.ob, env.gt))
    for row, number in enumerate(batch.latents["number"].tolist()):
        ob, gt = seen[number]
        assert np.allclose(batch.x[row, :len(ob)], ob.reshape(len(ob), -1), atol=1e-6), name
        assert (batch.y[row, :len(ob)].argmax(-1).numpy() == gt).all(), name
    assert (task.metrics(batch.y, batch)["accuracy"] == 1).all()
    print(name, sorted(batch.latents))
"""
WIDTHS = {
    "PerceptualDecisionMaking-v0": (3, 3),
    "DelayMatchSample-v0": (3, 3),
    "GoNogo-v0": (3, 2),
    "ContextDecisionMaking-v0": (7, 3),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_neurogym_itself_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """What it pins stands before what we have; the rest is ours."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "neurogym==2.3.1"], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ours = tmp_path / "venv" / "lib" / version / "site-packages" / "zz-ours.pth"
    ours.write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    script = CHECK.replace("{WIDTHS!r}", repr(WIDTHS))
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= len(WIDTHS)
