"""Analyses that intervene: they change what a site holds, and look at what comes of it."""
