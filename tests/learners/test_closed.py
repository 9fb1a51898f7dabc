"""Readouts by ridge regression, against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment
from pydantic import ValidationError
from safetensors.torch import load_file
from sklearn.linear_model import Ridge

from zoo.learners.closed import ridge
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import Run


def test_the_readout_is_that_of_scikit_learn(tmp_path: Path) -> None:
    """Of all batches at once, whatever they were split into."""
    spec = experiment("echo-state", "sine", "ridge", train={"steps": 5, "batch_size": 6})
    spec = spec.updated(learner={"kind": "ridge", "penalty": 0.01})
    run = Run.of(spec, tmp_path / "run")
    assert run.fit(progress=False)["steps"] == 5
    network = build(spec)
    batches = [network.batch("train", 0, number, 6) for number in range(5)]
    with torch.no_grad():
        states = torch.cat([network(batch.x).states["h"].flatten(0, 1) for batch in batches])
    targets = torch.cat([batch.y.flatten(0, 1) for batch in batches])
    keep = torch.cat([batch.mask.flatten() for batch in batches]).bool()
    expected = Ridge(alpha=0.01 * int(keep.sum())).fit(states[keep].double().numpy(), targets[keep].numpy())
    found = load_file(run.snapshot(5))
    np.testing.assert_allclose(found["output.weight"], np.atleast_2d(expected.coef_), atol=1e-4)
    np.testing.assert_allclose(found["output.bias"], np.atleast_1d(expected.intercept_), atol=1e-4)
    untouched = network.model.state_dict()
    assert all(torch.equal(found[name], untouched[name]) for name in untouched if "output" not in name)


def test_without_a_penalty_the_smallest_of_the_least_squares() -> None:
    """Fewer steps than units: solved nevertheless."""
    h, y = torch.randn(4, 9, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    seen = torch.cat([h, torch.ones(4, 1, dtype=torch.float64)], 1)
    found = ridge(seen.mT @ seen, seen.mT @ y, 0.0)
    torch.testing.assert_close(found, torch.linalg.pinv(seen) @ y, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"kind": "rate"}}, "choose 'echo-state'"),
        ({"model": {"kind": "mlp"}}, "choose 'echo-state'"),
        ({"train": {"precision": "bf16-mixed"}}, "choose 32-true"),
        ({"model": {"kind": "gru", "constraints": {"fixed": ["readout"]}}}, "leave it out"),
    ],
)
def test_what_has_no_such_readout_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ExperimentSpec.model_validate({**experiment(learner="ridge").plain(), **changes})
