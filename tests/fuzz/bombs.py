"""Run by a test in a process of its own, with little memory: checkpoints that ask for very much of it."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # before the limit
from fuzz import checkpoints
from fuzz.hostile import DEEP

from zoo.checkpoints.folder import RECORD, SPEC, CheckpointFolder, describe
from zoo.checkpoints.network import GOLDEN, load_network, measure_members
from zoo.errors import ZooError
from zoo.hub.verify import verify

ROOM = 512 * 2**20
"""Bytes beyond what is in use before."""
WEIGHTS = "model.safetensors"
Files = checkpoints.Files


def spec(files: Files, part: str, before: object = (), **changes: object) -> None:
    """Change a part of the spec, or replace it where there should be nothing of it ``before``."""
    document = json.loads(files[SPEC])
    document[part] = changes if before is None else {**document[part], **changes}
    files[SPEC] = json.dumps(document).encode()


def header(files: Files, file: str, text: bytes, claimed: int | None = None) -> None:
    files[file] = struct.pack("<Q", len(text) if claimed is None else claimed) + text


def tensor(shape: list[int], end: int) -> bytes:
    return json.dumps(
        {"cell.weight_hh_l0": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    ).encode()


BOMBS: dict[str, Callable[[Files], None]] = {
    "terabytes of weights": lambda files: spec(files, "model", hidden=10**9),
    "gigabytes of weights": lambda files: spec(files, "model", hidden=10**5),
    "more than can be counted": lambda files: spec(files, "model", None, kind="gru", hidden=10**9),
    "trials without end": lambda files: spec(files, "record", evaluation={"splits": ["test"],
    "trials": 10**9}),
    "steps without end": lambda files: spec(files, "task", steps=10**9, splits={}),
    "members without end": lambda files: files.update({SPEC: files[SPEC].replace(b'"population": null',
    b'"population": {"members": 100000}')}),
    "a gigabyte of header": lambda files: header(files, WEIGHTS, b"{" + b" " * 100, 2**30),
    "a header of 16 exabytes": lambda files: header(files, WEIGHTS, b"{}", 2**64 - 1),
    "offsets beyond the end": lambda files: header(files, WEIGHTS, tensor([4, 4], 2**40)),
    "a shape beyond all bounds": lambda files: header(files, WEIGHTS, tensor([2**62, 2**62], 64)),
    "nothing, a trillion times": lambda files: header(files, GOLDEN, tensor([10**12, 0, 3], 0)),
    "a header 10,000 deep": lambda files: header(files, WEIGHTS, b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "a record 10,000 deep": lambda files: files.update({RECORD: b"[" * DEEP + b"]" * DEEP}),
    "a spec 10,000 deep": lambda files: files.update({SPEC: b'{"a":' * DEEP + b"1" + b"}" * DEEP}),
    "a record of pickles": lambda files: files.update({RECORD: b"\x80\x04cos\nsystem\n"}),
}  # fmt: skip
USES: tuple[Callable[[CheckpointFolder], object], ...] = (load_network, verify, measure_members)


def sparse(place: Path) -> None:
    """Weights of a terabyte that takes no room on the disk, as the record says."""
    os.truncate(place / WEIGHTS, 2**40)
    document = json.loads((place / RECORD).read_bytes())
    document["files"][WEIGHTS]["size"] = 2**40
    (place / RECORD).write_text(json.dumps(document))


def refused(place: Path) -> str:
    """How the first use of a checkpoint that does not work is refused."""
    for use in USES:
        try:
            use(CheckpointFolder(place))
        except ZooError as problem:
            return f"{type(problem).__name__}: {problem}"
    return ""


def main(root: Path) -> None:
    """Prints, as JSON, how each bomb was refused, and how much memory all of them took."""
    real = checkpoints.contents(checkpoints.checkpoint(root / "real").path)
    for use in USES:  # so that everything is loaded
        use(CheckpointFolder(root / "real"))
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + ROOM, in_use + ROOM))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {}
    for name, spoil in {**BOMBS, "a sparse terabyte": lambda files: None}.items():
        place = root / name.replace(" ", "-")
        place.mkdir()
        files = dict(real)
        spoil(files)
        for file, data in checkpoints.agreeing(files).items():
            (place / file).write_bytes(data)
        if name == "a sparse terabyte":
            sparse(place)
        said[name] = refused(place)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"said": said, "MB": grown // 1024}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert describe(b"").size == 0
    main(Path(sys.argv[1]))
