"""State-space layers, transformers and delay lines against the sums that they stand for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment
from pydantic import ValidationError
from scipy.signal import cont2discrete
from torch import Tensor

from zoo.errors import AnalysisError, SpecError
from zoo.models.delay import DelayMLP
from zoo.models.diagonal import by_doubling, convolve, fast_length, linear_scan, one_by_one
from zoo.models.statespace import LRU, S4D, StateSpace
from zoo.models.transformer import Transformer, sinusoids
from zoo.specs.models.delay import DelayMLPSpec
from zoo.specs.models.statespace import LRUSpec, S4DSpec
from zoo.specs.models.transformer import TransformerSpec
from zoo.specs.problems import validate

SPACES: list[dict[str, Any]] = [
    {"kind": "lru", "width": 6, "state": 5, "layers": 3, "readout": [7]},
    {"kind": "lru", "width": 6, "state": 5, "block": "plain", "normalisation": "exponential"},
    {"kind": "s4d", "width": 4, "state": 3, "layers": 3},
    {"kind": "s4d", "width": 4, "state": 3, "block": "plain", "discretisation": "bilinear"},
    {"kind": "s4d", "width": 4, "state": 3, "spectrum": "inverse", "dt": [0.01, 1.0]},
]
TRANSFORMERS: list[dict[str, Any]] = [
    {"layers": 2, "mlp": 9},
    {"position": "learned", "context": 30, "mlp": None, "residual": "normed", "readout": [5]},
    {"position": "none", "heads": 1},
]


def space(fields: dict[str, Any]) -> StateSpace:
    torch.manual_seed(0)
    made: StateSpace = (
        LRU(validate(LRUSpec, fields), 2, 3)
        if fields["kind"] == "lru"
        else S4D(validate(S4DSpec, fields), 2, 3)
    )
    return made.double().eval()


def transformer(**fields: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(validate(TransformerSpec, {"width": 8, "heads": 2, **fields}), 2, 3).double().eval()


# Scans and convolutions ---------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7, 64])
def test_scans_are_the_loop(steps: int, reverse: bool) -> None:
    drive = torch.randn(steps, 3, 4, dtype=torch.complex128)
    factor = torch.randn(4, dtype=torch.complex128)
    factor = 0.9 * factor / factor.abs()
    h, expected = torch.zeros(3, 4, dtype=torch.complex128), []
    for d in drive.flip(0) if reverse else drive:
        h = factor * h + d
        expected.append(h)
    states = torch.stack(expected[::-1] if reverse else expected)
    for way in (one_by_one, by_doubling):
        before = drive.clone()
        torch.testing.assert_close(way(drive, factor, reverse), states, rtol=1e-12, atol=1e-12)
        assert torch.equal(drive, before)


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
def test_derivatives_of_a_scan_of_any_order_and_side_by_side() -> None:
    drive = torch.randn(6, 2, 3, dtype=torch.complex128, requires_grad=True)
    factor = (0.5 * torch.randn(3, dtype=torch.complex128)).requires_grad_()
    inputs = (drive, factor)
    assert torch.autograd.gradcheck(linear_scan, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(linear_scan, inputs)
    many = torch.randn(4, 6, 2, 3, dtype=torch.complex128)
    factors = torch.randn(4, 3, dtype=torch.complex128) / 3
    for over, values in (((0, 0), factors), ((0, None), factors[0])):
        found = torch.func.vmap(linear_scan, over)(many, values)
        single = [linear_scan(d, values if over[1] is None else values[k]) for k, d in enumerate(many)]
        torch.testing.assert_close(found, torch.stack(single))
    found = torch.func.vmap(linear_scan, (None, 0))(many[0], factors)
    torch.testing.assert_close(found, torch.stack([linear_scan(many[0], a) for a in factors]))


@pytest.mark.parametrize("steps", [1, 5, 33])
def test_a_convolution_by_fft_is_the_sum(steps: int) -> None:
    x, kernel = torch.randn(2, 3, steps).double(), torch.randn(3, steps).double()
    expected = [[np.convolve(a, b)[:steps] for a, b in zip(row, kernel, strict=True)] for row in x]
    torch.testing.assert_close(convolve(x, kernel), torch.tensor(np.array(expected)))


def test_fast_lengths() -> None:
    assert [fast_length(n) for n in (1, 2, 3, 5, 9, 11, 17, 25, 997)] == [1, 2, 3, 5, 10, 12, 20, 32, 1024]
    assert all(n <= fast_length(n) <= max(n + 1, 1.34 * n) for n in range(1, 3000))


# State-space layers -------------------------------------------------------------------------


@pytest.mark.parametrize("fields", SPACES)
@torch.no_grad()
def test_whole_passes_are_the_steps_to_ten_digits(fields: dict[str, Any]) -> None:
    model = space(fields)
    x = torch.randn(3, 300, 2, dtype=torch.float64)
    states = model.rollout(model.initial_state(3), x)
    fast = model(x)
    assert (fast.y - model.readout(states)).abs().max() < 1e-10
    assert (model.unroll_whole(x) - states).abs().max() < 1e-10
    with model.capture(["h1", "state", "stream"]) as seen:
        model(x)
    torch.testing.assert_close(seen["state"], states)
    torch.testing.assert_close(seen["h1"], states[..., model.parts["h1"]])
    assert model.units == model.spec.width + 2 * model.spec.layers * model.spec.modes


@torch.no_grad()
def test_parts_of_the_state_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model = space(SPACES[0])
    monkeypatch.setattr(model, "step", None)
    with model.capture(["h2"]) as seen:
        model(torch.randn(1, 4, 2, dtype=torch.float64))
    assert seen["h2"].shape == (1, 4, 10)


@torch.no_grad()
def test_the_lru_begins_on_its_ring_and_normalised() -> None:
    torch.manual_seed(0)
    fields = {"width": 40, "state": 2000, "radius": [0.5, 0.9], "phase": math.pi / 4}
    layer: Any = LRU(validate(LRUSpec, fields), 1, 1).double().layers[0]
    factor = layer.factor()
    assert 0.5 <= factor.abs().min() < 0.51
    assert 0.89 < factor.abs().max() <= 0.9
    assert 0 <= factor.angle().min() < 0.01
    assert 0.78 < factor.angle().max() <= math.pi / 4
    inside = (factor.abs() ** 2 < (0.5**2 + 0.9**2) / 2).double().mean()  # half of the ring's area
    assert inside == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(layer.gamma.exp(), (1 - factor.abs() ** 2).sqrt(), rtol=1e-5, atol=1e-6)
    white = torch.randn(8, 200, 40, dtype=torch.float64)
    variance = layer.states(white)[:, 100:].abs().square().mean()
    assert variance == pytest.approx(1, abs=0.05)


def test_normalisations_differ_as_the_page_says() -> None:
    plain, right, wrong = (
        space({"kind": "lru", "width": 6, "state": 5, "normalisation": name})
        for name in ("none", "lru", "exponential")
    )
    root = (1 - right.layers[0].factor().abs() ** 2).sqrt()
    torch.testing.assert_close(right.layers[0].gamma.exp(), root)
    torch.testing.assert_close(wrong.layers[0].gamma, root)
    assert (wrong.layers[0].gamma.exp() > 1).all()
    z = torch.randn(6, dtype=torch.float64)
    base = plain.layers[0].drive(z)
    torch.testing.assert_close(right.layers[0].drive(z), base * right.layers[0].gamma.exp())


@pytest.mark.parametrize(("method", "rule"), [("zoh", "zoh"), ("bilinear", "bilinear")])
@torch.no_grad()
def test_s4d_is_the_system_that_scipy_samples(method: str, rule: str) -> None:
    model = space({"kind": "s4d", "width": 2, "state": 3, "discretisation": method, "dt": [0.05, 0.05]})
    layer: Any = model.layers[0]
    a = torch.complex(-layer.log_decay.exp(), layer.frequency)[0].numpy()
    dense = np.block([[np.diag(a.real), -np.diag(a.imag)], [np.diag(a.imag), np.diag(a.real)]])
    b = np.array([[1.0]] * 3 + [[0.0]] * 3)
    ad, bd, *_ = cont2discrete((dense, b, np.eye(6), np.zeros((6, 1))), 0.05, method=rule)
    factor, drive = (value[0].numpy() for value in layer.system())
    np.testing.assert_allclose(np.concatenate([drive.real, drive.imag]), bd[:, 0], rtol=1e-6)
    np.testing.assert_allclose(np.diag(ad)[:3], factor.real, rtol=1e-6)
    real, imaginary = (value[0].numpy() for value in layer.weight)
    c, impulse = 2 * np.concatenate([real, -imaginary]), bd[:, 0]
    kernel = []
    for _ in range(20):
        kernel.append(c @ impulse)
        impulse = ad @ impulse
    np.testing.assert_allclose(layer.kernel(20)[0].numpy(), kernel, rtol=1e-5, atol=1e-8)


def test_s4d_begins_with_its_spectra() -> None:
    linear = space({"kind": "s4d", "width": 2, "state": 4})
    torch.testing.assert_close(linear.layers[0].frequency[0] / math.pi, torch.arange(4.0).double())
    inverse = space({"kind": "s4d", "width": 2, "state": 4, "spectrum": "inverse"})
    expected = [8 / math.pi * (8 / (2 * n + 1) - 1) for n in range(4)]
    assert inverse.layers[0].frequency[1].tolist() == pytest.approx(expected)


# Transformers -------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", TRANSFORMERS)
@torch.no_grad()
def test_what_comes_changes_nothing_before(fields: dict[str, Any]) -> None:
    model = transformer(**fields)
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    other = x.clone()
    other[:, 12:] = torch.randn(2, 8, 2, dtype=torch.float64)
    with model.capture(model.sites) as seen:
        plain = model(x).y
        before = dict(seen)
        changed = model(other).y
    assert torch.equal(plain[:, :12], changed[:, :12])
    assert not torch.allclose(plain[:, 12:], changed[:, 12:])
    for site in model.hidden:
        assert torch.equal(before[site][:, :12], seen[site][:, :12])
    torch.testing.assert_close(model(x[:, :7]).y, plain[:, :7])


@torch.no_grad()
def test_attention_is_that_of_torch() -> None:
    attention: Any = transformer(mlp=None).layers[0].attention
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    theirs.in_proj_weight.copy_(attention.into.weight)
    theirs.in_proj_bias.copy_(attention.into.bias)
    theirs.out_proj.load_state_dict(attention.back.state_dict())
    x = torch.randn(3, 11, 8, dtype=torch.float64)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(11, dtype=torch.float64)
    expected = theirs(x, x, x, attn_mask=mask, need_weights=False)[0]
    torch.testing.assert_close(attention(x), expected)


@pytest.mark.parametrize("fields", TRANSFORMERS)
def test_sites_are_the_stream(fields: dict[str, Any]) -> None:
    model = transformer(**fields)
    with model.capture(model.sites) as seen:
        output = model(torch.randn(2, 6, 2, dtype=torch.float64))
    torch.testing.assert_close(model.output(seen[model.exposed]), output.y)
    layer: Any = model.layers[0]
    normed = layer.norm(seen["embedding"])
    base = normed if model.spec.residual == "normed" else seen["embedding"]
    torch.testing.assert_close(seen["attention1"], base + layer.attention(normed))
    assert model.exposed == ("attention1" if model.spec.mlp is None else f"block{model.spec.layers}")


@torch.no_grad()
def test_without_positions_the_past_is_a_set() -> None:
    x = torch.randn(1, 9, 2, dtype=torch.float64)
    shuffled = torch.cat([x[:, torch.randperm(8)], x[:, 8:]], 1)
    for position, same in (("none", True), ("sinusoidal", False), ("learned", False)):
        model = transformer(position=position)
        assert torch.allclose(model(x).y[:, -1], model(shuffled).y[:, -1]) == same


def test_sinusoids_are_those_of_the_paper() -> None:
    codes = sinusoids(50, torch.zeros(1, 6, dtype=torch.float64))
    for k in range(3):
        angle = 37 / 10_000 ** (2 * k / 6)
        assert codes[37, k] == pytest.approx(math.sin(angle), rel=1e-4)
        assert codes[37, 3 + k] == pytest.approx(math.cos(angle), rel=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
@pytest.mark.parametrize("model", [transformer(mlp=5), space(SPACES[0]), space(SPACES[2])])
def test_jacobians_and_hessian_products_go_through(model: Any) -> None:
    names = dict(model.named_parameters())
    x = torch.randn(2, 5, 2, dtype=torch.float64)

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(model, weights, (x,)).y.square().mean()

    jacobian = torch.func.jacrev(lambda x: model(x).y)(x)
    forward = torch.func.jacfwd(lambda x: model(x).y)(x)
    torch.testing.assert_close(jacobian, forward)
    assert jacobian.shape == (2, 5, 3, 2, 5, 2)
    assert (
        float(jacobian.detach()[0, 1, :, 0, 2:].abs().max()) < 1e-12
    )  # causal, to the rounding of a transform
    gradient = torch.func.grad(loss)
    direction = {name: torch.randn_like(value) for name, value in names.items()}
    _, product = torch.func.jvp(lambda w: gradient(w, x), (names,), (direction,))
    step = 1e-5
    sides = [gradient({n: v + s * step * direction[n] for n, v in names.items()}, x) for s in (1, -1)]
    for name, value in product.items():
        torch.testing.assert_close(
            value, (sides[0][name] - sides[1][name]) / (2 * step), rtol=1e-4, atol=1e-6
        )


# Delay lines --------------------------------------------------------------------------------


@torch.no_grad()
def test_a_delay_line_sees_the_inputs_that_it_names() -> None:
    model = DelayMLP(DelayMLPSpec(delays=3, interval=2, hidden=(6,)), 2, 1).double().eval()
    x = torch.randn(4, 12, 2, dtype=torch.float64)
    past = torch.nn.functional.pad(x, (0, 0, 4, 0))
    seen = torch.cat([past[:, 4:], past[:, 2:-2], past[:, :-4]], 2)
    torch.testing.assert_close(model(x).y, model.mlp(seen).y)
    assert model.units == 10
    other = x.clone()
    other[:, 5] += 1
    changed = (model(other).y != model(x).y).any(2).any(0)
    assert changed.nonzero().flatten().tolist() == [5, 7, 9]


# What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (
            LRUSpec,
            {"radius": [0.9, 0.5]},
            r"radius: should be two numbers with 0 ≤ the first < the second < 1",
        ),
        (LRUSpec, {"radius": [0.9, 1.0]}, "radius: should be two numbers"),
        (LRUSpec, {"phase": 7.0}, "phase"),
        (LRUSpec, {"layers": 100, "state": 100_000}, "10,000,000 complex modes in all"),
        (S4DSpec, {"dt": [0.1, 0.01]}, "dt: should be the smallest and the largest"),
        (S4DSpec, {"width": 10_000, "state": 1000}, "10,000,000 complex modes in all"),
        (TransformerSpec, {"heads": 5}, "heads: 5 cannot share the width 64 equally"),
        (TransformerSpec, {"width": 9, "heads": 3}, "come in pairs: choose an even number"),
        (DelayMLPSpec, {"delays": 1000, "interval": 1000}, "the window has 999,001 steps"),
        (DelayMLPSpec, {"init": {"spectral_radius": 1.0}}, "only square recurrent weights have one"),
    ],
)
def test_what_cannot_be_is_refused(spec: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validate(spec, fields)


def test_sequences_beyond_the_learned_positions_are_refused() -> None:
    model = transformer(position="learned", context=5)
    with pytest.raises(AnalysisError, match="has 6 steps, and the transformer has learned the codes of 5"):
        model(torch.randn(1, 6, 2, dtype=torch.float64))
    too_long = {"kind": "transformer", "position": "learned", "context": 15}
    with pytest.raises(ValidationError, match=r"15 positions, and trials of the split 'test' have 20 steps"):
        experiment().updated(model=too_long)
