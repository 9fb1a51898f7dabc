"""Checkpoints that are made of others, with their lineage."""
