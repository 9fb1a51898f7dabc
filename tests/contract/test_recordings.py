"""What a recording owes: what was recorded and nothing else, and a sentence where a network is asked for."""

from __future__ import annotations

import pytest
import torch
from examples import RECORDINGS

from zoo.checkpoints.network import empty, fill
from zoo.errors import AnalysisError, CheckpointError, SpecError
from zoo.models.recording import contents
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.recording import RecordingSpec


def experiment(model: dict[str, object], held_out: int = 4) -> ExperimentSpec:
    spec = RecordingSpec.model_validate(model)
    task = {"trials": spec.trials, "steps": spec.steps, "width": spec.width, "held_out": held_out}
    return ExperimentSpec.model_validate(
        {
            "name": "recorded",
            "model": spec,
            "task": {"kind": "recorded", **task},
            "learner": {"kind": "none"},
            "train": {"steps": 0},
        }
    )


@pytest.fixture(params=RECORDINGS)
def network(request: pytest.FixtureRequest) -> Network:
    """A recording of random numbers."""
    made = empty(experiment(RECORDINGS[request.param]))
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randint(1, 10, shape, generator=generator)
        if whole
        else torch.randn(shape, generator=generator)
        for name, (shape, whole) in contents(made.model.spec).items()
    }
    fill(made, tensors, "here")
    return made.eval()


def test_trials_are_those_that_were_recorded(network: Network) -> None:
    model = network.model
    for split, numbers in {"train": range(6), "test": range(6, 10), "all": range(10)}.items():
        run = network.trajectories(trials=64, split=split)
        assert run.latents["number"].tolist() == list(numbers)
        assert torch.equal(run.states, model.states[list(numbers)])
        assert run.initial is None
        assert run.targets is None
        for name, buffer in {"inputs": "input", "outputs": "output", "lengths": "lengths"}.items():
            recorded = model.get_buffer(buffer) if buffer in contents(model.spec) else None
            found = getattr(run, name)
            assert (found is None) == (recorded is None)
            assert found is None or torch.equal(found, recorded[list(numbers)])
        for name in model.spec.latents:
            assert torch.equal(run.latents[name], model.get_buffer(f"latent_{name}")[list(numbers)])


def test_a_seed_chooses_some_of_the_trials(network: Network) -> None:
    chosen = {tuple(network.trajectories(3, seed, "all").latents["number"].tolist()) for seed in range(20)}
    assert len(chosen) > 5
    assert all(list(numbers) == sorted(set(numbers)) and len(numbers) == 3 for numbers in chosen)
    again = network.trajectories(3, 7, "all").latents["number"]
    assert torch.equal(again, network.trajectories(3, 7, "all").latents["number"])


def test_every_site_is_what_was_recorded(network: Network) -> None:
    batch = network.batch("all", 0, 0, 10)
    with network.model.capture(network.model.sites) as seen:
        output = network(batch.x)
    assert set(seen) == set(network.model.sites)
    assert torch.equal(seen["h"], network.model.states)
    assert torch.equal(output.y, seen.get("output", seen["h"]))
    for site in network.model.sites:
        assert torch.equal(network.trajectories(10, split="all", site=site).states, seen[site])
    with pytest.raises(AnalysisError, match="no site 'state'"):
        network.trajectories(site="state")


def test_it_is_measured_in_pieces_and_on_the_trials_there_are(network: Network) -> None:
    whole = network.measure("train", 512)["loss"]
    assert whole.shape == (6,)
    assert torch.equal(network.measure("train", 512, chunk=4)["loss"], whole)


def test_what_only_a_network_has_is_refused(network: Network) -> None:
    model, h, u = network.model, torch.zeros(1, 4), torch.zeros(1, 1)
    for ask in (
        lambda: model.step(h, u),
        lambda: model.rollout(h, steps=3),
        lambda: model.initial_state(1),
        lambda: model.intervene({"h": lambda value, t: value}),
    ):
        with pytest.raises(AnalysisError, match=r"a recording has no .*ask a network"):
            ask()
    with pytest.raises(AnalysisError, match="10 trials of 9 steps"):
        network(torch.full((1, 9, 1), 10.0))
    with pytest.raises(AnalysisError, match="10 trials of 9 steps"):
        network(torch.zeros(1, 10, 1))


def test_none_begins_anew_or_with_other_numbers() -> None:
    spec = experiment(RECORDINGS["recording"])
    with pytest.raises(SpecError, match=r"cannot be trained or begun anew[\s\S]*zoo import"):
        build(spec)
    with pytest.raises(CheckpointError, match=r"states is \(1, 9, 4\) rather than \(10, 9, 4\)"):
        fill(empty(spec), {"states": torch.zeros(1, 9, 4)}, "here")
    with pytest.raises(SpecError, match="a recording takes the number of a trial and gives 4 outputs"):
        empty(spec.updated(task={**dict(spec.task), "kind": "recorded", "width": 3}))


def test_none_is_larger_than_memory() -> None:
    with pytest.raises(ValueError, match="too many for a recording"):
        RecordingSpec(trials=10**6, steps=10**6, units=10**3)


def test_all_are_all_where_none_is_held_out() -> None:
    task = empty(experiment(RECORDINGS["recording"], held_out=0)).task
    for split in ("train", "validation", "test"):
        assert task.batch(split, 0, 0, 99).latents["number"].tolist() == list(range(10))
    with pytest.raises(ValueError, match="leaves none to train on"):
        experiment(RECORDINGS["recording"], held_out=10)
