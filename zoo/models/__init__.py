"""Architectures, one family a file; mirrored by ``zoo/specs/models``."""
