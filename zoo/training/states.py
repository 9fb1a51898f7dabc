"""States to resume from, as they travel: tensors in safetensors and the rest in JSON, so that no pickle does.

On its own disk a run keeps Lightning's file, ``state.ckpt``. What another machine is to go on from is that
file with every value as it was, bit by bit.
"""

from __future__ import annotations

import io
import json
import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.folder import safetensors_bytes
from zoo.errors import CheckpointError, TrainingError

TREE = "tree"
"""The tensor whose bytes are the JSON. The others are called by their numbers."""
DEEPEST = 64


def portable(state: bytes) -> bytes:
    """The content of a ``state.ckpt`` as safetensors.

    Raises :class:`TrainingError` for what has no such form, as states of a plugin may not.
    """
    try:
        loaded = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        tensors: dict[str, Tensor] = {}
        text = json.dumps(_written(loaded, tensors))
        tree = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        return safetensors_bytes({TREE: tree, **tensors})
    except (CheckpointError, TypeError, RecursionError, RuntimeError, OSError) as problem:
        raise TrainingError(
            f"this state cannot travel to another machine: {problem}. It stays on the disk of its worker."
        ) from problem
    except Exception as problem:  # what the reader of pickles raises
        raise TrainingError(f"this state cannot be read: {problem}. Training writes another.") from problem


def native(data: bytes) -> bytes:
    """The content of a ``state.ckpt`` from what :func:`portable` gave. Raises :class:`TrainingError`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
        tree = json.loads(bytes(tensors.pop(TREE).numpy()))
        state = _read(tree, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, RuntimeError) as problem:
        raise TrainingError(
            f"a state came damaged: {type(problem).__name__}: {problem}. Remove it, and train anew."
        ) from problem
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _written(node: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for a part of a state: plain values as they are, all else as ``[kind, …]``."""
    if node is None or type(node) in (bool, int, str):
        return node
    if type(node) is float:
        return node if math.isfinite(node) else ["float", repr(node)]
    if isinstance(node, Tensor):
        name = str(len(tensors))
        tensors[name] = torch.view_as_real(node) if node.is_complex() else node
        return ["complex" if node.is_complex() else "tensor", name]
    if type(node) in (dict, OrderedDict):
        pairs = [[_written(key, tensors), _written(value, tensors)] for key, value in node.items()]
        return ["ordered" if type(node) is OrderedDict else "dict", pairs]
    if type(node) in (list, tuple, torch.Size):
        return ["list" if type(node) is list else "tuple", [_written(each, tensors) for each in node]]
    raise TypeError(f"it has a {type(node).__name__}")


def _read(node: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    if not isinstance(node, list):
        return node
    kind, content = node
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if kind == "float":
        return float(content)
    if kind in ("tensor", "complex"):
        return torch.view_as_complex(tensors[content]) if kind == "complex" else tensors[content]
    if kind in ("dict", "ordered"):
        pairs = [[_read(each, tensors, depth + 1) for each in pair] for pair in content]
        return dict(pairs) if kind == "dict" else OrderedDict(pairs)
    if kind in ("list", "tuple"):
        found = [_read(each, tensors, depth + 1) for each in content]
        return found if kind == "list" else tuple(found)
    raise ValueError(f"it has a {str(kind)[:40]}")
