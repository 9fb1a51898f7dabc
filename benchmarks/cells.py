"""Training throughput of each recurrent cell against the plainest PyTorch loop that a user would write.

Run from a checkout: ``python benchmarks/cells.py [KIND …]``. Both sides start from the same weights and see
the same data; that they give the same output, to 1e-4, is asserted before anything is timed. A step is
forward, backward and Adam on the mean square of the readout, on one thread. Prints a Markdown table of
million trials × time steps a second, and the ratio of times, ours / theirs: below 1 is faster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from timing import side_by_side
from torch import Tensor
from torch.nn import functional as F

from zoo.registry import implementation, spec_class

HIDDEN, BATCH, STEPS, INPUTS, OUTPUTS = 64, 64, 100, 3, 2
GOAL, LIQUID = "≤ 1.1", "≤ 0.33"
RUNS = 7
KINDS: dict[str, dict[str, Any]] = {
    "rate": {"tau": 0.1, "dt": 0.02},
    "lowrank": {"rank": 2, "tau": 0.1, "dt": 0.02},
    "elman": {},
    "gru": {},
    "lstm": {},
    "ugru": {},
    "mgu": {},
    "bilinear": {"normalise": True},
    "lif": {},
    "linear": {},
    "neural-ode": {},
    "contracting": {"subnetworks": 4},
    "ltc": {},
    "lru": {"width": HIDDEN, "state": HIDDEN, "block": "plain"},
    "s4d": {"width": HIDDEN, "state": 16, "block": "plain"},
}


def rate(m: Any, x: Tensor) -> Tensor:
    h, found, alpha = torch.zeros(len(x), m.spec.hidden), [], m.spec.dt / m.spec.tau
    for t in range(x.shape[1]):
        h = (1 - alpha) * h + alpha * (
            F.linear(torch.tanh(h), m.weight) + F.linear(x[:, t], m.weight_in) + m.bias
        )
        found.append(h)
    return torch.stack(found, 1)


def lowrank(m: Any, x: Tensor) -> Tensor:
    h, found, alpha = torch.zeros(len(x), m.spec.hidden), [], m.spec.dt / m.spec.tau
    weight = m.left @ m.right.T / m.spec.hidden
    for t in range(x.shape[1]):
        h = (1 - alpha) * h + alpha * (F.linear(torch.tanh(h), weight) + F.linear(x[:, t], m.weight_in))
        found.append(h)
    return torch.stack(found, 1)


def torchs(m: Any, x: Tensor) -> Tensor:
    """What a user would take for these: torch's own module."""
    return m.cell(x)[0]


def ugru(m: Any, x: Tensor) -> Tensor:
    h, found = torch.zeros(len(x), m.spec.hidden), []
    for t in range(x.shape[1]):
        total = F.linear(x[:, t], m.weight_in, m.bias) + F.linear(h, m.weight)
        new, gate = total.chunk(2, 1)
        gate = torch.sigmoid(gate)
        h = gate * h + (1 - gate) * torch.tanh(new)
        found.append(h)
    return torch.stack(found, 1)


def mgu(m: Any, x: Tensor) -> Tensor:
    h, found = torch.zeros(len(x), m.spec.hidden), []
    (w_c, w_f), (v_c, v_f), (b_c, b_f) = m.weight.chunk(2), m.weight_in.chunk(2), m.bias.chunk(2)
    for t in range(x.shape[1]):
        forget = torch.sigmoid(F.linear(h, w_f) + F.linear(x[:, t], v_f, b_f))
        new = torch.tanh(F.linear(forget * h, w_c) + F.linear(x[:, t], v_c, b_c))
        h = (1 - forget) * h + forget * new
        found.append(h)
    return torch.stack(found, 1)


def bilinear(m: Any, x: Tensor) -> Tensor:
    maps = m.weight.view(-1, m.spec.hidden, m.spec.hidden)
    h, found = F.normalize(m.start, dim=0).expand(len(x), -1), []
    for t in range(x.shape[1]):
        h = F.normalize(torch.einsum("bk,kij,bj->bi", x[:, t], maps, h), dim=1)
        found.append(h)
    return torch.stack(found, 1)


class Spike(torch.autograd.Function):
    """A step whose derivative is the fast sigmoid's, as in the tutorials."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.slope = slope
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (v,) = ctx.saved_tensors
        return grad / (1 + ctx.slope * v.abs()) ** 2, None


def lif(m: Any, x: Tensor) -> Tensor:
    alpha, beta, kappa = m.spec.decays
    current = v = spikes = trace = torch.zeros(len(x), m.spec.hidden)
    found = []
    for t in range(x.shape[1]):
        drive = F.linear(x[:, t], m.weight_in, m.bias) + F.linear(spikes, m.weight)
        current = alpha * current + (1 - alpha) * drive
        v = beta * v + current - m.spec.threshold * spikes.detach()
        spikes = Spike.apply(v - m.spec.threshold, m.spec.slope)
        trace = kappa * trace + (1 - kappa) * spikes
        found.append(trace)
    return torch.stack(found, 1)


def linear(m: Any, x: Tensor) -> Tensor:
    h, found = torch.zeros(len(x), m.spec.hidden), []
    for t in range(x.shape[1]):
        h = F.linear(x[:, t], m.weight_in, m.bias) + F.linear(h, m.weight)
        found.append(h)
    return torch.stack(found, 1)


def neural_ode(m: Any, x: Tensor) -> Tensor:
    def field(h: Tensor, u: Tensor) -> Tensor:
        inner = torch.tanh(F.linear(h, m.inner) + F.linear(u, m.weight_in, m.bias))
        return F.linear(inner, m.outer, m.shift) - h / m.spec.tau

    h, found = torch.zeros(len(x), m.spec.hidden), []
    for t in range(x.shape[1]):
        u, dt = x[:, t], m.spec.dt
        first = field(h, u)
        second = field(h + dt / 2 * first, u)
        third = field(h + dt / 2 * second, u)
        h = h + dt / 6 * (first + 2 * second + 2 * third + field(h + dt * third, u))
        found.append(h)
    return torch.stack(found, 1)


def contracting(m: Any, x: Tensor) -> Tensor:
    (within, between), phi = m.matrices, {"tanh": torch.tanh, "relu": torch.relu}[m.spec.nonlinearity]
    h, found, alpha = torch.zeros(len(x), m.spec.hidden), [], m.spec.alpha
    for t in range(x.shape[1]):
        new = F.linear(phi(h), within) + F.linear(h, between) + F.linear(x[:, t], m.weight_in, m.bias)
        h = (1 - alpha) * h + alpha * new
        found.append(h)
    return torch.stack(found, 1)


def ltc(m: Any, x: Tensor) -> Tensor:
    """The unfolded solver, as in the authors' code: each conductance at each unfold."""
    inner, outer, unfolds = m.synapses, m.input, m.spec.unfolds
    weight, weight_in = F.softplus(inner.strength), F.softplus(outer.strength)
    leak, capacity = F.softplus(m.leak), F.softplus(m.capacity) * (unfolds / m.spec.dt)
    h, found = torch.zeros(len(x), m.spec.hidden), []
    for t in range(x.shape[1]):
        opened = weight_in * torch.sigmoid(outer.slope * (x[:, t, None] - outer.middle))
        pull, total = (opened * outer.reversal).sum(2), opened.sum(2)
        for _ in range(unfolds):
            opened = weight * torch.sigmoid(inner.slope * (h[:, None] - inner.middle))
            above = capacity * h + leak * m.rest + (opened * inner.reversal).sum(2) + pull
            h = above / (capacity + leak + opened.sum(2) + total)
        found.append(h)
    return torch.stack(found, 1)


def diagonal(m: Any, x: Tensor) -> Tensor:
    """Step after step of the recurrence; all else for the whole sequence."""
    stream, layer = m.encoder(x), m.layers[0]
    z, factor = m.norms[0](stream), layer.factor()
    drive = layer.drive(z)
    h, found = torch.zeros_like(drive[:, 0]), []
    for t in range(x.shape[1]):
        h = factor * h + drive[:, t]
        found.append(h)
    return layer.read(torch.stack(found, 1), z)


LOOPS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "rate": rate,
    "lowrank": lowrank,
    "elman": torchs,
    "gru": torchs,
    "lstm": torchs,
    "ugru": ugru,
    "mgu": mgu,
    "bilinear": bilinear,
    "lif": lif,
    "linear": linear,
    "neural-ode": neural_ode,
    "contracting": contracting,
    "ltc": ltc,
    "lru": diagonal,
    "s4d": diagonal,
}


def compare(kind: str) -> str:
    """A row of the table."""
    torch.manual_seed(0)
    size = {} if "width" in KINDS[kind] else {"hidden": HIDDEN}
    spec = spec_class("models", kind).model_validate({"kind": kind, **size, **KINDS[kind]})
    model = implementation("models", kind)(spec, INPUTS, OUTPUTS)
    x, loop = torch.randn(BATCH, STEPS, INPUTS), LOOPS[kind]
    torch.testing.assert_close(model(x).y, model.decode(loop(model, x)), rtol=1e-4, atol=1e-4)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def train(states: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def step() -> None:
            optimizer.zero_grad()
            model.decode(states(x)).square().mean().backward()
            optimizer.step()

        return step

    found = side_by_side(train(model.unroll), train(lambda x: loop(model, x)), RUNS, warmup=2)
    rates = [BATCH * STEPS / seconds / 1e6 for seconds in (found.ours, found.theirs)]
    spread = f"{found.ratio:.2f} ({found.spread[0]:.2f}–{found.spread[1]:.2f})"
    return f"| `{kind}` | {rates[0]:.2g} | {rates[1]:.2g} | {spread} | {LIQUID if kind == 'ltc' else GOAL} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| kind | ours (million steps/s) | theirs | time, ours / theirs (min–max) | goal |")
    print("|---|---|---|---|---|")
    for kind in sys.argv[1:] or KINDS:
        print(compare(kind), flush=True)
