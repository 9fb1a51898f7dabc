"""Tensors of a file as those of a model: all that is wrong said at once, and a mapping to begin with."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ForeignFileError
from zoo.importing.mapping import rename, strip
from zoo.importing.recipes import cook, shape_of
from zoo.registry import suggest
from zoo.specs.mapping import MappingSpec

PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "model.", "net.", "network.")
"""What wrappers put before names: taken off without being asked, where all names begin so."""
MOST = 24
"""Lines in a message."""


@dataclass(frozen=True)
class Fitted:
    """Tensors that fit a model."""

    tensors: Mapping[str, Tensor]
    table: Mapping[str, str]
    """Our name → what it was made of, in words."""
    left_out: tuple[str, ...] = ()
    """Names of the file that a rule says to leave out."""


def fit(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], mapping: MappingSpec | None, where: str
) -> Fitted:
    """The tensors of a file as those of a model, of which ``expected`` has names, shapes and types.

    Without a mapping, names must be ours, but for the prefixes of wrappers. Raises
    :class:`ForeignFileError` with everything that does not fit, and a mapping to begin with.
    """
    rules = mapping or MappingSpec(strip=_wrappers(found))
    stripped = strip(found, rules.strip, where)
    used = {piece.tensor for recipe in rules.tensors.values() for piece in recipe.pieces}
    renamed, left_out = rename([name for name in stripped if name not in used], rules, where)
    twice = [ours for ours in renamed if ours in rules.tensors]
    if twice:
        raise ForeignFileError(
            f"{where}: {twice[0]!r} is made by a recipe and is {renamed[twice[0]]!r} renamed. "
            "Keep one of the two in the mapping."
        )
    made = {ours: stripped[theirs] for ours, theirs in renamed.items()}
    for ours, recipe in rules.tensors.items():
        if ours in expected:
            made[ours] = cook(recipe, stripped, expected[ours], f"{where}: {ours}")
    if wrong := [*_mistakes(made, expected, renamed), *_unknown(rules, expected)]:
        listed = "\n".join(f"  {line}" for line in wrong[:MOST])
        more = f"\n  and {len(wrong) - MOST} more" if wrong[MOST:] else ""
        raise ForeignFileError(
            f"{where} does not fit the model of the spec:\n{listed}{more}\nWrite a mapping and give it with "
            f"--map. It could begin:\n{template(stripped, expected, rules.strip)}"
        )
    typed = {name: _typed(made[name], expected[name], rules.dtype, f"{where}: {name}") for name in expected}
    _one_type(typed, where)
    table = {name: str(rules.tensors.get(name) or renamed[name]) for name in expected}
    return Fitted(typed, table, left_out)


def _mistakes(
    made: Mapping[str, Tensor], expected: Mapping[str, Tensor], renamed: Mapping[str, str]
) -> Iterator[str]:
    """What is missing, too much, and of another shape."""
    missing = [name for name in expected if name not in made]
    yield from (f"missing {name} {shape_of(expected[name])}" for name in missing)
    for name, tensor in made.items():
        if name not in expected:
            theirs = "" if renamed[name] == name else f" (their {renamed[name]})"
            yield f"unexpected {name} {shape_of(tensor)}{theirs}{suggest(name, missing)}"
        elif tensor.shape != expected[name].shape:
            yield f"{name} is {shape_of(tensor)} rather than {shape_of(expected[name])}"


def _unknown(rules: MappingSpec, expected: Mapping[str, Tensor]) -> Iterator[str]:
    for name in rules.tensors:
        if name not in expected:
            yield f"the mapping makes {name}, which the model does not have.{suggest(name, expected)}"


def template(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefixes: Sequence[str] = ()
) -> str:
    """A mapping to begin with: for each of our tensors the likeliest of theirs, by shape and then by name."""
    lines, free = ["spec: mapping/1"], dict(found)
    if prefixes:
        lines.append(f"strip: [{', '.join(prefixes)}]")
    lines.append("tensors:")
    for name, wanted in expected.items():
        for shape, more in ((wanted.shape, ""), (wanted.shape[::-1], ", transpose: true")):
            alike = [each for each, tensor in free.items() if tensor.shape == shape]
            if alike:
                best = max(alike, key=lambda each: difflib.SequenceMatcher(None, each, name).ratio())
                del free[best]
                lines.append(f"  {name}: {{tensor: {_quoted(best)}{more}}}  # {shape_of(wanted)}, a guess")
                break
        else:
            lines.append(f"  {name}: {{tensor: FILL-IN}}  # {shape_of(wanted)}: nothing left of this shape")
    if free:
        lines += [
            "rename:",
            *(f"  {_quoted(each)}: null  # left out, {shape_of(free[each])}" for each in free),
        ]
    return "\n".join(lines if len(lines) < 200 else [*lines[:200], "  # …"])


def _wrappers(names: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Prefixes of wrappers that all names have."""
    found: list[str] = []
    rest = list(names)
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) and n != p for n in rest)), ""):
        found.append(prefix)
        rest = [name.removeprefix(prefix) for name in rest]
    return tuple(found)


def _typed(tensor: Tensor, like: Tensor, dtype: str | None, what: str) -> Tensor:
    """A tensor of finite numbers of the kind that the model has there."""
    if like.is_floating_point():
        right = tensor.is_floating_point() and tensor.element_size() > 1
        wanted = getattr(torch, dtype) if dtype else tensor.dtype
    else:
        right, wanted = tensor.dtype == like.dtype, like.dtype
    if not right:
        raise ForeignFileError(
            f"{what} has the type {_type(tensor)}, and the model has {_type(like)} there. "
            "Save it as that, or make it of another tensor."
        )
    if not bool(torch.isfinite(tensor).all()):
        count = int((~torch.isfinite(tensor)).sum())
        raise ForeignFileError(
            f"{what} has {count} NaN or infinite values among its {tensor.numel()}. "
            "Such a network computes nothing; take weights from before it diverged."
        )
    made = tensor.to(wanted)
    if not bool(torch.isfinite(made).all()):
        raise ForeignFileError(f"{what} has values too large for {dtype}. Leave out 'dtype'.")
    return made


def _one_type(tensors: Mapping[str, Tensor], where: str) -> None:
    types = {_type(tensor): name for name, tensor in tensors.items() if tensor.is_floating_point()}
    if len(types) > 1:
        listed = ", ".join(f"{name} is {kind}" for kind, name in types.items())
        raise ForeignFileError(
            f"{where} has numbers of several types: {listed}. Say in a mapping which all should become, "
            "for example dtype: float32."
        )


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
