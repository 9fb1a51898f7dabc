"""Analyses of learning, where what they find is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment
from pydantic import ValidationError

import zoo
from zoo.analysis.jacobians import Differentiable
from zoo.analysis.learning.lanczos import lanczos
from zoo.analysis.learning.linear import course, imbalance
from zoo.analysis.learning.modularity import laplacian_spectrum
from zoo.errors import AnalysisError
from zoo.network import Network, build
from zoo.training.run import Run


def network(task: str = "linear-map", **model: Any) -> Network:
    spec = experiment("mlp", task, train={"precision": "64-true"})
    return build(spec.updated(model={"kind": "mlp", "hidden": [5], **model}))


def test_lanczos_against_the_whole_spectrum() -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64))[0]
    values = torch.cat([torch.tensor([-3.0, 9.0]), torch.linspace(-1, 1, 38)]).double()
    matrix = basis * values @ basis.T
    start = torch.randn(40, dtype=torch.float64)
    found = lanczos(lambda v: matrix @ v, start, 40, 1e-8)
    assert len(found.values) < 40
    torch.testing.assert_close(found.values[[0, -1]], torch.tensor([-3.0, 9.0]).double(), rtol=1e-6, atol=0)
    assert found.weights.sum().item() == pytest.approx(1)
    density = (basis.T @ start / start.norm()).square()
    moments = [(found.weights * found.values**k).sum() for k in range(5)]
    torch.testing.assert_close(
        torch.stack(moments), torch.stack([(density * values**k).sum() for k in range(5)])
    )
    alone = lanczos(lambda v: 2 * v, start, 40, 1e-8)
    torch.testing.assert_close(alone.values, torch.tensor([2.0]).double())


def test_sharpness_is_the_largest_eigenvalue() -> None:
    made = network("modular-sines", hidden=[4], nonlinearity="tanh")
    found = zoo.analyse([made], "sharpness", trials=20, iterations=200, tolerance=1e-10).only
    whole, batch = Differentiable(made), made.batch("train", 0, 0, 20)
    _, product = whole.hessian_product(batch.to("cpu", torch.float64))
    hessian = torch.stack([product(row) for row in torch.eye(whole.size).double()])
    torch.testing.assert_close(hessian, hessian.T)
    expected = torch.linalg.eigvalsh(hessian)
    assert found.numbers["sharpness"] == pytest.approx(expected[-1].item(), rel=1e-6)
    assert found.numbers["smallest"] == pytest.approx(expected[0].item(), rel=1e-4)
    assert found.numbers["residual"] < 1e-9
    rough = zoo.analyse([made], "sharpness", trials=20, iterations=3).only
    error = abs(rough.numbers["sharpness"] - expected[-1].item())
    assert error <= rough.numbers["residual"] * max(abs(rough["eigenvalues"])) + 1e-12


def test_the_local_rank_is_that_of_the_narrowest_layer() -> None:
    made = network(hidden=[5, 2, 6], nonlinearity="linear", bias=False)
    found = zoo.analyse([made], "local-rank", trials=3).only
    assert found.numbers["rank"] == 2
    weights = [value for name, value in made.model.state_dict().items() if name.startswith("layers")]
    singular = torch.linalg.svdvals(weights[2] @ weights[1] @ weights[0]).numpy()
    np.testing.assert_allclose(found["singular"], np.tile(singular, (3, 1)), atol=1e-12)
    assert found.numbers["stable"] == pytest.approx((singular**2).sum() / singular[0] ** 2)
    assert zoo.analyse([made], "local-rank", trials=3, site="h1").only.numbers["rank"] == 5


def test_the_kernel_of_an_untrained_network_has_not_turned() -> None:
    made = network("modular-sines")
    numbers = zoo.analyse([made], "ntk", trials=5).only.numbers
    assert numbers["alignment"] == pytest.approx(1)
    assert numbers["growth"] == pytest.approx(1)
    assert numbers["signs"] == 1
    for name in ("drift", "moved", "departure"):
        assert numbers[name] == 0
    with torch.no_grad():
        made.model.output.weight.mul_(2)
    numbers = zoo.analyse([made], "ntk", trials=5, weights="output.*").only.numbers
    assert numbers["alignment"] == pytest.approx(1), "the features are as they were"
    assert numbers["representation"] == pytest.approx(1)
    assert numbers["departure"] == pytest.approx(0, abs=1e-12), "outputs are linear in the readout"
    assert numbers["moved"] > 0
    assert zoo.analyse([made], "ntk", trials=5).only.numbers["growth"] > 1


def test_kernels_of_published_networks(tmp_path: Path) -> None:
    one = zoo.analyse("deep-linear-gains/0", "ntk", trials=8, along=True).only
    assert one["step"].tolist() == [0, 1, 6000]
    assert one["alignments"][0] == pytest.approx(1)
    assert one["alignments"][-1] == pytest.approx(one.numbers["alignment"])
    assert one.plot(tmp_path / "kernel.png").stat().st_size > 1000
    same = zoo.analyse("deep-linear-gains/0", "ntk", trials=8, against="deep-linear-gains/0#0").only
    assert same.numbers["alignment"] == pytest.approx(one.numbers["alignment"])
    other = zoo.analyse("deep-linear-gains/0", "ntk", trials=8, against="deep-linear-gains/1#0").only
    assert other.numbers["moved"] != pytest.approx(one.numbers["moved"])
    with pytest.raises(AnalysisError, match=r"not of one shape \(see .*Name a network of the same model"):
        zoo.analyse("deep-linear-gains/0", "ntk", against="deep-linear-depths/0")
    with pytest.raises(AnalysisError, match=r"would have 8,000 rows; at most 4,096.*steps=last"):
        zoo.analyse("deep-linear-gains/0", "ntk", trials=1000)


def saxe(start: float, strength: float, time: torch.Tensor) -> torch.Tensor:
    """u_f(t) of two matrices, for |W - s|²/2 (Saxe et al. 2014, equation 4)."""
    grown = torch.exp(2 * strength * time)
    return strength * grown / (grown - 1 + strength / start)


def test_the_course_of_two_matrices_in_closed_form() -> None:
    torch.manual_seed(0)
    u, v = torch.linalg.qr(torch.randn(2, 3, 3, dtype=torch.float64))[0]
    strengths = torch.tensor([3.0, 1.5, 0.5]).double()
    start, times = u * 0.05 @ v.T, torch.linspace(0, 4, 9).double()
    found = course(start, u * strengths @ v.T, 2, times, 800)
    for k, strength in enumerate(strengths.tolist()):
        torch.testing.assert_close(
            u[:, k] @ found @ v[:, k], saxe(0.05, strength, times), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_course_is_that_of_balanced_matrices(depth: int) -> None:
    """Gradient flow on the matrices themselves, in 1,000 small steps, from random orthogonal ones."""
    torch.manual_seed(depth)
    chain = [0.6 * each for each in torch.linalg.qr(torch.randn(depth, 3, 3, dtype=torch.float64))[0]]
    target = torch.randn(3, 3, dtype=torch.float64)
    assert imbalance(chain) < 1e-12

    def product(parts: list[torch.Tensor]) -> torch.Tensor:
        whole = parts[0]
        for above in parts[1:]:
            whole = above @ whole
        return whole

    expected = course(product(chain), target, depth, torch.tensor([0.0, 1.0]).double(), 200)[-1]
    step = 1 / 1000
    for _ in range(1000):
        error = product(chain) - target
        eye = torch.eye(3, dtype=torch.float64)
        changes = [
            product([eye, *chain[k + 1 :]]).T @ error @ product([eye, *chain[:k]]).T for k in range(depth)
        ]
        chain = [each - step * change for each, change in zip(chain, changes, strict=True)]
    torch.testing.assert_close(product(chain), expected, rtol=0, atol=1e-2)


def test_linear_networks_follow_it(tmp_path: Path) -> None:
    found = zoo.analyse("deep-linear-depths/3", "linear-dynamics", points=300).only
    assert found.numbers["error"] < 0.02
    assert found.numbers["imbalance"] < 1e-5
    assert found["modes"].shape == found["exact"].shape == (len(found["steps"]), 4)
    assert found.plot(tmp_path / "modes.png").stat().st_size > 1000
    with pytest.raises(AnalysisError, match=r"does not learn a linear-map.*see specs/deep-linear"):
        zoo.analyse("grokking-modadd/0", "linear-dynamics")
    with pytest.raises(AnalysisError, match=r"plain gradient descent at a constant rate"):
        zoo.analyse([network(nonlinearity="linear", bias=False)], "linear-dynamics")


def test_onset_is_read_from_the_record(tmp_path: Path) -> None:
    found = zoo.analyse("grokking-modadd/0", "onset", after="train/accuracy").only
    curve = zoo.load("grokking-modadd/0").record.curve[0]
    values = curve.values["validation/accuracy"]
    first = next(step for step, value in zip(curve.steps, values, strict=True) if value >= 0.99)
    assert found.numbers["step"] == first
    assert found.numbers["delay"] == first - found.numbers["start"] > 0
    assert found.plot(tmp_path / "onset.png").stat().st_size > 1000
    never = zoo.analyse("grokking-modadd/0", "onset", metric="validation/loss", level=-1.0, falling=True).only
    assert never.numbers == {"step": curve.steps[-1], "reached": 0}
    with pytest.raises(
        AnalysisError, match=r"no curve 'validation/acc'\. Did you mean 'validation/accuracy'"
    ):
        zoo.analyse("grokking-modadd/0", "onset", metric="validation/acc")
    with pytest.raises(AnalysisError, match="has no record of its training"):
        zoo.analyse([network()], "onset")


def test_modules_of_a_network_that_is_made_of_them(tmp_path: Path) -> None:
    made = network("modular-sines", hidden=[8, 8], nonlinearity="leaky-relu")
    blocks = [torch.kron(torch.eye(4), torch.ones(shape)) for shape in ((2, 1), (2, 2), (1, 2))]
    layers = [made.model.layers[0], made.model.layers[1], made.model.output]
    for weights, mixing, eigenvalue in (
        (blocks, 0.0, 0.0),
        ([torch.ones_like(each) for each in blocks], 0.75, 1.0),
    ):
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                layer.weight.copy_(-weight)
        found = zoo.analyse([made], "modularity").only
        assert found.numbers["mixing"] == pytest.approx(mixing, abs=1e-12)
        assert found.numbers["eigenvalue"] == pytest.approx(eigenvalue, abs=1e-12)
        assert found.numbers["eigenvalue-h2"] == pytest.approx(eigenvalue, abs=1e-12)
    assert found.plot(tmp_path / "paths.png").stat().st_size > 1000
    spectrum = laplacian_spectrum(torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double())
    cosine = 1 / math.sqrt(2)
    torch.testing.assert_close(spectrum, torch.tensor([0.0, 1 - (1 - cosine) / (1 + cosine)]).double())
    with pytest.raises(AnalysisError, match=r"64 inputs and 10 outputs.*modular-sines"):
        zoo.analyse([network("digits")], "modularity")
    with pytest.raises(AnalysisError, match="is no chain of layers"):
        zoo.analyse([build(experiment("elman"))], "modularity")


def test_a_record_has_the_curves_that_are_asked_for(tmp_path: Path) -> None:
    spec = experiment("mlp", "modular-addition", record={"curve": ["train"]})
    curve = Run.of(spec, tmp_path / "run").fit(progress=False)["curve"]
    assert {"train/accuracy", "validation/accuracy"} <= curve["values"].keys()
    assert len(curve["values"]["train/loss"]) == len(curve["steps"])
    with pytest.raises(ValidationError, match=r"record\.curve: the task has no split 'trian'.*'train'"):
        experiment("mlp", "modular-addition", record={"curve": ["trian"]})
