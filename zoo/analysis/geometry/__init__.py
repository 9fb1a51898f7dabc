"""Comparators of geometry: which states a network visits, sample by sample."""
