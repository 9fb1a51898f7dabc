"""What can be read from the states of a network of a system that it sees a part of."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.analysis.dynamics.neighbours import moments, system_of
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.unfolding import ReconstructionSpec
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from zoo.network import Network


class Reconstruction(Measurement[ReconstructionSpec]):
    """Numbers: R² of the ``linear`` map and of the perceptron (``mlp``), means over variables. Arrays: the
    same of each variable, and their ``variables``."""

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        linear = need("sklearn.linear_model", "analysis", "Reconstruction")
        neural = need("sklearn.neural_network", "analysis", "Reconstruction")
        exceptions = need("sklearn.exceptions", "analysis", "Reconstruction")
        metrics = need("sklearn.metrics", "analysis", "Reconstruction")
        system = system_of(run, spec)
        variables = spec.variables or tuple(range(system.shape[2]))
        if max(variables) >= system.shape[2]:
            raise AnalysisError(
                f"the latent {spec.latent!r} of {name} has the variables 0 … {system.shape[2] - 1}, not "
                f"{max(variables)}. Give other 'variables'."
            )
        trial, time = moments(run, spec)
        order = np.random.default_rng(derive_seed("held out", spec.seed) % 2**32).permutation(len(run.states))
        held = order[: round(spec.held_out * len(order))]
        test = np.isin(trial.cpu().numpy(), held)
        if min(test.sum(), (~test).sum()) < 2:
            raise AnalysisError(
                f"{name} has {len(order)} trials, of which {spec.held_out:g} cannot be held out. Give more "
                "trials."
            )
        x = run.states[trial, time].cpu().numpy()
        y = system[trial, time][:, torch.tensor(variables)].cpu().numpy()
        (x, y), constant = (_standardised(values, ~test) for values in (x, y)), y[~test].std(0) == 0
        if constant.any():
            which = variables[int(constant.argmax())]
            raise AnalysisError(f"variable {which} of the latent {spec.latent!r} of {name} never changes.")
        readers = {
            "linear": linear.Ridge(alpha=spec.penalty * (~test).sum()),
            "mlp": neural.MLPRegressor(
                hidden_layer_sizes=(spec.hidden,),
                alpha=spec.penalty,
                max_iter=spec.epochs,
                random_state=spec.seed % 2**32,
            ),
        }
        found = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exceptions.ConvergenceWarning)  # as many epochs as were asked for
            for key, reader in readers.items():
                targets = y[~test] if len(variables) > 1 else y[~test, 0]
                guess = reader.fit(x[~test], targets).predict(x[test]).reshape(-1, len(variables))
                found[key] = metrics.r2_score(y[test], guess, multioutput="raw_values")
        numbers = {key: float(scores.mean()) for key, scores in found.items()}
        return Found(numbers, {**found, "variables": np.array(variables)})


def _standardised(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """By mean and deviation of some rows; what is constant there becomes zero."""
    deviation = values[rows].std(0)
    scale = np.where(deviation > 1e-12 * max(deviation.max(), 1e-300), deviation, np.inf)
    standard: np.ndarray = (values - values[rows].mean(0)) / scale
    return standard
