"""The one base class of all specs: the policy stated once, the digest, and families of kinds."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from zoo import registry
from zoo.errors import RegistryError

NESTED = "nested"
"""Type of the pydantic error that carries the errors of a spec validated by its kind."""


class Spec(BaseModel):
    """Frozen, strict, complete: unknown keys are refused, nothing is coerced, NaN is no number.

    What a subclass lists in ``cosmetic`` does not change the result and is left out of the digest.
    The string under a field is its description (read by :mod:`zoo.specs.schema`, when asked for).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    cosmetic: ClassVar[frozenset[str]] = frozenset()

    def canonical(self) -> dict[str, Any]:
        """What determines the result, as plain data: no cosmetic fields, no fields at their default.

        Leaving defaults out keeps old digests when a later version adds a field.
        """
        always = {"kind", "spec"}
        return {
            name: _plain(value)
            for name, default in _defaults(type(self)).items()
            if name not in self.cosmetic and ((value := getattr(self, name)) != default or name in always)
        }

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the canonical JSON: the identity of what this spec describes."""
        return hashlib.sha256(canonical_json(self.canonical()).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """The whole spec as JSON types, every default written out."""
        return self.model_dump(mode="json")

    def updated(self, **changes: Any) -> Self:
        """A copy with some fields replaced, validated again."""
        return type(self).model_validate({**dict(self), **changes})


@cache
def _defaults(spec: type[Spec]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in spec.model_fields.items()}


def canonical_json(data: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.canonical()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


class KindSpec(Spec):
    """A spec whose class is chosen by its ``kind``, through the registry.

    A family root (``ModelSpec``) sets ``family``; used as the type of a field it accepts an
    instance, or a mapping whose ``kind`` names any registered class of the family, a plugin's too.
    """

    family: ClassVar[str]
    kind: str

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if "family" in cls.__dict__:
            return core_schema.no_info_plain_validator_function(cls._by_kind)
        return handler(source)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        if "family" not in cls.__dict__:
            return handler(schema)
        classes = [registry.spec_class(cls.family, kind) for kind in sorted(registry.BUILTIN[cls.family])]
        return {"oneOf": [handler(found.__pydantic_core_schema__) for found in classes]}

    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("kind", "should be a mapping with a 'kind'")
        kind = value.get("kind")
        if not isinstance(kind, str):
            known = ", ".join(registry.kinds(cls.family))
            raise PydanticCustomError("kind", "needs a 'kind', one of: {known}", {"known": known})
        try:
            found = registry.spec_class(cls.family, kind)
        except RegistryError as problem:
            inner = [{"loc": ("kind",), "msg": str(problem), "type": "kind", "input": kind}]
            raise PydanticCustomError(NESTED, "{text}", {"text": str(problem), "errors": inner}) from problem
        try:
            return found.model_validate(value)
        except ValidationError as problem:
            raise nested(problem, found) from problem


def nested(problem: ValidationError, model: type[Spec], *path: str | int) -> PydanticCustomError:
    """The errors of a spec validated inside a validator, at a path below the value that it validates."""
    errors = problem.errors(include_url=False)
    places = [".".join(map(str, (*path, *error["loc"]))) for error in errors]
    messages = [error["msg"] for error in errors]
    text = "; ".join(f"{place}: {m}" if place else m for place, m in zip(places, messages, strict=True))
    context: dict[str, Any] = {"text": text, "errors": errors, "model": model}
    if path:
        outer = {"loc": path, "msg": text, "type": NESTED, "input": None, "ctx": context}
        context = {"text": text, "errors": [outer]}
    return PydanticCustomError(NESTED, "{text}", context)


def located(message: str, *path: str | int) -> PydanticCustomError:
    """An error that a validator of the whole finds at a path below it."""
    text = f"{'.'.join(map(str, path))}: {message}"
    inner = [{"loc": path, "msg": message, "type": "located", "input": None}]
    return PydanticCustomError(NESTED, "{text}", {"text": text, "errors": inner})


Count = Annotated[int, Field(ge=1, le=10**9)]
"""A positive number of things, bounded so that a typo cannot ask for terabytes."""
Several = Annotated[int, Field(ge=2, le=10**9)]
"""The same of two or more: of time steps, where one alone would show nothing."""
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
NAME = r"^[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?$"
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
Name = Annotated[str, Field(pattern=NAME)]
"""Lower-case letters, digits, dots, dashes and underscores; the same rule as on the Hub."""
Text = Annotated[str, Field(max_length=10_000, pattern=TEXT)]
Line = Annotated[str, Field(max_length=300, pattern=LINE)]
Lines = Annotated[tuple[Line, ...], Field(strict=False)]
