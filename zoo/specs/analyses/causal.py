"""Analyses that change what a site of a network holds, and look at what comes of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import located

Site = Annotated[str, Field(min_length=1, max_length=100)]


class InterventionSpec(MeasurementSpec):
    """What interventions can be told: where, on which units, and when."""

    sites: Annotated[tuple[Site, ...], Field(strict=False)] = ()
    """Sites that are changed, one after another. Without them, ``site``; without that, all but the output."""
    units: Annotated[tuple[int, int], Field(strict=False)] | None = None
    """The first of the units that are changed, and the one after the last; without it, all."""
    windows: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Parts of a trial, of nearly equal length, that are changed one at a time, beside all at once."""

    @model_validator(mode="after")
    def _where(self) -> Self:
        if self.sites and self.site is not None:
            raise located("is one of 'sites', or leave those out", "site")
        if len(set(self.sites)) < len(self.sites):
            raise located("names a site twice", "sites")
        if self.units is not None and not 0 <= self.units[0] < self.units[1]:
            raise located("should be the first unit and the one after the last, such as [0, 2]", "units")
        return self


class PatchingSpec(InterventionSpec):
    """Activation patching: what a site held in another trial is put in its place (Vig et al. 2020; Geiger et
    al. 2021, interchange interventions).

    Each trial gets what the site held in the next one, its source, at the same time steps. How far the output
    goes from what it was to that of the source says how much of what tells them apart the site carries.
    """

    kind: Literal["patching"] = "patching"


class AblationSpec(InterventionSpec):
    """How well a network does without what a site holds (Morcos et al. 2018)."""

    kind: Literal["ablation"] = "ablation"
    by: Literal["zero", "mean", "shuffle"] = "mean"
    """What stands there instead: zeros, the mean over trials at that time, or what another trial has."""
    shares: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(strict=False, min_length=1, max_length=100)
    ] = (1.0,)
    """Shares of the units that are ablated, ascending: drawn by ``seed``, each among those of the next."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.shares) != sorted(set(self.shares)):
            raise located("should ascend; sort them", "shares")
        return self
