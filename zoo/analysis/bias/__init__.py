"""How much a task leaves to be known beforehand; specs in ``zoo/specs/analyses/bias.py``."""
