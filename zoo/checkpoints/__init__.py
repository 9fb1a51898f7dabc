"""Checkpoint folders: their bytes (``folder``), and networks from them (``network``)."""
