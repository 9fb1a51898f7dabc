"""Dynamical similarity analysis of driven systems: what a network does by itself, and what inputs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.dynamics.controllability import driven_distances, input_distances
from zoo.analysis.dynamics.driven import dmdc, subspace
from zoo.analysis.dynamics.scores import spectral_distances, stacked_operators
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import InputDSASpec
from zoo.tasks.base import derive_seed


class InputDSA(Comparator[InputDSASpec]):
    """The distance of two driven systems ``x[t] = A x[t-1] + B u[t]`` (Huang et al. 2025).

    Systems are identified by :func:`subspace` or :func:`dmdc`. ``joint`` is the distance of their
    controllability matrices in the basis in which they are nearest (:func:`driven_distances`), and
    ``joint-state`` and ``joint-input`` those of ``A`` and of ``B`` in that basis. ``state`` is W₂ between
    the eigenvalues of ``A`` alone, ``input`` the one-sided Procrustes distance of ``B`` alone.

    Networks need share neither trials nor units, but the meaning of a time step and of each input. But
    for ``state`` and ``joint-state``, distances grow with the size of states; bring these to one scale
    first (``observe.standardise``) where it means nothing.
    """

    requires = frozenset({"states", "inputs"})
    aligned = False
    independent = True
    ragged = True

    def __init__(self, spec: InputDSASpec) -> None:
        super().__init__(spec)
        if spec.surrogate is not None:
            self.requires = frozenset({"states"} if spec.surrogate == "noise" else {"states", spec.surrogate})
        self.invariances = ("orthogonal", "permutation of trials")
        if spec.distance in ("state", "joint-state"):
            self.invariances += ("isotropic scaling",)

    @property
    def measure(self) -> str:
        if self.spec.distance == "state":
            return f"InputDSA state distance ({'W₂²' if self.spec.squared else 'W₂'} between eigenvalues)"
        return f"InputDSA {self.spec.distance} distance (Frobenius norm)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``operator`` ``[n, n]`` and ``input`` ``[n, m]``, or the complex ``eigenvalues`` ``[n]``."""
        spec, dtype, name = self.spec, source.states.dtype, calling(source.name)
        inputs = self._inputs(states, source)
        if not bool(torch.isfinite(inputs).all()):
            raise AnalysisError(
                f"the inputs of {name} hold NaN or infinite values. Remove those trials or fill them in."
            )
        # What float64 arithmetic would take for signal in states of single precision is rounding.
        rounding = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
        if spec.identification == "n4sid":
            system = subspace(
                states,
                inputs,
                spec.delays,
                spec.rank,
                spec.ridge,
                name,
                lengths=source.lengths,
                rounding=rounding,
            )
        else:
            system = dmdc(
                states,
                inputs,
                spec.delays,
                spec.interval,
                spec.rank,
                spec.ridge,
                name,
                input_rank=spec.input_rank,
                lengths=source.lengths,
                rounding=rounding,
            )
        if spec.distance == "state":
            return {"eigenvalues": torch.linalg.eigvals(system.a)}
        return {"operator": system.a, "input": system.b}

    def _inputs(self, states: Tensor, source: Trajectories) -> Tensor:
        """``[trial, time, input]``: those that drive the network, or what stands for them."""
        surrogate = self.spec.surrogate
        if surrogate == "noise":
            width = 1 if source.inputs is None else source.inputs.shape[2]
            generator = torch.Generator().manual_seed(derive_seed("surrogate", self.spec.seed, source.origin))
            return torch.randn(*states.shape[:2], width, generator=generator, dtype=torch.float64).to(states)
        found: Tensor = getattr(source, surrogate or "inputs")
        return found.detach().to(states)

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """``distance``: W₂ in units of eigenvalues, or a norm; of ``joint…`` with all three, by name."""
        distance = self.spec.distance
        if distance == "state":
            return {"distance": spectral_distances(features, pairs, 2, self.spec.squared)}
        a = stacked_operators(features, f"input-dsa by {distance}")
        b = _stacked_inputs(features, a)
        if distance == "input":
            return {"distance": input_distances(b, pairs)}
        found = driven_distances(a, b, pairs, extended=self.spec.extended)
        parts = {"joint": found.joint, "joint-state": found.state, "joint-input": found.input}
        return {"distance": parts[distance], **parts}


def _stacked_inputs(features: Sequence[Features], like: Tensor) -> Tensor:
    """The ``input`` of each network, ``[network, n, m]``. Raises :class:`AnalysisError` on other widths."""
    matrices = [feature.values["input"].to(like) for feature in features]
    for feature, matrix in zip(features, matrices, strict=True):
        if matrix.shape != matrices[0].shape:
            raise AnalysisError(
                f"input-dsa compares what corresponding inputs do: {calling(features[0].name)} has "
                f"{matrices[0].shape[1]} of them (inputs × delays of dmdc), {calling(feature.name)} has "
                f"{matrix.shape[1]}. Compare networks that take the same inputs, or by the distance 'state'."
            )
    return torch.stack(matrices)
