"""JSON Schemas of the documents, for editors: completion, hover texts, errors while typing.

They are generated from the spec classes with the kinds that ship (``python -m zoo.specs.schema
--write``). An editor sees one file at a time, so they forgive what another file may supply: a
document that composes (``defaults``) and a fragment (no ``name``) need no required keys, a node
without ``kind`` may be a part of one, and a reference ``${…}`` may stand for any single value or
list. Whether a document is valid is decided by loading it.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from zoo import paths
from zoo.specs.base import NAME, Spec
from zoo.specs.derivation import DerivationSpec
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.mapping import MappingSpec
from zoo.specs.record import Record
from zoo.specs.study import PaperSpec, StudySpec

CLASSES: dict[str, type[Spec]] = {
    "experiment": ExperimentSpec,
    "study": StudySpec,
    "paper": PaperSpec,
    "derivation": DerivationSpec,
    "record": Record,
    "mapping": MappingSpec,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON Schema (draft 2020-12)."""
    return {f"{family}.json": _schema(cls) for family, cls in CLASSES.items()}


def write(folder: Path) -> None:
    """Write them all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(_text(schema), encoding="utf-8")


def check(folder: Path) -> list[str]:
    """Names of files that are missing, not up to date, or not ours."""
    wanted = {name: _text(schema) for name, schema in schemas().items()}
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted | there if wanted.get(name) != there.get(name))


def descriptions(cls: type[Spec]) -> dict[str, str]:
    """Field → the string that stands under it in the source of its class, where there is one."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, Spec):
            continue
        body = _classes(base.__module__).get(base.__qualname__) or _class(inspect.getsource(base))
        for field, after in zip(body.body, body.body[1:], strict=False):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
    return {name: text for name, text in found.items() if name in cls.model_fields}


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """The classes at the top of a module by name, as they stand in its source, which is parsed once."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _class(source: str) -> ast.ClassDef:
    """One that stands elsewhere, such as in a function."""
    found = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(found, ast.ClassDef)
    return found


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(cls: type[Spec]) -> dict[str, Any]:
    schema = cls.model_json_schema(schema_generator=_Generator)
    if cls is not Record:
        schema = _composable(_open(schema))
    return {"$schema": DIALECT, **schema, "title": cls.model_fields["spec"].default}


class _Generator(GenerateJsonSchema):
    """With descriptions from the source, without the titles that repeat each key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        result = super().model_schema(schema)
        properties = result.get("properties", {})
        for name, text in descriptions(schema["cls"]).items():
            properties[name]["description"] = text
        if "const" in properties.get("kind", {}):
            result["required"] = list(dict.fromkeys(["kind", *result.get("required", [])]))
        return result


_REFERENCE = {"type": "string", "pattern": r"^\$\{[A-Za-z0-9_.-]+\}$"}


def _open(node: Any) -> Any:
    """A schema that also allows a reference for a single value or list, and a node without its kind."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _opened(key, value) for key, value in node.items()}
    node.pop("discriminator", None)
    if "oneOf" in node:
        node["oneOf"] = [*node["oneOf"], {"type": "object", "not": {"required": ["kind"]}}]
    elif "enum" in node or node.get("pattern") == NAME:
        around = {key: node.pop(key) for key in ("description", "default") if key in node}
        return {**around, "anyOf": [node, dict(_REFERENCE)]}
    elif node.get("type") in ("integer", "number", "boolean", "array"):
        node["type"] = [node["type"], "string"]
        node["pattern"] = _REFERENCE["pattern"]
    return node


def _opened(keyword: str, value: Any) -> Any:
    if keyword in ("default", "enum"):
        return value
    if keyword in ("properties", "$defs"):  # names, not keywords
        return {name: _open(item) for name, item in value.items()}
    return _open(value)


def _composable(schema: dict[str, Any]) -> dict[str, Any]:
    """A document that may build on others, which then supply what it lacks."""
    required = ["spec", *schema.pop("required", [])]
    bases = {
        "type": "array",
        "items": {"type": "string", "pattern": r"\.ya?ml$"},
        "description": "Files that this one builds on, relative to its folder; merged in this order.",
    }
    families = [name for name, field in schema["properties"].items() if "oneOf" in field]
    whole: dict[str, Any] = {"required": required}
    if families:
        whole["properties"] = {name: {"required": ["kind"]} for name in families}
    return {
        **schema,
        "properties": {"defaults": bases, **schema["properties"]},
        "if": {"required": ["name"], "not": {"required": ["defaults"]}},
        "then": whole,
    }


def main() -> int:
    """``--write`` them, or ``--check`` that those that ship are up to date."""
    parser = argparse.ArgumentParser(prog="python -m zoo.specs.schema", description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true")
    choice.add_argument("--check", action="store_true")
    folder = paths.shipped("specs") / "schema"
    if parser.parse_args().write:
        write(folder)
        return 0
    stale = check(folder)
    if stale:
        print(f"not up to date in {folder}: {', '.join(stale)}. Run: python -m zoo.specs.schema --write")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
