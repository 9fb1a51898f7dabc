"""Populations through an engine: declared, run to the end whatever dies, looked at."""
