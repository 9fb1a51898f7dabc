"""Studies on checkpoints that are really there: claims, verdicts, files, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import zoo
from zoo.errors import UnknownNameError
from zoo.specs.claim import ClaimSpec
from zoo.specs.loading import load, parse
from zoo.specs.study import StudySpec
from zoo.studies.study import run_study

STUDY = """
spec: study/1
name: small
checkpoints: [dsa-rnn-flipflop/*, dsa-gru-flipflop/*]
groups: {vanilla: ["dsa-rnn-*"], gated: ["dsa-gru-*"]}
comparisons:
  shape: {kind: procrustes, trials: 8}
claims:
  - {metric: shape/between, minus: shape/within, at_least: 0.0, source: {kind: design}}
  - {metric: shape/silhouette, at_least: 0.99, source: {kind: design}}
"""


@pytest.fixture
def study() -> StudySpec:
    return parse(STUDY, expected=StudySpec)


def test_claims_are_judged_and_failures_kept(study: StudySpec, tmp_path: Path) -> None:
    result = run_study(study)
    assert [verdict.holds for verdict in result.verdicts] == [True, False]
    assert not result.holds
    matrix = result.matrices["shape"]
    assert set(matrix.labels) == {"vanilla", "gated"}
    assert result.verdicts[0].measured == (result.metrics["shape/between"] - result.metrics["shape/within"],)
    written = result.write(tmp_path)
    assert all(path.stat().st_size > 0 for path in written)
    summary = json.loads((tmp_path / "small.json").read_text())
    assert summary["digest"] == study.digest()
    assert summary["verdicts"][1]["holds"] is False


def test_the_paper_is_reproduced_from_what_ships(tmp_path: Path) -> None:
    result = zoo.reproduce("dsa", output=tmp_path)
    assert not result.missing
    assert result.checkpoints.keys() >= {"dsa-rnn-flipflop", "dsa-gru-flipflop"}
    assert [study.study.name for study in result.studies] == ["dsa-flipflop-architectures"]
    metrics = result.studies[0].metrics
    assert metrics["procrustes/decoding"] > metrics["dsa/decoding"]
    assert (tmp_path / "dsa-flipflop-architectures-dsa.svg").exists()


def test_measuring_again_agrees_with_the_record() -> None:
    taken, measured = (zoo.reproduce("dsa-lstm-flipflop", measure=measure) for measure in (False, True))
    (a,), (b,) = taken.checkpoints.values(), measured.checkpoints.values()
    assert a[0].measured == pytest.approx(b[0].measured, abs=1e-3)
    assert taken.holds
    assert measured.holds


def test_what_is_not_published_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "unmade.yaml").write_text(
        "spec: experiment/1\nname: unmade\nmodel: {kind: gru}\ntask: {kind: sine}\n"
        "learner: {kind: backprop}\n"
    )
    monkeypatch.setenv("ZOO_SPECS", str(tmp_path))
    result = zoo.reproduce("unmade")
    assert result.missing == ("unmade",)
    assert not result.holds
    with pytest.raises(UnknownNameError, match="'dsa'"):
        zoo.reproduce("dsaa")


def test_a_study_of_nothing_published_is_refused(study: StudySpec) -> None:
    lost = study.updated(checkpoints=("dsa-no-such-*",))
    with pytest.raises(UnknownNameError, match="dsa-no-such"):
        run_study(lost)
    with pytest.raises(UnknownNameError, match="no group for"):
        run_study(study.updated(groups={"gated": ("dsa-gru-*",)}))


@pytest.mark.parametrize(
    ("bounds", "values", "holds"),
    [
        ({"at_least": 1.0}, (1.0, 2.0), True),
        ({"at_least": 1.0}, (0.5, 2.0), False),
        ({"at_least": 1.0, "over": "mean"}, (0.5, 2.0), True),
        ({"at_least": 1.0, "over": "median"}, (0.5, 0.6, 9.0), False),
        ({"at_most": 1.0}, (1.0,), True),
        ({"at_most": 1.0}, (None,), False),
        ({"at_most": 1.0, "over": "mean"}, (0.0, None), False),
        ({"at_least": 0.0, "at_most": 1.0}, (0.0, 1.0, 1.1), False),
    ],
)
def test_judging(bounds: dict[str, object], values: tuple[float | None, ...], holds: bool) -> None:
    claim = ClaimSpec.model_validate({"metric": "m", "source": {"kind": "design"}, **bounds})
    assert claim.judge({"m": values}).holds is holds
    assert claim.judge({}).holds is False


def test_the_shipped_study_says_where_its_bounds_come_from() -> None:
    study = load("dsa-flipflop-architectures", expected=StudySpec)
    assert all(claim.source.where for claim in study.claims)
