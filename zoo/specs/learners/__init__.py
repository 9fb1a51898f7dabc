"""Learning rules, one family a file; mirrored by ``zoo/learners``."""
