"""Rules for networks that iterate, which need little of the past or none: BPTT cut short, and traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from zoo.learners.base import Update
from zoo.learners.chain import normal
from zoo.learners.rule import Rule
from zoo.learners.through import at, decode, learned, noise, rollout, run, together
from zoo.models.cells import Readable
from zoo.models.dynamics import Dynamics
from zoo.network import Network
from zoo.specs.learners.online import EligibilityTraceSpec, EPropSpec, RFLOSpec, RTRLSpec, TruncatedBPTTSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]


def stepped(model: Dynamics, h: Tensor, u: Tensor, noise: Tensor | None) -> Tensor:
    """A step, as a function of the model."""
    return model.step(h, u, noise)


def begun(model: Dynamics, batch: int) -> Tensor:
    """The initial state, which may be learned."""
    return model.initial_state(batch)


class ThroughTime(Rule):
    """A rule that goes through the steps of a model, with the noise that the model asks for in training."""

    vectorises = True

    @property
    def model(self) -> Readable:
        return cast(Readable, self.network.model)

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        return noise(self.network.model, batch, generator)


class TruncatedBPTT(ThroughTime):
    """Σ_t Σ_{j<window} of what the loss at t says of step t-j (Williams & Peng 1990).

    The errors of all steps go back together: c_s = ε_s + J_{s+1}ᵀ c_{s+1}, done window - 1 times from c = ε,
    has at s what the next window - 1 steps and s itself say of h_s.
    """

    spec: TruncatedBPTTSpec

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        model, x, push = self.model, batch.x, drawn.get("noise")
        states = rollout(model, weights, x, push)
        read = decode(model, weights, states[:, 1:])
        loss, error = self.error(read.y, batch)
        above, slopes = read.back(error)
        before, u = states[:, :-1].flatten(0, 1), x.flatten(0, 1)
        pushed = None if push is None else push.flatten(0, 1)

        def step(inner: Tensors, h: Tensor) -> Tensor:
            return at(model, {**weights, **inner}, stepped, h, u, pushed)

        credit = slopes
        if self.spec.window > 1:
            _, further = vjp(lambda h: step({}, h), before)  # type: ignore[misc]
            for _ in range(min(self.spec.window, x.shape[1]) - 1):
                (earlier,) = further(credit.flatten(0, 1))
                earlier = earlier.unflatten(0, x.shape[:2])
                credit = slopes + torch.cat([earlier[:, 1:], torch.zeros_like(earlier[:, :1])], 1)

        def steps(inner: Tensors) -> Tensor:
            first = at(model, {**weights, **inner}, begun, len(x))[:, None]
            return step(inner, torch.cat([first, states[:, 1:-1]], 1).flatten(0, 1))

        _, back = vjp(steps, learned(model, weights))  # type: ignore[misc]
        (found,) = back(credit.flatten(0, 1))
        return Update(loss, together(found, above), {})


class RTRL(ThroughTime):
    """P_t = J_t P_{t-1} + ∂step/∂θ, and Σ_t ε_tᵀ P_t (Williams & Zipser 1989)."""

    spec: RTRLSpec

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        model, x, pushed = self.model, batch.x, drawn.get("noise")
        inner = {name: w for name, w in learned(model, weights).items() if not name.startswith("output.")}

        def one(inner: Tensors, h: Tensor, u: Tensor, push: Tensor | None) -> Tensor:
            alone = None if push is None else push[None]
            return at(model, {**weights, **inner}, stepped, h[None], u[None], alone)[0]

        derivatives = vmap(jacrev(one, (0, 1)), (None, 0, 0, None if pushed is None else 0))
        states = rollout(model, weights, x, pushed)
        read = decode(model, weights, states[:, 1:])
        loss, error = self.error(read.y, batch)
        above, slopes = read.back(error)
        if not inner:
            return Update(loss, above, {})
        first = jacrev(lambda inner: at(model, {**weights, **inner}, begun, 1)[0])(inner)
        traces = {name: each.flatten(1).expand(len(x), -1, -1) for name, each in first.items()}
        found = {name: torch.zeros_like(value) for name, value in inner.items()}
        for t in range(x.shape[1]):
            push = None if pushed is None else pushed[:, t]
            direct, jacobian = derivatives(inner, states[:, t], x[:, t], push)
            for name, new in direct.items():
                traces[name] = new.flatten(2) + jacobian @ traces[name]
                said = torch.einsum("bi,bip->p", slopes[:, t], traces[name])
                found[name] = found[name] + said.view_as(found[name])
        return Update(loss, together(found, above), {})


class EligibilityTraces(ThroughTime):
    """ΔW_ij = Σ_t L_i(t) e_ij(t), with e_ij(t) = D_i(t) e_ij(t-1) + ∂f/∂a_i(t) r_j(h(t-1)), and likewise for
    input weights and biases; the readout gets its gradient. A new one says what ``decays``.

    L is what an error of the output says of each state, by the readout's weights or by ``feedback``
    ``[outputs, hidden]``, which it owns, in their place.
    """

    spec: EligibilityTraceSpec

    def __init__(self, spec: EligibilityTraceSpec, network: Network) -> None:
        super().__init__(spec, network)
        if spec.feedback == "random":
            like = network.model.state_dict()["output.weight"]
            deviation = spec.scale * like.shape[1] ** -0.5
            drawn = normal((like.shape[0], like.shape[1]), deviation, self.generator(), like)
            self.feedback = nn.Parameter(drawn, requires_grad=False)

    def decays(self, keeps: Tensor, own: Tensor) -> Tensor:
        """D ``[batch, time, hidden]``, from what units keep of themselves and what they get from themselves
        through their weights."""
        raise NotImplementedError

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        model, x = self.model, batch.x
        passed = run(model, weights, x, drawn.get("noise"))
        read = decode(model, weights, passed.states[:, 1:])
        loss, error = self.error(read.y, batch)
        above, signals = read.back(error)
        if "feedback" in own:
            instead = {**weights, "output.weight": own["feedback"]}
            signals = decode(model, instead, passed.states[:, 1:]).back(error)[1]
        below = torch.cat([passed.sources, x, torch.ones_like(x[..., :1])], -1)
        decays = self.decays(passed.keeps, passed.own).repeat(1, 1, passed.gates)[..., None]
        signals = signals.repeat(1, 1, passed.gates)
        trace = passed.gain[:, 0, :, None] * below[:, 0, None]
        found = torch.einsum("bi,bij->ij", signals[:, 0], trace)
        for t in range(1, x.shape[1]):
            trace = decays[:, t] * trace + passed.gain[:, t, :, None] * below[:, t, None]
            found = found + torch.einsum("bi,bij->ij", signals[:, t], trace)
        weight, weight_in, bias = found.split([passed.weight.shape[-1], x.shape[-1], 1], -1)
        return Update(loss, together(passed.pull((weight_in, weight, bias.squeeze(-1))), above), {})


class RFLO(EligibilityTraces):
    """D is the leak (Murray 2019)."""

    spec: RFLOSpec

    def decays(self, keeps: Tensor, own: Tensor) -> Tensor:
        return keeps if self.spec.leak is None else torch.full_like(keeps, self.spec.leak)


class EProp(EligibilityTraces):
    """D is the diagonal of the Jacobian (Bellec et al. 2020)."""

    spec: EPropSpec

    def decays(self, keeps: Tensor, own: Tensor) -> Tensor:
        return keeps + own
