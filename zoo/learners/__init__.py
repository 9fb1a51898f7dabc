"""How parameters change, one family a file; mirrored by ``zoo/specs/learners``."""
