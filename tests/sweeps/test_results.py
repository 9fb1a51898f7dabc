"""What a sweep found: the tidy table, its files, the figure, and the table while it runs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from examples import experiment
from rich.console import Console

import zoo
from zoo.engine.local import Here
from zoo.errors import AnalysisError, TrainingError, UnknownNameError
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.declaring import declared
from zoo.sweeps.driving import Driver
from zoo.sweeps.figures import sweep_figure
from zoo.sweeps.folder import SweepFolder
from zoo.sweeps.live import Live, duration, pace
from zoo.sweeps.results import results, write_results
from zoo.sweeps.sweep import sweep
from zoo.training.run import Run

QUICK = {"steps": 4, "batch_size": 4, "validate_every": 2, "validation_trials": 4}
GRID: dict[str, list[Any]] = {"model.hidden": [4, 5], "model.init": [{"gain": 1.0}, {"gain": 2.0}]}


def quick() -> ExperimentSpec:
    return experiment("rate", train=QUICK, record={"evaluation": {"trials": 4}})


def test_one_row_a_member_and_metric(tmp_path: Path) -> None:
    made = sweep(quick(), grid=GRID, seeds=2)
    frame = results(made)
    metrics = Run.of(made.experiment.member(0)).result["metrics"]
    assert len(frame) == 8 * len(metrics)
    assert list(frame.columns[:2]) == ["member", "digest"]
    assert set(frame["metric"]) == set(metrics)
    row = frame[(frame["member"] == 5) & (frame["metric"] == "test/loss")].iloc[0]
    member = made.experiment.member(5)
    assert row["value"] == Run.of(member).result["metrics"]["test/loss"]
    assert row["digest"] == member.digest()
    assert row["model.hidden"] == member.model.plain()["hidden"]
    assert json.loads(row["model.init"])["gain"] == member.model.plain()["init"]["gain"]
    assert row["train.seed"] == member.train.seed
    assert zoo.results(made.name).equals(frame)
    parquet = pd.read_parquet(write_results(made.experiment, tmp_path / "a.parquet"))
    pd.testing.assert_frame_equal(parquet, frame, check_dtype=False)
    with write_results(made.experiment, tmp_path / "a.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(line["value"]) for line in table] == frame["value"].tolist()
    assert table[0].keys() == set(frame.columns)


def test_files_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    spec = declared(quick(), grid=GRID)
    with pytest.raises(TrainingError, match=r"\.csv or \.parquet"):
        write_results(spec, tmp_path / "a.xlsx")
    with pytest.raises(TrainingError, match="no member is finished"):
        write_results(spec, tmp_path / "a.csv")
    with pytest.raises(TrainingError, match="no member is finished"):
        sweep_figure(spec, tmp_path / "a.png")
    made = sweep(quick(), seeds=1)
    with pytest.raises(TrainingError, match=r"'test/los'.*Did you mean 'test/loss'"):
        sweep_figure(made.experiment, tmp_path / "a.png", "test/los")
    with pytest.raises(AnalysisError, match=r"\.png"):
        sweep_figure(made.experiment, tmp_path / "a.txt")
    with pytest.raises(UnknownNameError):
        results("nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("grid", [{}, {"model.hidden": [4, 5, 6]}, GRID])
def test_the_figure_shows_every_member_and_each_path(tmp_path: Path, grid: dict[str, list[Any]]) -> None:
    made = sweep(quick(), grid=grid, seeds=2)
    text = sweep_figure(made.experiment, tmp_path / "a.svg").read_text()
    assert "<svg" in text
    from zoo.sweeps import figures
    from zoo.sweeps.results import finished

    members = finished(made.experiment)
    drawn = figures._draw(made.experiment, members, "test/loss")
    panels = [axes for axes in drawn.axes if axes.get_title(loc="left")]
    assert len(panels) == 1 + len(grid) + max(0, len(grid) - 1)
    assert len(panels[0].lines) == len(members)
    for path, axes in zip(sorted(grid), panels[1:], strict=False):
        shown = sorted(float(y) for points in axes.collections[::2] for y in points.get_offsets()[:, 1])
        assert axes.get_xlabel() == path
        assert shown == pytest.approx(sorted(m.result["metrics"]["test/loss"] for m in members))


def test_the_live_table_counts() -> None:
    rates = {"learner.optimizer.lr": [1e30, 0.01]}
    spec = declared(experiment("elman-relu", "flip-flop", "backprop-sgd", train=QUICK), grid=rates, seeds=2)
    folder = SweepFolder.of(spec)
    console = Console(record=True, width=150, file=io.StringIO())
    with folder.driven(spec):
        driver = Driver(folder, spec, Here(), group=1)
        live = Live(driver, shown=True)
        console.print(live.table())
        driver.run()
        console.print(live.table())
    _, before, after = re.split("^members", console.export_text(), flags=re.MULTILINE)
    assert "0 of 4 done" in before
    assert "–" in before
    assert "2 of 4 done, 0 running, 2 failed" in after
    assert "members a" not in before
    assert after.count("DivergedError") == 2
    assert "here, 1 workers" in after


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (None, "–"),
        (2.5, "2.5 members a second"),
        (0.5, "30.0 members a minute"),
        (1e-4, "0.4 members a hour"),
    ],
)
def test_rates_in_the_unit_that_reads_best(per_second: float | None, text: str) -> None:
    assert pace(per_second) == text


def test_durations() -> None:
    assert duration(3723.4) == "1:02:03"
