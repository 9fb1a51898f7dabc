"""Tasks, one family a file; mirrored by ``zoo/tasks``."""
