"""The model-index of a card: what the Hugging Face client reads as evaluation results, and nothing looser."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zoo.errors import brief

Word = Annotated[str, Field(min_length=1, max_length=1000)]


class _Part(BaseModel):
    """Other keys are the Hub's business."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Task(_Part):
    type: Word
    name: Word | None = None


class Dataset(_Part):
    type: Word
    name: Word
    split: Word | None = None


class Source(_Part):
    url: Word
    name: Word | None = None


class Metric(_Part):
    type: Word
    value: float | Word
    name: Word | None = None


class Result(_Part):
    task: Task
    dataset: Dataset
    metrics: list[Metric]
    source: Source | None = None


class Model(_Part):
    name: Word
    results: list[Result]


Numbers = dict[tuple[str, str], float | str]
"""Split and name of a metric → its value."""
_INDEX = TypeAdapter(list[Model])


def read(index: Any) -> list[Model]:
    """A model-index as it stands in front matter. Raises :class:`ValueError` with what is wrong first."""
    try:
        return _INDEX.validate_python(index)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"][:8]))
        raise ValueError(f"{place or 'it'}: {first['msg']}, and it is {brief(first['input'])}") from problem


def numbers(results: list[Result]) -> Numbers:
    """Every number in some results; one without a name goes by its type."""
    return {
        (result.dataset.split or "", metric.name or metric.type): metric.value
        for result in results
        for metric in result.metrics
    }
