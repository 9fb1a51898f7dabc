"""A portrait is a small picture, the same each time, of what was trained and what it does."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

import zoo
from zoo.analysis.figures import COLOURS
from zoo.checkpoints.folder import PORTRAIT, CheckpointFolder
from zoo.checkpoints.making import make
from zoo.checkpoints.portrait import _run, _shade, _views, portrait, portrait_of
from zoo.checkpoints.portrait_figure import DPI, HEIGHT, LARGEST, ROW, WIDTH
from zoo.errors import MissingDependencyError, ZooWarning
from zoo.hub.card import render
from zoo.network import Network, build
from zoo.paths import shipped
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

FLIP_FLOP = {
    "model": {"kind": "elman", "hidden": 8},
    "task": {"kind": "flip-flop", "bits": 2, "steps": 20},
    "learner": {"kind": "backprop"},
}
LORENZ = {
    "model": {"kind": "lorenz"},
    "task": {"kind": "drive", "steps": 5, "channels": 3, "width": 3, "splits": {"long": {"steps": 100}}},
    "learner": {"kind": "none"},
    "train": {"steps": 0},
}
LINEAR = {
    "model": {"kind": "driven-linear", "dynamics": {"kind": "gaussian", "units": 4}},
    "task": {"kind": "drive", "steps": 40, "channels": 1, "width": 4, "pulse": 1.0},
    "learner": {"kind": "none"},
    "train": {"steps": 0},
}
SINE = {
    "model": {"kind": "rate", "hidden": 8},
    "task": {"kind": "sine", "steps": 30},
    "learner": {"kind": "backprop"},
}
CURVE = {
    "steps": [0, 10, 20],
    "values": {"validation/loss": [1.0, 0.1, None], "validation/r2": [-1.0, 0.5, 1.0]},
}
ONE = {"steps": [0], "values": {"validation/loss": [1.0]}}


def experiment(parts: Mapping[str, Any], **more: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"name": "drawn", **parts, **more})


def record_of(spec: ExperimentSpec, curve: Mapping[str, Any] = ONE, **changes: Any) -> Record:
    count = len(spec.members())
    return Record.model_validate(
        {
            "name": spec.name,
            "license": spec.license,
            "experiment": spec.digest(),
            "members": None if spec.population is None else count,
            "curve": [curve] * count,
            "parameters": 1,
            "files": {},
            "created": "2026-11-21T12:00:00+00:00",
            "code": {"version": "0.1.0"},
            **facts(count),
            **changes,
        }
    )


def facts(count: int) -> dict[str, Any]:
    environment = {"packages": {}, "platform": "Linux", "device": "cpu", "threads": 1}
    return {
        "seeds": range(count),
        "steps": [20] * count,
        "stopped": ["steps"] * count,
        "metrics": {},
        "environment": environment,
        "wall_time": [1.0] * count,
    }


def draw(spec: ExperimentSpec, curve: Mapping[str, Any] = ONE) -> tuple[Image.Image, list[int]]:
    """The picture, and the members that it was asked of."""
    asked = []

    def network(index: int) -> Network:
        asked.append(index)
        return build(spec.member(index))

    data = portrait(record_of(spec, curve), spec, network)
    assert data is not None
    assert len(data) < LARGEST
    return Image.open(io.BytesIO(data)), asked


def has_colour(image: Image.Image, colour: str) -> bool:
    wanted = np.array(to_rgb(colour)) * 255
    pixels = np.asarray(image.convert("RGB"), float).reshape(-1, 3)
    return bool((np.abs(pixels - wanted).max(1) < 8).sum() > 5)


@pytest.mark.parametrize(
    ("parts", "curve"),
    [(FLIP_FLOP, CURVE), (SINE, CURVE), (SINE, ONE), (LORENZ, ONE), (LINEAR, ONE)],
    ids=["flip-flop", "sine", "sine without a curve", "lorenz", "linear"],
)
def test_it_is_as_wide_as_a_card(parts: Mapping[str, Any], curve: Mapping[str, Any]) -> None:
    image, asked = draw(experiment(parts), curve)
    assert image.size == (WIDTH * DPI, HEIGHT * DPI)
    assert asked == [0]
    assert np.asarray(image.convert("L")).min() < 100
    assert not image.info.keys() - {"transparency", "dpi"}, "no date and no version"


def test_states_have_the_colour_of_their_condition() -> None:
    image, _ = draw(experiment(FLIP_FLOP))
    assert [has_colour(image, colour) for colour in COLOURS[:5]] == [True] * 4 + [False]


def test_members_are_chosen_over_the_grid() -> None:
    seeds = experiment(LORENZ, population={"members": 7})
    assert draw(seeds)[1] == [0, 1, 2, 3, 4]
    grid = experiment(
        LORENZ, population={"members": 2, "grid": {"model.rho": [1.0 * k for k in range(1, 10)]}}
    )
    image, asked = draw(grid)
    assert asked == [0, 4, 8, 12, 16]
    assert image.size == (WIDTH * DPI, ROW * DPI), "a row of five, and no training curve"
    both = experiment(SINE, population={"members": 2, "grid": {"model.nonlinearity": ["tanh", "relu"]}})
    image, asked = draw(both, CURVE)
    assert asked == [0, 2]
    assert has_colour(image.crop((0, 0, 350, 400)), COLOURS[1]), "the curves are told apart by their place"


def test_the_components_of_members_are_turned_onto_those_of_the_first() -> None:
    spec = experiment(FLIP_FLOP)
    one, other = build(spec), build(spec)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # the same network with its units in another order
        for name, value in other.model.cell.named_parameters():
            value.copy_(value[order][:, order] if "weight_hh" in name else value[order])
    first, second = _views({"one": _run(one, spec), "other": _run(other, spec)})
    assert first.points.shape[2] == 3
    np.testing.assert_allclose(second.points, first.points, atol=1e-4)
    np.testing.assert_allclose(second.shares, first.shares, atol=1e-5)
    assert 0 < first.shares.sum() <= 1


def test_what_was_never_trained_is_shown_on_its_longest_trials() -> None:
    spec = experiment(LORENZ)
    run = _run(build(spec), spec)
    assert run.states.shape == (8, 100, 3)
    assert _shade(run).name == "time"
    trained = experiment(SINE)
    shade = _shade(_run(build(trained), trained))
    assert (shade.name, shade.distinct) == ("condition", True)


def test_the_same_checkpoint_gives_the_same_bytes_in_another_process() -> None:
    folder = CheckpointFolder(shipped("registry") / "sine-rate")
    code = (
        "import sys; from pathlib import Path; from zoo.checkpoints.folder import CheckpointFolder; "
        "from zoo.checkpoints.portrait import portrait_of; import torch; torch.set_num_threads(1); "
        "sys.stdout.buffer.write(portrait_of(CheckpointFolder(Path(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder.path)], capture_output=True, check=True)
    assert done.stdout == portrait_of(folder)


def test_states_that_are_not_finite_are_not_drawn() -> None:
    spec = experiment(FLIP_FLOP)
    network = build(spec)
    with torch.no_grad():
        network.model.cell.weight_ih_l0.fill_(torch.nan)
    assert portrait(record_of(spec), spec, lambda index: network) is None
    still = build(spec)
    with torch.no_grad():
        for parameter in still.parameters():
            parameter.zero_()
    assert portrait(record_of(spec), spec, lambda index: still) is not None, "a system at rest is a point"


def test_without_matplotlib_the_card_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = experiment(FLIP_FLOP)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"neuroai-zoo\[viz\]"):
        portrait(record_of(spec), spec, lambda index: build(spec))
    record, files = make(spec, [build(spec)], {**facts(1), "code": {"version": "0.1.0"}})
    assert PORTRAIT not in files
    assert "pip install 'neuroai-zoo[viz]'" in render(record, spec)


def test_a_checkpoint_is_written_even_if_drawing_fails() -> None:
    spec = experiment(FLIP_FLOP)
    network = build(spec)
    given = {**facts(1), "code": {"version": "0.1.0"}}
    _, files = make(spec, [network], given)
    assert files[PORTRAIT].startswith(b"\x89PNG")
    network.model.capture = None
    with pytest.warns(ZooWarning, match="drawn has no portrait: drawing it failed"):
        _, files = make(spec, [network], given)
    assert PORTRAIT not in files


def test_training_draws_it() -> None:
    folder = zoo.train(
        experiment(
            FLIP_FLOP, train={"steps": 4, "validate_every": 2, "batch_size": 4, "validation_trials": 8}
        )
    )
    entry = folder.record.files[PORTRAIT]
    assert entry.size == len(folder.read(PORTRAIT))
    assert folder.read(PORTRAIT) == portrait_of(folder)
