"""Analyses, one family a file; mirrored by ``zoo/analysis``."""
