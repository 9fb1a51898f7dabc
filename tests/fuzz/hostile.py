"""Hostile values, and documents that are real but for one place: steered by bytes, so that any fuzzer can."""

from __future__ import annotations

import copy
import json
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from fuzz.sandbox import PLANTED, SECRET

T = TypeVar("T")
DEEP = 10_000
NAMES = (
    "..", "../../x", "../outside/secret.txt", "/etc/passwd", "//host/x", "a/../../b", "C:\\x", "C:x",
    "a\\..\\b",
    "\\\\host\\share", "CON", "nul.txt", "COM1", "aux.tar.gz", "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0fx",
    "\u2025\u2215x", "a\u202egnp.exe", "e\u0301", "\u00e9", "\u212b", "a\u200bb", "\ufeffx", "a\0b",
    "a\nb", "a b", " a",
    "a.", "a..b", "a--b", "-rf", "~", "~root/x", "$HOME", "%00", "%2e%2e%2f", ".git/config", ".zoo-stage-1/x",
    "record.json", "x.pkl", "a" * 300, "\x1b]0;x\x07\x1b[31m", "\ud800", "*", "lab/net", "file:///etc/passwd",
)  # fmt: skip
"""Path traversal in all its spellings, names that systems read differently, and what terminals act on."""
TEXTS = (
    *NAMES, "", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "https://user:password@hub.test/x",
    "![x](http://evil.example/x.png)", "]]>-->", "---\n", "| a | b |\n|---|", "`" * 40, "<!-- zoo:begin -->",
    "<!-- zoo:end -->", "{}", "{0.__class__}", "%s%n", "${oc.env:HOME}",
    f"!!python/object/apply:{PLANTED}.run []", "&a [*a]",
    "NaN", "1e999", "x" * 20_000, "é" * 400, "\U0001f4a3", "zoo:begin", "\r\nX-Injected: 1",
)  # fmt: skip
SECRETS = (
    f"https://user:{SECRET}@hub.test/x",
    f"https://hub.test/?token={SECRET}",
    SECRET,
    f"hf://{SECRET}/x",
)
NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 10**9, 10**12, 2**53, 2**63 - 1, 2**63, 2**64,
    10**30,
    -(2**63), 0.5, -0.0, 1e308, 5e-324, 1e-9,
)  # fmt: skip
RAW = (
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "9" * 5000,
    "NaN",
    "-Infinity",
    "1e999",
    '"\\ud800"',
)
"""JSON that no object of Python stands for."""
_MARK = "\u2603 here \u2603"


class Choices:
    """Decisions read from bytes; once they are used up, every decision is the first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, below: int) -> int:
        """From 0 to below a number."""
        size = 1 if below <= 256 else 4
        piece = self.data[self.at : self.at + size]
        self.at += size
        return int.from_bytes(piece, "little") % below

    def pick(self, among: Sequence[T]) -> T:
        return among[self.number(len(among))]

    def flip(self) -> bool:
        return bool(self.number(2))

    def rest(self) -> bytes:
        found, self.at = self.data[self.at :], len(self.data)
        return found

    def value(self) -> Any:
        """Something that is probably not what is expected."""
        kind = self.number(5)
        if kind == 0:
            return self.pick((None, True, False, [], {}, [[]], {"": ""}, [None] * 50))
        if kind == 1:
            return self.pick(NUMBERS)
        return self.pick(TEXTS) if kind < 4 else {self.pick(TEXTS): self.pick(NUMBERS)}

    def text(self) -> str:
        """Pieces of hostile texts and whatever bytes are left over."""
        pieces = [self.pick(TEXTS) for _ in range(self.number(4))]
        return "".join(pieces) + self.rest().decode("utf-8", "surrogateescape" if self.flip() else "replace")


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document but the whole."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def spoil(document: Any, choices: Choices) -> bytes:
    """A document as JSON, with one to three of its values replaced, removed, renamed, moved or nested."""
    document, raw = copy.deepcopy(document), ""
    for _ in range(1 + choices.number(3)):
        known = list(places(document))
        if not known:
            break
        *above, last = choices.pick(known)
        parent = document
        for key in above:
            parent = parent[key]
        action = choices.number(8)
        if action == 0:
            del parent[last]
        elif action == 1 and isinstance(parent, dict):
            parent[choices.pick(TEXTS)] = parent.pop(last)
        elif action == 2 and isinstance(parent, dict):
            parent[choices.pick(TEXTS)] = choices.value()
        elif action == 3:
            raw = choices.pick(RAW)
            parent[last] = _MARK
        elif action == 4:
            parent[last] = [parent[last]] * (1 + choices.number(20))
        else:
            parent[last] = choices.value()
    return json.dumps(document).replace(json.dumps(_MARK), raw or "1").encode("utf-8", "surrogatepass")


def splice(data: bytes, choices: Choices) -> bytes:
    """Bytes with some of them cut, repeated, overwritten or replaced by absurd lengths."""
    made = bytearray(data)
    for _ in range(1 + choices.number(4)):
        where = choices.number(len(made) + 1)
        action = choices.number(6)
        if action == 0:
            del made[where:]
        elif action == 1:
            del made[where : where + 1 + choices.number(64)]
        elif action == 2:
            made[where:where] = made[where : where + 1 + choices.number(64)]
        elif action == 3:
            made[where : where + 8] = struct.pack(
                "<Q", choices.pick((0, 1, 2**30, 2**31, 2**40, 2**63, 2**64 - 1))
            )
        elif action == 4:
            made[where : where + 4] = struct.pack("<I", choices.pick((0, 1, 255, 2**16, 2**31, 2**32 - 1)))
        else:
            for at in range(where, min(where + 1 + choices.number(8), len(made))):
                made[at] = choices.number(256)
    return bytes(made)


def tensor_file(data: bytes, choices: Choices) -> bytes:
    """A safetensors file whose header says something else than what follows it."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    action = choices.number(6)
    if action == 0:
        return splice(data, choices)
    if action > 3:
        return _well_formed(header, choices)
    if action == 1:  # offsets that overlap, run backwards or lead far beyond the end
        entries = [entry for entry in header.values() if "data_offsets" in entry]
        offsets = (0, 1, 4, 8, 2**20, 2**31, 2**40, 2**63, -1)
        for entry in entries:
            if choices.flip():
                entry["data_offsets"] = [choices.pick(offsets), choices.pick(offsets)]
            if choices.flip():
                entry["shape"] = [choices.pick(NUMBERS) for _ in range(choices.number(4))]
            if choices.flip():
                entry["dtype"] = choices.pick(("F64", "BF16", "F8_E4M3", "I64", "BOOL", "C64", "X", "F4"))
        text = json.dumps(header).encode()
    else:
        text = spoil(header, choices)
    claimed = choices.pick((len(text),) * 6 + (2**30, 2**63, 0, len(text) + 1))
    return struct.pack("<Q", claimed) + text + data[8 + length :]


def _well_formed(header: dict[str, Any], choices: Choices) -> bytes:
    """A file of which every reader of the format takes all, with other names, shapes and types."""
    sizes = {"F32": 4, "F64": 8, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
    made, end = {}, 0
    for name, entry in header.items():
        shape = list(entry["shape"])
        action = choices.number(6)
        if action == 1:
            name = choices.pick(TEXTS)
        elif action == 2:
            shape = [
                choices.pick((0, 1, 2, 3, 4, 10**6, 10**12, 2**40)) for _ in range(choices.number(5))
            ] + [0]
        elif action == 3:
            shape = [choices.pick((1, 2, 3, 4)) for _ in range(choices.number(5))]
        elif action == 4:
            shape.reverse()
        dtype = choices.pick((entry["dtype"], entry["dtype"], *sizes))
        size = math.prod(shape) * sizes[dtype]
        if name.isprintable() or name.isascii():
            made[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(made).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + bytes([choices.number(256)]) * end
