"""The task linear-episodes: Bayes' prediction, and what it is worth."""

from __future__ import annotations

import torch

from zoo.specs.tasks.linear_episodes import LinearEpisodesSpec
from zoo.tasks.linear_episodes import LinearEpisodes


def test_bayes_predicts_by_the_posterior_of_the_weights() -> None:
    task = LinearEpisodes(LinearEpisodesSpec(dimensions=3, noise=0.4, steps=6))
    batch = task.batch("test", 0, 0, 4).to("cpu", torch.float64)
    found = task.oracle(batch)
    for n in range(4):
        x, y = batch.x[n, :, :3], batch.y[n]
        for t in range(6):
            # joint normal distribution of the answers so far and the next one, conditioned on the former
            covariance = x[: t + 1] @ x[: t + 1].T / 3 + 0.16 * torch.eye(t + 1)
            gain = covariance[-1:, :-1] @ torch.linalg.inv(covariance[:-1, :-1])
            torch.testing.assert_close(found[n, t], (gain @ y[:t])[0])


def test_an_episode_says_more_and_more() -> None:
    task = LinearEpisodes(LinearEpisodesSpec())
    batch = task.batch("longer", 0, 0, 3000)
    best = task.oracle(batch)
    error = (best - batch.y).square().mean((0, 2))
    assert abs(float(error[0]) - 1 - 0.25**2) < 0.1
    assert 0.25**2 < error[-5:].mean() < 1.3 * 0.25**2
    blind = torch.zeros_like(best)
    excess = float(task.metrics(blind, batch)["excess"].mean())
    assert abs(excess - float((task.losses(blind, batch) - task.losses(best, batch)).mean())) < 0.02
    torch.testing.assert_close(task.metrics(best, batch)["excess"], torch.zeros(3000))
