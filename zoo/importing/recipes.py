"""Tensors made of others, as the recipes of a mapping say."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.errors import ForeignFileError
from zoo.importing.mapping import listed
from zoo.registry import suggest
from zoo.specs.mapping import PieceSpec, RecipeSpec


def cook(recipe: RecipeSpec, found: Mapping[str, Tensor], like: Tensor, what: str) -> Tensor:
    """A tensor made by its recipe, whose shape is still to be checked unless it is a constant."""
    if recipe.constant is not None:
        types = {tensor.dtype for tensor in found.values() if tensor.is_floating_point()}
        dtype = max(types, key=lambda each: each.itemsize, default=torch.float32)
        return torch.full(tuple(like.shape), recipe.constant, dtype=dtype)
    pieces = [_cut(piece, found, what) for piece in recipe.pieces]
    try:
        if recipe.add:
            if len({piece.shape for piece in pieces}) > 1:
                raise RuntimeError("only tensors of one shape are added")
            made = torch.stack(pieces).sum(0)
        else:
            made = torch.cat(pieces, recipe.axis) if recipe.join else pieces[0]
        if recipe.blocks:
            if made.shape[0] % len(recipe.blocks):
                raise RuntimeError(f"{made.shape[0]} rows are not {len(recipe.blocks)} equal blocks")
            parts = made.chunk(len(recipe.blocks))
            made = torch.cat([parts[block] for block in recipe.blocks])
    except (RuntimeError, IndexError, TypeError) as problem:
        shapes = ", ".join(
            f"{piece.tensor} {shape_of(t)}" for piece, t in zip(recipe.pieces, pieces, strict=True)
        )
        raise ForeignFileError(
            f"{what} cannot be made of {shapes}: {str(problem).partition(chr(10))[0]}. Correct its recipe."
        ) from problem
    return made


def _cut(piece: PieceSpec, found: Mapping[str, Tensor], what: str) -> Tensor:
    tensor = found.get(piece.tensor)
    if tensor is None:
        close = suggest(piece.tensor, found)
        raise ForeignFileError(
            f"{what} is to be made of {piece.tensor!r}, which is not in the file.{close} "
            f"It has: {listed(found)}. Correct the mapping."
        )
    if piece.transpose:
        if tensor.ndim != 2:
            raise ForeignFileError(f"{what}: {piece.tensor} {shape_of(tensor)} has no two axes to swap.")
        tensor = tensor.T
    if piece.row is not None:
        if not tensor.ndim or piece.row >= tensor.shape[0]:
            raise ForeignFileError(
                f"{what}: {piece.tensor} {shape_of(tensor)} has no row {piece.row}. Correct the mapping."
            )
        tensor = tensor[piece.row]
    for axis, span in enumerate((piece.rows, piece.columns)):
        if span is not None:
            if axis >= tensor.ndim or span[1] > tensor.shape[axis]:
                raise ForeignFileError(
                    f"{what}: {piece.tensor} {shape_of(tensor)} has no {('rows', 'columns')[axis]} "
                    f"{span[0]} to {span[1]}. Correct the mapping."
                )
            tensor = tensor.narrow(axis, span[0], span[1] - span[0])
    return tensor if piece.scale == 1 else tensor * piece.scale


def shape_of(tensor: Tensor) -> str:
    """As it stands in messages: ``[64, 3]``."""
    return str(list(tensor.shape))
