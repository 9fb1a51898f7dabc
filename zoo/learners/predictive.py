"""Predictive coding: layers predict the next, and settle before they learn."""

from __future__ import annotations

from torch import Tensor

from zoo.learners.base import Update
from zoo.learners.chain import Passed, gradients, one, run
from zoo.learners.feedback import Chained, Tensors
from zoo.specs.learners.predictive import PredictiveCodingSpec
from zoo.tasks.base import Batch


class PredictiveCoding(Chained):
    """Values v_k with errors ε_k = v_k - f_k(v_{k-1}): v_k descends ε_k - (∂f_{k+1}/∂v_k)ᵀ ε_{k+1}, where
    the error of the output is the negative slope of the loss; then ∂W_k = -(∂f_k/∂W_k)ᵀ ε_k (Whittington &
    Bogacz 2017)."""

    spec: PredictiveCodingSpec

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        layers, hidden = self.layers, len(self.layers) - 1
        first = run(layers, weights, batch.x)
        loss, slope = self.error(first[-1].h, batch)
        values, passed = [each.h for each in first[:-1]], first
        examples = len(batch.x)  # whose energies are each its own; the loss is their mean
        for _ in range(self.spec.steps):
            errors = self._errors(values, passed, slope * examples)
            above = [
                layers[k + 1].scale * (passed[k + 1].back(errors[k + 1])[1] @ weights[layers[k + 1].weight])
                for k in range(hidden)
            ]
            values = [
                value - self.spec.rate * (error - up)
                for value, error, up in zip(values, errors, above, strict=False)
            ]
            if self.spec.predictions == "free":
                passed = [
                    one(layer, weights, below)
                    for layer, below in zip(layers, [batch.x, *values], strict=True)
                ]
                slope = self.error(passed[-1].h, batch)[1]
        errors = self._errors(values, passed, slope * examples)
        found: dict[str, Tensor] = {}
        for each, error in zip(passed, errors, strict=True):
            inner, delta = each.back(-error / examples)
            found |= {**inner, **gradients(each.layer, each.below, delta)}
        return Update(loss, found, {})

    def _errors(self, values: list[Tensor], passed: list[Passed], slope: Tensor) -> list[Tensor]:
        return [*(value - each.h for value, each in zip(values, passed, strict=False)), -slope]
