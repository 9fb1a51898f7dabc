"""What sequence models share: an encoder of the input, layers of one width, and a readout."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zoo.specs.base import Count
from zoo.specs.families import ModelSpec


class SequenceSpec(ModelSpec):
    """A linear encoder, layers that hand on a stream of one width, and a readout of what the last gives."""

    width: Count = 32
    """Channels of the stream."""
    layers: Annotated[int, Field(ge=1, le=100)] = 1
    readout: Annotated[tuple[Count, ...], Field(strict=False, max_length=100)] = ()
    """Units of the hidden layers (GELU) of the readout; without any, it is linear. A layer normalisation
    precedes it."""
