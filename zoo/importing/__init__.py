"""From files that were made elsewhere, weights or recordings, to checkpoints."""
