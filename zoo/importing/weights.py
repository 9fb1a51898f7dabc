"""Plain tensors out of files of weights, without running anything that is in them."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ZooError, brief
from zoo.importing.files import ForeignFile
from zoo.registry import suggest

NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""Keys under which others keep their weights."""
MAX_ENTRIES = 100_000
MAX_DEPTH = 8
_PLAIN = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.storage", "UntypedStorage"),
    ("torch.serialization", "_get_layout"),
}
"""What a pickle of plain tensors refers to, beside types of numbers and of storages."""
_CALLS = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}


def read_tensors(file: ForeignFile, inside: Sequence[str] = ()) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by name, those in nested mappings by dotted names; and what was left out, or looked into.

    ``inside`` are the keys that lead to them; without, a nest that goes by a usual name is looked into.
    Raises :class:`ForeignFileError`, and :class:`UnsafeFileError` for what would need code to be read.
    """
    tree = _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    tree, notes = _inside(file, tree, inside) if inside else _nest(tree)
    found: dict[str, Tensor] = {}
    for name, value in _flat(file, tree):
        if file.check_name(name) in found:
            file.refuse(f"holds two tensors that would be called {name!r}")
        if isinstance(value, Tensor):
            found[name] = _checked(file, name, value)
        else:
            notes.append(f"{brief(name)} is no tensor but {brief(value)}, and was left out")
    if not found:
        file.refuse("holds no tensors" + (f" inside {'.'.join(inside)}" if inside else ""))
    return found, notes


def _safetensors(file: ForeignFile) -> Any:
    from safetensors.torch import load

    try:
        return load(file.data)
    except Exception as problem:  # the format's own errors, and torch's on an impossible shape or type
        file.refuse(f"is no valid safetensors file: {brief(str(problem), 200)}")


def _torch(file: ForeignFile) -> Any:
    """What ``torch.save`` wrote, looked through before torch is asked to read it."""
    if not file.data.startswith(b"PK\x03\x04"):
        file.unsafe(
            "is a pickle, or of the format of PyTorch before 1.6, and not the archive that torch.save writes"
        )
    try:
        _check_pickle(file, _pickle(file))
        return torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        reason = str(problem).partition("\n")[0]
        file.unsafe(f"holds more than plain tensors: {brief(reason, 200)}")
    except ZooError:
        raise
    except Exception as problem:  # whatever zipfile, pickletools and torch meet in a damaged one
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        file.refuse(f"cannot be read, it is damaged: {brief(reason, 200)}")


def _pickle(file: ForeignFile) -> bytes:
    """The pickle in the archive. Torch compresses nothing, so that no archive holds more than its size."""
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
            file.unsafe("is TorchScript, a program with its weights")
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > len(file.data):
            file.refuse("is an archive that unpacks to more than it is, which torch.save never writes")
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            file.refuse("is an archive, but none that torch.save writes")
        return archive.read(pickles[0])


def _check_pickle(file: ForeignFile, data: bytes) -> None:
    """Refuse a pickle that refers to anything but the parts of plain tensors."""
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in _CALLS:
            file.unsafe(f"holds more than plain tensors (pickle operation {operation.name})")
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            if (module, name) not in _PLAIN and not (module == "torch" and _is_type(name)):
                file.unsafe(f"asks for {brief(f'{module}.{name}')}, which is no part of plain tensors")


def _is_type(name: str) -> bool:
    return name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)


def _inside(file: ForeignFile, tree: Any, keys: Sequence[str]) -> tuple[Any, list[str]]:
    for key in keys:
        has = [str(each) for each in tree] if isinstance(tree, Mapping) else []
        if key not in has:
            listed = f"it has {brief(', '.join(has), 200)}" if has else "there is no mapping to look into"
            file.refuse(f"has no {key!r} to look into: {listed}.{suggest(key, has)}", "Correct 'inside'.")
        tree = tree[key]
    return tree, []


def _nest(tree: Any) -> tuple[Any, list[str]]:
    """What lies under usual keys, where it is clear which."""
    notes = []
    for _ in range(2):
        if not isinstance(tree, Mapping) or any(isinstance(value, Tensor) for value in tree.values()):
            break
        nests = [key for key in NESTS if isinstance(tree.get(key), Mapping)]
        if len(nests) != 1:
            break
        others = [brief(str(key)) for key in tree if key != nests[0]]
        notes.append(
            f"looked into {nests[0]!r}" + (f", and not into {', '.join(others[:8])}" if others else "")
        )
        tree = tree[nests[0]]
    return tree, notes


def _flat(file: ForeignFile, tree: Any) -> Iterator[tuple[str, Any]]:
    """What is in nested mappings, by dotted names, in the order of the file."""
    pending: list[tuple[str, int, Any]] = [("", 0, tree)]
    for _ in range(MAX_ENTRIES):
        if not pending:
            return
        name, depth, value = pending.pop()
        if not isinstance(value, Mapping):
            yield name or "the content", value
        elif depth >= MAX_DEPTH:
            file.refuse(f"is nested more than {MAX_DEPTH} deep")
        else:
            dot = "." if name else ""
            pending += [(f"{name}{dot}{key}", depth + 1, each) for key, each in reversed([*value.items()])]
    file.refuse(f"holds more than {MAX_ENTRIES:,} entries")


def _checked(file: ForeignFile, name: str, tensor: Tensor) -> Tensor:
    """A dense tensor that takes no more memory than was in the file."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        file.refuse(f"holds {brief(name)}, which is no dense tensor")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        file.refuse(f"holds {brief(name)}, which says it is larger than what was stored of it")
    return tensor.detach()
