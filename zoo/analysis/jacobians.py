"""Derivatives of what a network does: of its step, at many states; of its pass, by weights and inputs.

:class:`Differentiable` is a network as a function that ``torch.func`` takes apart: gradients of each example,
Jacobians, the neural tangent kernel, products with the Hessian, and the network linearised in its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap

from zoo.errors import AnalysisError, calling
from zoo.models.base import Output
from zoo.models.dynamics import Dynamics
from zoo.models.feedforward import BatchStatistics
from zoo.models.layered import Layered
from zoo.network import Network
from zoo.tasks.base import Batch

Weights = Mapping[str, Tensor]

CHUNK = 2**26
"""Numbers that one batch of Jacobians, with what their computation keeps, may take."""
FEW = 2**12
"""Rows of Jacobians up to which they are had from copies of the states, which costs less than ``vmap``."""


def double(network: Network) -> Dynamics:
    """The model of a network that iterates, in double precision and eval mode; the network stays as it is."""
    model = network.model
    assert isinstance(model, Dynamics)
    model = copy.deepcopy(model).double().eval()
    return model.requires_grad_(False)


def step_jacobians(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """∂F/∂h ``[batch, unit, unit]`` at states ``[batch, units]`` and inputs ``[batch, inputs]``."""
    with torch.no_grad():
        found = model.jacobians(h, u)
    if found is not None:
        return found
    if h.numel() <= FEW:
        return _by_copies(model, h, u)
    return _in_chunks(lambda h, u: model.step(h[None], u[None])[0], 0, h, u)


def input_jacobians(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """∂F/∂u at states and inputs: ``[batch, unit, input]``."""
    return _in_chunks(lambda h, u: model.step(h[None], u[None])[0], 1, h, u)


def readout_jacobians(model: Dynamics, h: Tensor) -> Tensor:
    """∂y/∂h at states ``[batch, units]``: ``[batch, output, unit]``."""
    return _in_chunks(lambda h, _: model.readout(h[None])[0], 0, h, h[:, :0])


@torch.enable_grad()
def _by_copies(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """Each state as often as it has units; each copy gives the gradient of another unit of what follows."""
    batch, units = h.shape
    states = h.detach().repeat_interleave(units, 0).requires_grad_()
    there = model.step(states, u.repeat_interleave(units, 0))
    rows = torch.eye(units, dtype=h.dtype, device=h.device).repeat(batch, 1)
    return torch.autograd.grad(there, states, rows)[0].view(batch, units, units)


def _in_chunks(function: object, argument: int, h: Tensor, u: Tensor) -> Tensor:
    along = u if argument else h
    each = vmap(jacrev(function, argnums=argument))  # type: ignore[arg-type]
    width = max(1, h.shape[1] * max(1, along.shape[1]) * 8)
    most = max(1, CHUNK // width)
    parts = [each(h[k : k + most], u[k : k + most]) for k in range(0, len(h), most)]
    return torch.cat(parts) if parts else h.new_zeros(0, h.shape[1], along.shape[1])


def _same(value: Tensor, t: int) -> Tensor:
    return value


def vjp(function: Callable[..., Any], at: Any) -> tuple[Any, Callable[..., Any]]:
    """A value, and the function from ``u`` to ``(Jᵀ u,)``."""
    found: Any = torch.func.vjp(function, at)
    return found[0], found[1]


def _forward(pull: Callable[..., Any], value: Tensor, along: Weights) -> Tensor:
    """J v from the function that gives Jᵀ u, which is linear in u: its own derivative, transposed. Not every
    model's operations have derivatives in forward mode."""

    def pulled(u: Tensor) -> Any:
        return pull(u)[0]

    _, push = vjp(pulled, torch.zeros_like(value))
    found: Tensor = push(dict(along))[0]
    return found


def differentiable(network: Network, name: str) -> None:
    """Raises :class:`AnalysisError` for a model that ``vmap`` does not go through, or whose derivatives are
    surrogates."""
    model = network.model
    if not model.vectorises or model.surrogate:
        why = "surrogates" if model.surrogate else "not to be had example by example"
        raise AnalysisError(
            f"derivatives of the model {model.spec.kind!r} of {name} are {why}; ask networks of another "
            "kind, such as elman, gru or mlp."
        )


class Differentiable:
    """A network as a function of its weights and inputs, in double precision and single steps, without noise.

    Args:
        network: Stays as it is.
        weights: Patterns of names of parameters; derivatives are with respect to those that match.

    Raises :class:`AnalysisError` for a model that ``vmap`` does not go through, whose derivatives are
    surrogates, or where no parameter matches.
    """

    def __init__(self, network: Network, weights: str | Sequence[str] = "*") -> None:
        model, self.name = network.model, calling(network.name)
        differentiable(network, self.name)
        self.network = network
        self.model = copy.deepcopy(model).double().eval()
        patterns = [weights] if isinstance(weights, str) else list(weights)
        known = [name for name, value in self.model.named_parameters() if value.requires_grad]
        names = [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if not names:
            raise AnalysisError(
                f"no parameter of {self.name} matches {', '.join(patterns)}; "
                f"it has {', '.join(known) or 'none'}."
            )
        self.model.requires_grad_(False)
        tensors = self.model.state_dict()
        self.weights: dict[str, Tensor] = {name: tensors[name] for name in names}
        self.rest = {name: value for name, value in tensors.items() if name not in self.weights}

    # Weights as vectors -----------------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """How many numbers the weights are."""
        return sum(value.numel() for value in self.weights.values())

    def flat(self, weights: Weights) -> Tensor:
        """Weights, or what is shaped like them, as a vector ``[parameter]``."""
        return torch.cat([weights[name].flatten() for name in self.weights])

    def shaped(self, vector: Tensor) -> dict[str, Tensor]:
        """The inverse of :meth:`flat`."""
        parts = vector.split([value.numel() for value in self.weights.values()])
        return {n: part.view_as(self.weights[n]) for n, part in zip(self.weights, parts, strict=True)}

    # The function -----------------------------------------------------------------------------

    def output(self, weights: Weights, x: Tensor) -> Output:
        """A pass of inputs ``[batch, time, input]`` with these weights in the place of the network's."""
        singly = (
            {"input": _same} if isinstance(self.model, Dynamics) else {}
        )  # no passes that go back once only
        with self.model.intervene(singly):
            found: Output = functional_call(self.model, {**self.rest, **weights}, (x,))
        return found

    def loss(self, weights: Weights, batch: Batch) -> Tensor:
        """The mean loss of a batch, as the experiment declares it; without what the model's pass costs."""
        return self.network.losses(self.output(weights, batch.x).y, batch).mean()

    def linearised(self, x: Tensor, weights: Weights) -> Tensor:
        """Outputs ``[batch, time, output]`` at other weights of the network's linearised twin: its Taylor
        expansion in the weights to first order, ``f(θ₀) + J(θ₀)(θ - θ₀)``."""
        there = {name: weights[name].to(value) - value for name, value in self.weights.items()}
        value, pull = vjp(lambda own: self.output(own, x).y, self.weights)
        return value + _forward(pull, value, there)

    # First derivatives ------------------------------------------------------------------------

    def example_gradients(self, batch: Batch) -> dict[str, Tensor]:
        """The gradient of each example's loss: name → ``[example, …]``."""
        self._apart()

        def one(weights: Weights, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
            row = Batch(x[None], y[None], mask[None], torch.zeros(1), {})
            return self.loss(weights, row)

        found: dict[str, Tensor] = vmap(grad(one), (None, 0, 0, 0))(
            self.weights, batch.x, batch.y, batch.mask
        )
        return found

    def jacobians(self, x: Tensor, step: int | None = None) -> Tensor:
        """∂y/∂θ of each example, ``[example, time × output, parameter]``; at one time step if it is given."""
        self._apart()

        def one(weights: Weights, x: Tensor) -> Tensor:
            y = self.output(weights, x[None]).y[0]
            return (y if step is None else y[step]).flatten()

        found = vmap(jacrev(one), (None, 0))(self.weights, x)
        return torch.cat([found[name].flatten(2) for name in self.weights], 2)

    def kernel(self, x: Tensor, other: Tensor | None = None, step: int | None = None) -> Tensor:
        """The neural tangent kernel J(x) J(x')ᵀ (Jacot et al. 2018), ``[n, n']`` with a row for each example,
        time step and output.

        It is summed block by block; the Jacobian of all examples is never there at once.
        """
        rows = self.network.task.spec.outputs * (1 if step is not None else x.shape[1])
        most = max(1, CHUNK // (rows * self.size))
        right = x if other is None else other
        blocks = [x[k : k + most] for k in range(0, len(x), most)]
        across = [right[k : k + most] for k in range(0, len(right), most)]
        found: list[list[Tensor]] = []
        for i, block in enumerate(blocks):
            here, row = self.jacobians(block, step).flatten(0, 1), list[Tensor]()
            for j, beside in enumerate(across):
                if other is None and j < i:
                    row.append(found[j][i].T)
                    continue
                there = here if other is None and j == i else self.jacobians(beside, step).flatten(0, 1)
                row.append(here @ there.T)
            found.append(row)
        return torch.cat([torch.cat(row, 1) for row in found])

    def kernel_product(self, x: Tensor, vector: Tensor) -> Tensor:
        """The kernel times ``[batch, time, output]``, from passes there and back: no Jacobian."""

        def outputs(weights: Weights) -> Tensor:
            return self.output(weights, x).y

        value, pull = vjp(outputs, self.weights)
        return _forward(pull, value, pull(vector)[0])

    def site_jacobians(self, x: Tensor, site: str, step: int = -1, source: str | None = None) -> Tensor:
        """Of what a site holds at a time step, ``[example, width, …]``: by the whole input, flattened over
        time and channels; or, in a network of layers, by what a ``source`` below it holds at the step."""
        self._apart()
        wanted = [site] if source is None else [site, source]
        with self.model.capture(wanted) as seen:
            self.output(self.weights, x)
        if source is None:
            until = x.shape[1] + step + 1 if step < 0 else step + 1
            found = vmap(jacrev(lambda own: self._held(own, site, -1)))(x[:, :until])
            return found.flatten(2)
        if not isinstance(self.model, Layered):
            raise AnalysisError(f"{self.name} has no layers, one after the other; ask by its whole input.")
        at = range(x.shape[1])[step]

        def one(value: Tensor, x: Tensor) -> Tensor:
            with self.model.intervene({source: lambda now, t: value[None] if t == at else now}):
                return self._held(x, site, at)

        return vmap(jacrev(one))(seen[source][:, at], x)

    def _held(self, x: Tensor, site: str, step: int) -> Tensor:
        """What a site ``[width]`` holds at a step, for the input ``[time, input]`` of one example."""
        with ExitStack() as stack:
            seen = stack.enter_context(self.model.capture([site]))
            self.output(self.weights, x[None])
        return seen[site][0, step]

    # Second derivatives -----------------------------------------------------------------------

    def hessian_product(self, batch: Batch) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The gradient ``[parameter]`` of the mean loss of a batch, and the function that multiplies a vector
        ``[parameter]`` with its Hessian, for about the cost of a gradient (Pearlmutter 1994)."""

        def loss(weights: Weights) -> Tensor:
            return self.loss(weights, batch)

        gradient, pull = vjp(grad(loss), self.weights)

        def product(vector: Tensor) -> Tensor:
            return self.flat(pull(self.shaped(vector))[0])

        return self.flat(gradient), product

    def _apart(self) -> None:
        """Raises :class:`AnalysisError` where examples are not by themselves."""
        if any(isinstance(module, BatchStatistics) for module in self.model.modules()):
            raise AnalysisError(
                f"the layers of {self.name} are standardised over the batch, so that an example has no "
                "derivative of its own; ask networks with model.norm none or layer."
            )
