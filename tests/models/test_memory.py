"""Associative memories: what they hold, what they correct, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment
from pydantic import ValidationError
from torch import Tensor

from zoo.models.expander import ExpanderMemory
from zoo.models.memory import DenseMemory, Hopfield
from zoo.models.storing import delta, hebb, pseudo_inverse
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.expander import ExpanderSpec, clusters
from zoo.specs.models.memory import DenseMemorySpec, HopfieldSpec
from zoo.tasks.patterns import null_space


def signs(*shape: int, seed: int = 0) -> Tensor:
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return torch.where(drawn < 0.5, 1.0, -1.0).double()


def holding(model: Any, rule: str, patterns: Tensor) -> Any:
    model = model.double()
    model.load_state_dict(model.store(rule, patterns, patterns))
    return model


def test_energy_of_degree_two_is_the_hopfield_network() -> None:
    """Krotov & Hopfield 2016, after eq. 3."""
    patterns, states = signs(9, 40), signs(64, 40, seed=1)
    dense = holding(DenseMemory(DenseMemorySpec(slots=9, degree=2), 40, 40), "store", patterns)
    hopfield = holding(Hopfield(HopfieldSpec(), 40, 40), "hebb", patterns)
    assert torch.equal(dense.sweep(states), hopfield.sweep(states))


@pytest.mark.parametrize(("self_coupling", "turning"), [(False, (-1.0, -0.8)), (True, (0.99, 1.0))])
def test_an_overfull_pseudo_inverse_holds_its_patterns_and_corrects_nothing(
    self_coupling: bool, turning: tuple[float, float]
) -> None:
    """W is a projection less its diagonal, which is negative for all but stored states: signs turn over."""
    patterns = signs(350, 500)
    memory = holding(
        Hopfield(HopfieldSpec(self_coupling=self_coupling), 500, 500), "pseudo-inverse", patterns
    )
    assert torch.equal(memory.sweep(patterns), patterns)
    state = patterns.clone()
    state[:, :25] *= -1
    for _ in range(20):
        before, state = state, memory.sweep(state)
    least, most = turning
    assert least <= float((before * state).mean()) <= most
    assert float((state * patterns).mean()) < 0.95


@pytest.mark.parametrize(
    "spec", [{"degree": 3}, {"degree": 4}, {"energy": "exponential", "beta": 0.3}], ids=str
)
def test_a_unit_of_a_dense_memory_takes_the_sign_of_lower_energy(spec: dict[str, Any]) -> None:
    """Each unit by itself, from the energies of both signs; a unit without a state, too."""
    n, patterns = 12, signs(20, 12)
    memory = holding(DenseMemory(DenseMemorySpec(slots=20, **spec), n, n), "store", patterns)
    states = signs(16, n, seed=2)
    states[:, 3] = 0
    swept = memory.sweep(states)
    for unit in (0, 3, 7):
        up, down = states.clone(), states.clone()
        up[:, unit], down[:, unit] = 1, -1
        if unit != 3:
            up[:, 3] = down[:, 3] = 1  # energies are of whole states
            swept = memory.sweep(torch.where(torch.arange(n) == 3, 1.0, states))
        else:
            swept = memory.sweep(states)
        gain = memory.energy(down) - memory.energy(up)
        clear = gain.abs() > 1e-6 * memory.energy(up).abs()
        assert clear.sum() > 8
        assert torch.equal(swept[clear, unit], gain[clear].sign())


def test_the_softmax_energy_falls() -> None:
    memory = holding(DenseMemory(DenseMemorySpec(slots=5, energy="softmax"), 20, 20), "store", signs(5, 20))
    h, energies = 0.3 * signs(8, 20, seed=3), []
    for _ in range(6):
        energies.append(memory.energy(h))
        h = memory.sweep(h)
    assert (torch.stack(energies).diff(dim=0) <= 1e-9).all()


def test_a_sequential_sweep_never_raises_the_energy() -> None:
    patterns = signs(30, 50)  # far over the capacity
    memory = holding(Hopfield(HopfieldSpec(update="sequential"), 50, 50), "hebb", patterns)
    h = signs(32, 50, seed=4)
    for _ in range(20):
        new = memory.sweep(h)
        assert (memory.energy(new) <= memory.energy(h) + 1e-9).all()
        h = new
    assert torch.equal(memory.sweep(h), h), "it comes to rest"


def test_the_pseudo_inverse_holds_correlated_patterns_and_hebb_does_not() -> None:
    patterns = torch.where(torch.rand(25, 60, generator=torch.Generator().manual_seed(5)) < 0.8, 1.0, -1.0)
    patterns = patterns.double() * signs(60)
    held = {
        rule: holding(Hopfield(HopfieldSpec(), 60, 60), rule, patterns) for rule in ("hebb", "pseudo-inverse")
    }
    assert torch.equal(held["pseudo-inverse"].sweep(patterns), patterns)
    assert not torch.equal(held["hebb"].sweep(patterns), patterns)


def test_the_delta_rule_comes_to_the_pseudo_inverse() -> None:
    keys = torch.nn.functional.normalize(torch.randn(6, 10, dtype=torch.float64) + 0.5, dim=-1)
    values, weight = torch.randn(6, 4, dtype=torch.float64), torch.zeros(4, 10, dtype=torch.float64)
    for _ in range(3000):
        weight = delta(weight, keys, values, 1.0)
    torch.testing.assert_close(weight, pseudo_inverse(keys, values), atol=1e-6, rtol=1e-6)
    several = pseudo_inverse(keys.expand(3, -1, -1), values.expand(3, -1, -1))
    torch.testing.assert_close(several[2], weight, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(hebb(keys, values), torch.einsum("pv,pk->vk", values, keys))


@pytest.mark.parametrize(("units", "degree", "cluster"), [(96, 5, 6), (48, 3, 4)])
def test_the_graph_is_biregular_and_its_words_are_fixed(units: int, degree: int, cluster: int) -> None:
    graph = ExpanderSpec(degree=degree, cluster=cluster)
    members = torch.tensor(clusters(graph, units))
    assert members.shape == (units * degree // cluster, cluster)
    assert torch.equal(members.flatten().bincount(), torch.full((units,), degree))
    assert all(len(set(row)) == cluster for row in members.tolist()), "no edge is there twice"
    basis = null_space(graph, units)
    assert len(basis) >= units * (1 - degree / cluster)
    words = 1 - 2 * ((torch.randint(2, (32, len(basis))) @ basis.long()) % 2).float()
    assert (words[:, members].prod(-1) == 1).all()
    for update in ("winner", "flip"):
        model: Any = {"kind": "expander-memory", "update": update, "graph": graph, "sweeps": 4}
        task = {"kind": "codewords", "units": units, "graph": graph}
        spec = {"name": "x", "model": model, "task": task, "learner": {"kind": "none"}, "train": {"steps": 0}}
        memory = build(ExperimentSpec.model_validate(spec)).model
        assert isinstance(memory, ExpanderMemory)
        states = memory(torch.cat([words[:, None], torch.zeros(32, 1, units)], 1)).y
        assert torch.equal(states[:, -1], words)


def refused(**changes: Any) -> str:
    with pytest.raises(ValidationError) as problem:
        ExperimentSpec.model_validate({**experiment("hopfield").plain(), **changes})
    return str(problem.value)


def test_what_a_memory_cannot_do_is_refused() -> None:
    task = {"kind": "patterns", "units": 24, "patterns": 30}
    assert "30 are more than the 24 units" in refused(task=task, learner={"kind": "pseudo-inverse"})
    assert "should be hebb or pseudo-inverse or none" in refused(learner={"kind": "backprop"})
    assert "choose 'patterns' or 'pairs'" in refused(task={"kind": "flip-flop"})
    assert "choose 'backprop'" in refused(model={"kind": "gru"})
    assert "choose 'patterns', or the model 'kv-memory'" in refused(task={"kind": "pairs"})
    assert "should be 1: 'hebb' stores everything at once" in refused(train={"steps": 2})
    slots = {"kind": "dense-memory", "slots": 4}
    assert "give model.slots=3" in refused(model=slots, learner={"kind": "store"})
    words = {"model": {"kind": "expander-memory"}, "learner": {"kind": "none"}, "train": {"steps": 0}}
    assert "choose 96" in refused(task={"kind": "codewords", "units": 100}, **words)
    other = {"kind": "codewords", "graph": {"seed": 1}}
    assert "another one than that of the task" in refused(task=other, **words)
    assert "is even" in refused(task={"kind": "codewords", "graph": {"degree": 4}}, **words)
    assert "pixels of a digit" in refused(task={"kind": "patterns", "source": "digits", "units": 60})
