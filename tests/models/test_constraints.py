"""Constraints hold whatever an update does, and impossible ones are refused before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from examples import experiment
from pydantic import ValidationError
from safetensors.torch import load_file

from zoo.errors import SpecError
from zoo.models.cells import Cell
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import parse
from zoo.specs.problems import validate
from zoo.training.run import Run

AREAS = {"v": {"size": 6, "readout": False}, "pfc": {"size": 6, "input": False}, "m": {"size": 8}}


def network(kind: str = "rate", hidden: int = 20, seed: int = 0, **fields: Any) -> Network:
    train = {"precision": "64-true", "seed": seed}
    return build(experiment(train=train).updated(model={"kind": kind, "hidden": hidden, **fields}))


def cell(kind: str = "rate", **fields: Any) -> Cell:
    model = network(kind, **fields).model
    assert isinstance(model, Cell)
    return model


def shaken(model: torch.nn.Module, steps: int = 5) -> None:
    """Large updates, in the direction of the gradient and elsewhere."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(steps):
        x = torch.randn(4, 6, model.inputs, dtype=torch.float64)
        optimizer.zero_grad()
        model(x).y.square().sum().backward()
        for value in model.parameters():
            if value.grad is not None:
                value.grad = value.grad.clamp(-1, 1) + 0.3 * torch.randn_like(value)
        optimizer.step()


def test_dales_principle_survives_updates() -> None:
    model = cell(constraints={"dale": {"excitatory": 0.75, "readout": "excitatory"}})
    before = model.recurrent.detach().clone()
    shaken(model)
    weight = model.recurrent.detach()
    assert not torch.allclose(weight, before)
    assert (weight[:, :15] >= 0).all()
    assert (weight[:, 15:] <= 0).all()
    assert (weight != 0).all()
    h = torch.zeros(1, 20, dtype=torch.float64)
    inhibited = h.clone()
    inhibited[:, 15:] = 3.0
    assert torch.equal(model.readout(h), model.readout(inhibited))


def test_excitation_and_inhibition_begin_balanced() -> None:
    held = {"dale": {"excitatory": 0.8}}
    balanced = cell(hidden=200, constraints=held).recurrent
    assert balanced.sum().item() == pytest.approx(0, abs=0.03 * balanced.abs().sum().item())
    free = cell(hidden=200, constraints={"dale": {"excitatory": 0.8, "balanced": False}}).recurrent
    assert free.sum().item() == pytest.approx(0.6 * free.abs().sum().item(), rel=0.05)


@pytest.mark.parametrize("kind", ["rate", "elman"])
def test_a_fixed_mask_survives_updates(kind: str) -> None:
    held = {"sparsity": {"kind": "fixed", "density": 0.3}, "self_connections": False}
    model = network(kind, constraints=held).model

    def acting() -> torch.Tensor:
        return (model.recurrent if kind == "rate" else model.weights[1]).detach()

    there = acting() != 0
    assert there.sum().item() == round(0.3 * 20 * 19)
    assert not there.diagonal().any()
    shaken(model)
    assert torch.equal(acting() != 0, there)


def test_masks_follow_from_their_seed() -> None:
    def mask(member: int, **sparsity: Any) -> torch.Tensor:
        return cell(
            seed=member, constraints={"sparsity": {"kind": "fixed", "density": 0.5} | sparsity}
        ).constraint.mask

    assert torch.equal(mask(0), mask(0))
    assert not torch.equal(mask(0), mask(1))
    assert torch.equal(mask(0, seed=7), mask(1, seed=7))
    assert not torch.equal(mask(0, seed=7), mask(0, seed=8))


def test_a_learned_mask_moves_and_keeps_its_density() -> None:
    held = {"sparsity": {"kind": "learned", "density": 0.25}, "self_connections": False}
    model = cell(constraints=held)
    before = model.recurrent.detach() != 0
    assert before.sum().item() == round(0.25 * 20 * 19)
    shaken(model)
    after = model.recurrent.detach() != 0
    assert after.sum() == before.sum()
    assert not torch.equal(after, before)
    assert not after.diagonal().any()


def test_the_gradient_of_a_score_is_that_of_a_mask_of_any_value() -> None:
    model = cell(constraints={"sparsity": {"kind": "learned", "density": 0.25}})
    push = torch.randn(20, 20, dtype=torch.float64)
    (model.recurrent * push).sum().backward()
    torch.testing.assert_close(model.constraint.scores.grad, push * model.weight.detach())
    torch.testing.assert_close(model.weight.grad, push * (model.recurrent.detach() != 0))


def test_areas_connect_as_declared_and_are_sites() -> None:
    projections = [
        {"source": "v", "target": "pfc", "density": 0.5},
        {"source": "pfc", "target": "m"},
    ]
    model = cell(constraints={"areas": AREAS, "projections": projections})
    shaken(model)
    v, pfc, m = (model.parts[name] for name in AREAS)
    weight = model.recurrent.detach()
    assert (weight[pfc, v] != 0).sum().item() == 18
    for a in (v, pfc, m):
        assert (weight[a, a] != 0).all()
    assert (weight[m, pfc] != 0).all()
    for target, source in ((v, pfc), (v, m), (pfc, m), (m, v)):
        assert (weight[target, source] == 0).all()
    x = torch.randn(3, 5, model.inputs, dtype=torch.float64)
    with model.capture(["pfc", "h"]) as seen:
        model(x)
    assert torch.equal(seen["pfc"], seen["h"][..., pfc])
    first = model.step(torch.zeros(3, 20, dtype=torch.float64), x[:, 0])
    quiet = model.step(torch.zeros(3, 20, dtype=torch.float64), 0 * x[:, 0])
    assert torch.equal(first[:, pfc], quiet[:, pfc])
    h = torch.zeros(1, 20, dtype=torch.float64)
    changed = h.clone()
    changed[:, v] = 1.0
    assert torch.equal(model.readout(h), model.readout(changed))
    with model.intervene({"pfc": lambda value, t: torch.zeros_like(value)}):
        assert not torch.allclose(model(x).y, seen["h"].new_tensor(0) + model.decode(seen["h"]))


@pytest.mark.parametrize("kind", ["rate", "elman", "gru", "lstm"])
def test_what_is_fixed_is_no_parameter(kind: str) -> None:
    every = {name for name, _ in network(kind).model.named_parameters()}
    model = network(kind, constraints={"fixed": ["input", "readout"]}).model
    trained = {name for name, _ in model.named_parameters()}
    assert every - trained == {
        "weight_in" if kind == "rate" else "cell.weight_ih_l0",
        "output.weight",
        "output.bias",
    }
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert before.keys() == every
    shaken(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == (name not in trained)


@pytest.mark.parametrize("kind", ["rate", "elman", "gru"])
def test_weights_of_inputs_that_are_not_learned_stay(kind: str, tmp_path: Path) -> None:
    """Bit for bit, through training; the pass is the same."""
    spec = experiment(kind)
    held = spec.updated(model=spec.model.updated(constraints={"learned_inputs": [1]}))  # type: ignore[arg-type]
    name = "weight_in" if kind == "rate" else "cell.weight_ih_l0"
    begun = build(held)
    plain = build(spec)
    x = begun.batch("test", 0, 0, 4).x
    torch.testing.assert_close(begun(x).y, plain(x).y)
    before = begun.model.state_dict()[name].clone()
    run = Run.of(held, tmp_path / "run")
    run.fit(progress=False)
    after = load_file(run.snapshot(run.result["steps"]))[name]
    assert torch.equal(after[:, 0], before[:, 0])
    assert not torch.equal(after[:, 1], before[:, 1])
    for fields, words in (
        ({"learner": {"kind": "ridge"}}, "'ridge' would change the others, too"),
        ({"learner": {"kind": "backprop", "optimizer": {"kind": "adamw"}}}, "weight decay would change"),
        (
            {"model": {"kind": kind, "constraints": {"learned_inputs": [2]}}},
            "the task has inputs 0 to 1, and no 2",
        ),
        (
            {"model": {"kind": kind, "constraints": {"learned_inputs": [1], "fixed": ["input"]}}},
            "that none is",
        ),
        (
            {"model": {"kind": "ltc", "constraints": {"learned_inputs": [1]}}},
            "do not act through trained weights alone",
        ),
    ):
        with pytest.raises(ValidationError, match=words):
            held.updated(**fields)


def test_the_radius_is_that_of_the_weights_that_act() -> None:
    held = {"dale": {}, "sparsity": {"kind": "fixed", "density": 0.4}}
    weight = cell(hidden=40, constraints=held, init={"spectral_radius": 1.3}).recurrent.detach()
    assert torch.linalg.eigvals(weight).abs().max().item() == pytest.approx(1.3, rel=1e-5)
    one = {"sparsity": {"kind": "fixed", "density": 0.003, "seed": 0}, "self_connections": False}
    with pytest.raises(SpecError, match=r"form no loop.*Raise model\.constraints\.sparsity\.density"):
        cell(constraints=one, init={"spectral_radius": 1.3})


def test_a_radius_of_connections_that_form_no_loop_is_refused_before_anything_is_built() -> None:
    one, there = {"a": {"size": 1}, "b": {"size": 1}}, {"source": "a", "target": "b"}
    model: dict[str, Any] = {"kind": "rate", "hidden": 2, "init": {"spectral_radius": 1.0}}
    model["constraints"] = {"areas": one, "self_connections": False, "projections": [there]}
    with pytest.raises(ValidationError, match=r"init\.spectral_radius: the connections .* form no loop"):
        experiment().updated(model=model)
    back = {"source": "b", "target": "a"}
    experiment().updated(model=model | {"constraints": model["constraints"] | {"projections": [there, back]}})
    experiment().updated(model=model | {"constraints": model["constraints"] | {"self_connections": True}})
    experiment().updated(model=model | {"init": {}})


def test_unconstrained_specs_are_what_they_were() -> None:
    for kind in ("rate", "elman", "gru", "lstm"):
        assert experiment().updated(model={"kind": kind}).model.canonical() == {"kind": kind}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sparsity": {"kind": "fixed", "density": 0.001}}, "constraints.sparsity.density: leaves none of 400"),
    ({"sparsity": {"kind": "learned", "density": 0.001}}, "constraints.sparsity.density: leaves none"),
    ({"sparsity": {"kind": "fixed", "density": 0.0}}, "constraints.sparsity.density"),
    ({"areas": {"a": {"size": 7}, "b": {"size": 12}}}, "constraints.areas: their sizes add up to 19"),
    ({"areas": {"h": {"size": 20}}}, "constraints.areas: 'h' is another site of the model: rename"),
    ({"areas": {"a": {"size": 20, "input": False}}}, "constraints.areas: none of them receives the input"),
    ({"areas": {"a": {"size": 20, "readout": False}}}, "constraints.areas: none of them is read out"),
    ({"projections": []}, "constraints.projections: there are no areas"),
    ({"areas": AREAS, "projections": []}, ""),
    (
        {"areas": AREAS | {"m": {"size": 8, "input": False}}, "projections": []},
        "constraints.projections: no path leads",
    ),
    (
        {"areas": AREAS, "projections": [{"source": "v", "target": "pcf"}]},
        "constraints.projections.0.target: there is no area 'pcf'. Did you mean 'pfc'?",
    ),
    (
        {"areas": AREAS, "projections": [{"source": "v", "target": "m", "density": 0.001}]},
        "constraints.projections.0.density: leaves none of the 48 connections from v to m",
    ),
    ({"areas": AREAS, "projections": [{"source": "v", "target": "v"}]}, "always connects to itself"),
    ({"areas": AREAS, "projections": 2 * [{"source": "v", "target": "m"}]}, "projections.1: v to m is there"),
    ({"fixed": ["input", "recurrent", "bias", "readout"]}, "constraints.fixed: leaves nothing to train"),
    (
        {"dale": {"excitatory": 0.0, "readout": "excitatory"}},
        "constraints.dale.readout: there is no excitatory unit",
    ),
]


@pytest.mark.parametrize(("constraints", "message"), REFUSED)
def test_impossible_constraints_are_refused_with_their_path(
    constraints: dict[str, Any], message: str
) -> None:
    data = experiment().plain()
    data["model"] = {"kind": "rate", "hidden": 20, "constraints": constraints}
    if not message:
        validate(ExperimentSpec, data)
        return
    with pytest.raises(SpecError) as caught:
        validate(ExperimentSpec, data)
    assert message in str(caught.value)
    assert "model.constraints" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{kind: gru, constraints: {dale: {}}}", "model.constraints.dale: the units of a 'gru' network"),
        (
            "{kind: lstm, constraints: {dale: {}}}",
            "choose one of echo-state, elman, lif, lowrank, ltc, rate",
        ),
        (
            "{kind: rate, init: {distribution: identity}, constraints: {dale: {}}}",
            "model.init.distribution: the signs of constraints.dale would undo it",
        ),
        (
            "{kind: rate, init: {distribution: identity}, constraints: {self_connections: false}}",
            "model.init.distribution: constraints.self_connections is off",
        ),
        (
            "{kind: gru, init: {distribution: orthogonal}, constraints: {self_connections: false}}",
            "model.init.distribution: constraints.self_connections would undo it",
        ),
        (
            "{kind: elman, init: {rank: 2}, constraints: {sparsity: {kind: fixed, density: 0.5}}}",
            "model.init.rank: constraints.sparsity would undo it",
        ),
        ("{kind: rate, hidden: 1, constraints: {self_connections: false}}", "leaves no connection"),
        ("{kind: lowrank, hidden: 4, rank: 5}", "model.rank: 5 is above the 4 hidden units"),
        ("{kind: lowrank, init: {rank: 2}}", "model.init.rank: the connectivity has the model's own rank"),
        ("{kind: lowrank, init: {distribution: orthogonal}}", "model.init.distribution: the factors"),
        ("{kind: lowrank, constraints: {self_connections: false}}", "a mask would raise the rank"),
        ("{kind: lowrank, random: 0.5, constraints: {dale: {}}}", "model.random: the random part has both"),
    ],
)
def test_what_does_not_go_together_is_refused(model: str, message: str) -> None:
    text = "\n".join(
        [
            "spec: experiment/1",
            "name: x",
            f"model: {model}",
            "task: {kind: flip-flop}",
            "learner: {kind: backprop}",
        ]
    )
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert message in str(caught.value)
