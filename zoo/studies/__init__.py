"""Claims and their verdicts; studies of published checkpoints, with their figures."""
