"""A module that fails when imported."""

raise RuntimeError("out of order")
