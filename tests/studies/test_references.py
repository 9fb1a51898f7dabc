"""Studies that measure distances from several labels at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.errors import AnalysisError
from zoo.specs.loading import parse
from zoo.specs.study import StudySpec
from zoo.studies.study import run_study

STUDY = """
spec: study/1
name: small
checkpoints: [dsa-rnn-flipflop/*, dsa-gru-flipflop/*, dsa-lstm-flipflop/*]
reference: [dsa-rnn-flipflop, dsa-gru-flipflop]
comparisons:
  shape: {kind: procrustes, trials: 4}
claims:
  - metric: shape/from/dsa-rnn-flipflop/to/dsa-rnn-flipflop
    minus: shape/from/dsa-rnn-flipflop/nearest
    at_most: 0
    source: {kind: design}
"""


def test_distances_are_means_over_pairs_from_each_reference(tmp_path: Path) -> None:
    study = parse(STUDY, expected=StudySpec)
    result = run_study(study)
    matrix = result.matrices["shape"]
    labels = np.array(matrix.labels)
    for one in study.references:
        for other in dict.fromkeys(matrix.labels):
            block = matrix.values[np.ix_(labels == one, labels == other)]
            pairs = block[~np.eye(len(block), dtype=bool)] if one == other else block
            assert result.metrics[f"shape/from/{one}/to/{other}"] == pytest.approx((pairs.mean(),))
        # the other reference is none of those that could be the nearest
        nearest = result.metrics[f"shape/from/{one}/nearest"]
        assert nearest == result.metrics[f"shape/from/{one}/to/dsa-lstm-flipflop"]
    assert "shape/to/dsa-rnn-flipflop" not in result.metrics
    assert len(result.verdicts) == 1
    assert all(path.stat().st_size > 0 for path in result.write(tmp_path))


def test_a_reference_that_nothing_has_is_named() -> None:
    study = parse(STUDY.replace("dsa-gru-flipflop]\n", "cortex]\n"), expected=StudySpec)
    with pytest.raises(AnalysisError, match="has the label 'cortex', which should be the reference"):
        run_study(study)
    with pytest.raises(ValueError, match="reference"):
        study.updated(reference=["one"])
