"""From a spec to YAML text that reads back as the same spec."""

from __future__ import annotations

import re
from typing import Any

import yaml

from zoo.specs import reading
from zoo.specs.base import KindSpec, Spec

WIDTH = 100


def to_yaml(spec: Spec, full: bool = False) -> str:
    """A document, with the line by which editors find the schema.

    Without ``full`` it holds what differs from the defaults (and kinds always), otherwise everything.
    """
    family = str(getattr(spec, "spec", "")).partition("/")[0]
    editor = f"# yaml-language-server: $schema=../schema/{family}.json\n" if family else ""
    return editor + dump(_escaped(_written(spec, full)))


def dump(data: dict[str, Any]) -> str:
    """Plain data as YAML: short lists and mappings on one line, numbers that read back equal."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH))


def _written(value: Any, full: bool) -> Any:
    """Plain data of a value, kinds first and nested values last."""
    if isinstance(value, Spec):
        kept = {}
        for name, field in type(value).model_fields.items():
            item = getattr(value, name)
            if full or name in ("kind", "spec") or item != field.get_default(call_default_factory=True):
                kept[name] = _written(item, full)
        if isinstance(value, KindSpec):
            kept = dict(sorted(kept.items(), key=lambda item: (item[0] != "kind", isinstance(item[1], dict))))
        return kept
    if isinstance(value, dict):
        return {key: _written(item, full) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_written(item, full) for item in value]
    return value


def _escaped(value: Any) -> Any:
    """The same, with ``${`` written so that it is read as these characters and no reference."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes whatever the reader, or a reader of YAML 1.1, would not take for text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists are indented below their key


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    if "e" in text and "." not in text:  # 1e-05 is text to readers of YAML 1.1
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value.rstrip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_short(value))


def _mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=_short(value))


def _short(value: Any) -> bool:
    """Whether a list or mapping holds single values only and fits on a line."""
    items = value.values() if isinstance(value, dict) else value
    nested = any(isinstance(item, dict | list) and item for item in items)
    return not nested and len(repr(value)) <= WIDTH - 30


_Dumper.add_representer(float, _number)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(dict, _mapping)
for _pattern in (reading.FLOAT, reading.LEADING_ZERO):
    _Dumper.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(rf"(?:{_pattern.pattern})$"), list("-+.0123456789")
    )
