"""Networks told by their weights."""
