"""Validation errors as problems that a person can act on: one a mistake, with path and place."""

from __future__ import annotations

import contextlib
import copy
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from zoo import registry
from zoo.errors import Problem, RegistryError, SpecError, brief
from zoo.registry.names import nearest, suggest
from zoo.specs import base
from zoo.specs.reading import Path, dotted

MOST = 20
"""Problems listed of one document."""

Model = TypeVar("Model", bound=BaseModel)


def validate(cls: type[Model], data: Any, where: Callable[[Path], str] = lambda path: "") -> Model:
    """An instance of a spec class. ``where`` gives the place of a path, for example ``file:3:1``.

    Raises :class:`SpecError` with a problem for each mistake.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise SpecError(explain(error, cls, where)) from None


def explain(
    error: ValidationError, cls: type[BaseModel], where: Callable[[Path], str] = lambda path: ""
) -> list[Problem]:
    """The mistakes behind a validation error of ``cls``, in the order of the document's class."""
    found = list(_flatten(error.errors(include_url=False), cls, ()))
    mistakes = _merged(_without_echoes(found[: 5 * MOST]))  # the rest is only counted
    listed = []
    for path, kind, message, _ in mistakes[:MOST]:
        listed.append(Problem(message, dotted(path), where(path[:-1] if kind == "missing" else path)))
    more = len(mistakes) + len(found[5 * MOST :]) - MOST
    return listed if more <= 0 else [*listed, Problem(f"and {more} more problems", place=where(()))]


def default_at(cls: type[BaseModel], data: Any, path: Path) -> Any:
    """The default of the field at a path of a document, as plain data; ``{}`` where there is none.

    ``data`` say which kinds the nodes above it are of.
    """
    owner: Any = cls
    for key in path[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
        owner = _class_of(_into(owner, key)[0], data)
    field = owner.model_fields.get(path[-1]) if _is_model(owner) else None
    default = None if field is None or field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        return [item.plain() if isinstance(item, base.Spec) else item for item in default]
    return default.plain() if isinstance(default, base.Spec) else copy.deepcopy(default) if default else {}


def _class_of(annotation: Any, data: Any) -> Any:
    """The class that data of this type will be validated by."""
    candidates = _members(_bare(annotation)) or [_bare(annotation)]
    kind = data.get("kind") if isinstance(data, dict) else None
    if _is_model(candidates[0]) and "family" in candidates[0].__dict__ and isinstance(kind, str):
        with contextlib.suppress(RegistryError):
            return registry.spec_class(candidates[0].family, kind)
    return candidates[0] if len(candidates) == 1 else next((c for c in candidates if kind in _tags(c)), Any)


class _Mistake(NamedTuple):
    path: Path
    kind: str
    """The type that pydantic gives it."""
    message: str
    keys: tuple[str, ...] = ()
    """For an unknown key: the keys that its place has."""


def _flatten(errors: Iterable[Any], cls: Any, prefix: Path) -> Iterator[_Mistake]:
    """Mistakes with the path in the document, those inside a spec that was validated by its kind too."""
    for error in errors:
        path, annotation, owner = _locate(cls, error["loc"])
        path, kind, context = (*prefix, *path), error["type"], error.get("ctx", {})
        if kind == base.NESTED:
            yield from _flatten(context["errors"], context.get("model", Any), path)
        elif kind == "too_short" and len(error["input"]) >= context["min_length"]:
            continue  # long enough but for items that are wrong, which have errors of their own
        elif kind == "extra_forbidden":
            keys = tuple(owner.model_fields) if _is_model(owner) else ()
            yield _Mistake(path, kind, f"unknown key (got {_shown(error['input'])}).", keys)
        elif kind == "union_tag_invalid":
            known, given = _tags(annotation), context["tag"]
            message = f"should be one of {', '.join(known)} (got {brief(given)}).{suggest(given, known)}"
            yield _Mistake((*path, "kind"), kind, message)
        elif kind == "union_tag_not_found":
            yield _Mistake(path, kind, f"needs a 'kind', one of: {', '.join(_tags(annotation))}")
        elif kind in ("literal_error", "enum"):
            known = [str(choice) for choice in _choices(annotation)] or [context.get("expected", "")]
            guess = suggest(error["input"], known) if isinstance(error["input"], str) else ""
            message = f"should be one of {', '.join(known)} (got {_shown(error['input'])}).{guess}"
            yield _Mistake(path, kind, message)
        else:
            yield _Mistake(path, kind, _message(error, context))


def _without_echoes(mistakes: list[_Mistake]) -> list[_Mistake]:
    """Unknown keys with what was meant; a misspelt required key is not also missing."""
    missing = {mistake.path for mistake in mistakes if mistake.kind == "missing"}
    result: list[_Mistake] = []
    explained: set[Path] = set()
    for mistake in mistakes:
        if mistake.kind == "extra_forbidden":
            parent, key = mistake.path[:-1], str(mistake.path[-1])
            wanted = nearest(key, [str(path[-1]) for path in missing - explained if path[:-1] == parent], 1)
            explained |= {(*parent, name) for name in wanted}
            known = f" Known keys: {', '.join(mistake.keys)}." if mistake.keys else ""
            mistake = mistake._replace(message=mistake.message + suggest(key, wanted or mistake.keys) + known)
        result.append(mistake)
    return [mistake for mistake in result if not (mistake.kind == "missing" and mistake.path in explained)]


def _merged(mistakes: list[_Mistake]) -> list[_Mistake]:
    """One mistake a path and kind: a value that fits no member of a union is wrong once."""
    found: dict[Path, _Mistake] = {}
    for mistake in mistakes:
        before = found.get(mistake.path)
        if before is None:
            found[mistake.path] = mistake
        elif mistake.message not in before.message:
            both = f"{before.message.rstrip('.')}; or {mistake.message}"
            found[mistake.path] = before._replace(message=both)
    return list(found.values())


_PLAINLY = {
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping with a 'kind'",
    "finite_number": "should be a finite number",
}
_PATTERNS = {
    base.NAME: "should be a name: at most 96 lower-case letters, digits, dots, dashes and underscores",
    base.LINE: "should be one line of text",
    base.TEXT: "should be text without control characters",
}
_AS_IT_IS = ("kind", "located")
"""Types of errors whose message is ours and needs no value."""


def _message(error: Any, context: dict[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "is required"
    if kind in _AS_IT_IS:
        return str(error["msg"])
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", error["msg"]))
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        message = _PATTERNS[context["pattern"]]
    elif kind in ("too_short", "too_long"):
        bound = f"least {context['min_length']}" if kind == "too_short" else f"most {context['max_length']}"
        return f"should have at {bound} items, not {len(error['input'])}"
    else:
        message = _PLAINLY.get(kind) or error["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{message} (got {_shown(error['input'])})"


def _shown(value: Any) -> str:
    """A value in YAML's words."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return brief(value)


def _locate(cls: Any, loc: tuple[str | int, ...]) -> tuple[Path, Any, Any]:
    """Path in the document, type of what is there, and of what holds it, for an error of a class.

    The location that pydantic gives also names the members of unions; those are no keys.
    """
    path: list[str | int] = []
    annotation, owner = cls, cls
    for item in loc:
        if item == "[key]":
            continue
        annotation, owner, is_key = _into(annotation, item)
        if is_key:
            path.append(item)
    return tuple(path), annotation, owner


def _into(annotation: Any, item: str | int) -> tuple[Any, Any, bool]:
    """One step down: the type there, the type that holds it, and whether the step is a key."""
    annotation = _bare(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if members := _members(annotation):
        if len(members) == 1:
            return _into(members[0], item)
        member = next((m for m in members if item in (*_tags(m), getattr(m, "__name__", ""))), Any)
        return member, annotation, False
    if _is_model(annotation):
        field = annotation.model_fields.get(item)
        return (field.annotation if field else Any), annotation, True
    if origin is dict:
        return args[1], annotation, True
    if origin in (tuple, list):
        fixed = origin is tuple and Ellipsis not in args and isinstance(item, int) and item < len(args)
        return args[item if fixed else 0], annotation, True  # type: ignore[index]
    return Any, annotation, True


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _members(annotation: Any) -> list[Any]:
    """Members of a union, without none."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    return [_bare(member) for member in get_args(annotation) if member is not types.NoneType]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _choices(annotation: Any) -> list[Any]:
    """What a literal allows, ``null`` too where the type does."""
    annotation = _bare(annotation)
    if members := _members(annotation):
        nothing = ["null"] if types.NoneType in get_args(annotation) else []
        return [choice for member in members for choice in _choices(member)] + nothing
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def _tags(annotation: Any) -> list[str]:
    """Kinds of the classes of a union."""
    members = _members(_bare(annotation)) or [_bare(annotation)]
    if len(members) == 1 and members[0] is not annotation:  # a union that may be left out
        return _tags(members[0])
    fields = [m.model_fields["kind"] for m in members if _is_model(m) and "kind" in m.model_fields]
    return [kind for field in fields for kind in _choices(field.annotation)]
