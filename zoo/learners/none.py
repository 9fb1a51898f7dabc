"""No learning at all: for systems that are simulated, and for networks as they were initialised."""

from __future__ import annotations

from zoo.learners.base import Learner


class Nothing(Learner):
    """Leaves the network as it is; its experiments have no steps in which anything could be learned."""
