"""Draws docs/diffusion.png: paths of a sampler, and where the place of a bump can be read and moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import zoo
from zoo.analysis.figures import COLOURS, FAINT, MARKERS, save
from zoo.analysis.measure import analyse

NAME = "ddpm-bump2d-tiny/0"
SHOWN = (0, 4, 8, 12, 16, 19)
"""Steps of the sampler that are shown, counted from 0."""


def draw() -> Figure:
    """Above, two paths; below, probes at each step, and patches in four windows of the steps."""
    figure = Figure(figsize=(7.2, 4.9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2.2, 2.6))
    run = zoo.load(NAME).trajectories(2, seed=3)
    images = run.states.unflatten(-1, (16, 16))
    panels: Any = above.subplots(2, len(SHOWN))
    for trial, row in enumerate(panels):
        for panel, t in zip(row, SHOWN, strict=True):
            panel.imshow(images[trial, t], cmap="Greys_r", vmin=-1, vmax=1)
            place = [float(run.latents[axis][trial]) for axis in ("x", "y")]
            panel.plot(*place, "+", color=COLOURS[1], markersize=6)
            panel.set_xticks([])
            panel.set_yticks([])
            if not trial:
                panel.set_title(f"step {t + 1}", fontsize=8)
    probes, patches = below.subplots(1, 2)
    for at, (site, axis) in enumerate((site, axis) for site in ("h", "latent") for axis in "xy"):
        (found,) = analyse([NAME], "decoding", latent=axis, site=site, trials=256).values()
        style: dict[str, Any] = {"color": COLOURS[at], "marker": MARKERS[at], "markersize": 3}
        probes.plot(found["times"] + 1, found["scores"], linewidth=1.2, label=f"{axis} from {site}", **style)
    probes.set(xlabel="step of the sampler", ylabel="R² of a linear probe", ylim=(-0.1, 1.05))
    (found,) = analyse([NAME], "patching", sites=("latent", "middle"), windows=4, trials=64).values()
    middles = (found["edges"][1:] + found["edges"][:-1] + 1) / 2
    for at, site in enumerate(found["sites"]):
        style = {"color": COLOURS[at], "marker": MARKERS[at], "markersize": 4}
        patches.plot(middles, found["effect"][at], linewidth=1.2, label=str(site), **style)
        patches.axhline(found.numbers[f"effect/{site}"], color=COLOURS[at], linewidth=0.8, linestyle="--")
    patches.axhline(0, color=FAINT, linewidth=0.8)
    patches.set(xlabel="step of the sampler (five patched at a time)", ylabel="effect of a patch")
    for axes in (probes, patches):
        axes.legend(frameon=False, fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    return figure


if __name__ == "__main__":
    print(save(draw, Path(__file__).parents[1] / "docs" / "diffusion.png"))
