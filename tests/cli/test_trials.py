"""`zoo trials` as a user meets it, and the picture it draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.test_cli import answer, refused, zoo

from zoo.analysis.trials import trials_figure
from zoo.cli.trials import trials
from zoo.errors import AnalysisError, SpecError, ZooError
from zoo.specs.tasks.cognitive import MultiTaskSpec
from zoo.specs.tasks.sequences import AddingSpec
from zoo.tasks.cognitive import MultiTask
from zoo.tasks.sequences import Adding


def test_a_kind_a_spec_and_a_checkpoint(tmp_path: Path) -> None:
    picture = tmp_path / "trials.svg"
    facts = answer("trials", "go-no-go", "-p", "dt=0.1", "-p", "delay=[0.5]", "--plot", str(picture))
    assert (facts["inputs"], facts["outputs"], facts["steps"]) == (3, 2, 14)
    assert facts["splits"] == ["train", "validation", "test", "longer", "noisier"]
    assert facts["latents"]["epoch"] == [14]
    assert "<svg" in picture.read_text()
    assert answer("trials", "dsa-rnn-flipflop", "--split", "longer")["steps"] == 300
    assert "(trial, 60)" in zoo("trials", "dsa-rnn-flipflop", "-p", "splits={}").stdout


def test_what_is_refused(tmp_path: Path) -> None:
    assert "Did you mean 'test'" in refused("trials", "flip-flop", "--split", "tests")
    for name, given, said in (
        ("flip-flip", [], "Kinds: adding, "),
        ("flip-flop", ["bits"], "a parameter is field=value"),
        ("flip-flop", ["bist=3"], "bits"),
        ("dsa-flipflop-architectures", [], "no task of its own"),
    ):
        with pytest.raises(ZooError, match=said):
            trials(name, given, plot=None)
    with pytest.raises(AnalysisError, match=r"trials\.jpg"):
        trials("flip-flop", None, "test", 0, 1, [tmp_path / "trials.jpg"])


def test_the_picture_shows_what_counts_and_where_periods_begin() -> None:
    task = MultiTask(MultiTaskSpec(tasks=("dly-go",), noise=0.0))
    figure = trials_figure(task, trials=4, title="Delayed response")
    above, below = figure.axes[:4], figure.axes[4:]
    assert all(len(panel.images) == 1 for panel in [*above, *below])  # rings of 32 units
    epochs = task.batch("test", 0, 0, 4).latents["epoch"]
    for column, panel in enumerate(below):
        assert len(panel.lines) == (epochs[column].diff() != 0).sum()  # where each period begins, and the end
        assert len(panel.patches) >= 2  # the beginning, and after the signal
    adding = trials_figure(Adding(AddingSpec(steps=10)), trials=1)
    assert [len(panel.lines) for panel in adding.axes] == [2, 1]
    with pytest.raises(SpecError, match="no split"):
        trials_figure(task, split="nothing")
