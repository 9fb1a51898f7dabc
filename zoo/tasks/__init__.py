"""Where data come from, one family a file; mirrored by ``zoo/specs/tasks``."""
