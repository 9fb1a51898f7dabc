"""What makes checkpoints of checkpoints."""
