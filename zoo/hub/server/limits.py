"""What a request may cost at most."""

from __future__ import annotations

from dataclasses import dataclass

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on what is sent and stored; sizes in bytes."""

    file: int = 1024 * MB
    """One file."""
    commit: int = 4096 * MB
    """The body of one commit, in which files are a third larger than on the disk."""
    document: int = 4 * MB
    """Any other body."""
    operations: int = 2000
    """Files added or removed in one commit."""
    files: int = 20_000
    """Files in one revision."""
    silence: float = 60.0
    """Seconds to wait for the next piece of a body."""
    writers: int = 8
    """Commits at work at the same time; others wait."""
