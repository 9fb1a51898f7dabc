"""Files from elsewhere as bytes: bounded, and with the digest of exactly what is read."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from zoo.checkpoints.folder import PICKLES
from zoo.errors import ForeignFileError, UnsafeFileError, brief

MAX_BYTES = 4 * 2**30
"""Of a file, and of what it says that it holds."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".nwb")
PLAIN = (
    "Open it where its own code is at hand and no harm can be done, and save plain tensors, with "
    "safetensors or torch.save(model.state_dict(), 'weights.pt'), or plain arrays with numpy.savez."
)
MAX_NAME = 200
"""Characters of the name of a tensor or an array."""


@dataclass(frozen=True)
class ForeignFile:
    """A file and its bytes."""

    path: Path
    data: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    def refuse(self, why: str, advice: str = "Write the file again, or take another.") -> NoReturn:
        raise ForeignFileError(f"{self.path} {why}. {advice}")

    def check_name(self, name: str) -> str:
        """A name that can stand in a record and a message."""
        if len(name) > MAX_NAME or not name.isprintable():
            self.refuse(f"holds the name {brief(name)}, which is not {MAX_NAME} printable characters at most")
        return name

    def unsafe(self, why: str) -> NoReturn:
        raise UnsafeFileError(f"{self.path} {why}. {PLAIN}")


def read(path: Path) -> ForeignFile:
    """A regular file of a kind that is read, and of a tolerable size.

    Raises :class:`ForeignFileError` for any other, :class:`UnsafeFileError` for a pickle.
    """
    file = ForeignFile(path, b"")
    if file.suffix not in WEIGHTS + ARRAYS:
        if file.suffix in PICKLES:
            file.unsafe("is a pickle, which can run any code when it is read")
        known = f"Weights are read from {', '.join(WEIGHTS)}, recordings from {', '.join(ARRAYS)}."
        file.refuse("is of a kind that is not read", f"{known} {PLAIN}")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            file.refuse("is no file", "Give the path of one.")
        if status.st_size > MAX_BYTES:
            file.refuse(f"has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read", "Take a part of it.")
        with path.open("rb") as stream:
            data = stream.read(status.st_size + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        file.refuse(f"cannot be read: {reason}", "Check the path.")
    if len(data) != status.st_size:
        file.refuse("changed while it was read", "Wait until it is written.")
    return ForeignFile(path, data)
