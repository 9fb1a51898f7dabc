"""Tables of kinds, names and suggestions."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Literal

import pytest

from zoo import registry
from zoo.errors import RegistryError, SpecError
from zoo.registry import BUILTIN, Kind, glob, suggest
from zoo.registry.names import nearest
from zoo.specs.families import ModelSpec
from zoo.specs.loading import parse

NAMES = ["dsa-gru-a", "dsa-gru-b", "dsa-rnn-a", "sine"]


class HereSpec(ModelSpec):
    """A kind of this test."""

    kind: Literal["here"] = "here"
    width: int = 3


HERE = Kind(f"{__name__}:HereSpec", f"{__name__}:HereSpec")
TEXT = """\
spec: experiment/1
name: x
model: {kind: here, width: 5}
task: {kind: sine}
learner: {kind: backprop}
"""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Kinds that a test registers are gone after it."""
    registered = importlib.import_module("zoo.registry.tables")._registered
    yield
    registered.clear()


@pytest.mark.parametrize(("family", "kind"), [(f, k) for f in BUILTIN for k in BUILTIN[f]])
def test_every_kind_that_ships_has_its_spec(family: str, kind: str) -> None:
    found = registry.spec_class(family, kind)
    assert found.family == family
    assert found.model_fields["kind"].default == kind
    assert found.__doc__
    assert found.__module__.startswith(f"zoo.specs.{family}.")
    assert BUILTIN[family][kind].implementation.startswith(
        f"zoo.{family if family != 'analyses' else 'analysis'}."
    )


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("*", NAMES),
        ("sine", ["sine"]),
        ("dsa-*-a", ["dsa-gru-a", "dsa-rnn-a"]),
        (["dsa-gru-*", "sine"], ["dsa-gru-a", "dsa-gru-b", "sine"]),
        (["dsa-*", "!*-b"], ["dsa-gru-a", "dsa-rnn-a"]),
        ("!dsa-*", ["sine"]),
        (["!*"], []),
        ([], NAMES),
        ("DSA-*", []),
        ("dsa-[gr]??-a", ["dsa-gru-a", "dsa-rnn-a"]),
    ],
)
def test_globs(patterns: str | list[str], found: list[str]) -> None:
    assert glob(patterns, NAMES) == found


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("hiden", ["hidden"]),
        ("seed", ["seed"]),
        ("sed", ["seed"]),
        ("valid", ["validate_every"]),
        ("", []),
        ("zzz", []),
        ("x" * 10_000, []),
    ],
)
def test_nearest(name: str, close: list[str]) -> None:
    assert nearest(name, ["hidden", "seed", "steps", "validate_every"]) == close


def test_nearest_of_very_many() -> None:
    many = [f"net-{number:05d}" for number in range(20_000)]
    assert nearest("dsa-rnn-flipflip", [*many, "dsa-rnn-flipflop"]) == ["dsa-rnn-flipflop"]
    assert nearest("net-00042x", many)[0] == "net-00042"
    assert nearest("zzz", many) == []


def test_suggestions() -> None:
    assert suggest("grv", ["gru", "lstm"]) == " Did you mean 'gru'?"
    assert suggest("dsa-gru", NAMES) == " Did you mean 'dsa-gru-a' or 'dsa-gru-b'?"
    assert suggest("zzz", ["gru"]) == ""


def test_unknown_kinds_and_families() -> None:
    with pytest.raises(RegistryError) as caught:
        registry.spec_class("tasks", "flipflop")
    assert str(caught.value) == (
        "there is no task of kind 'flipflop'. Did you mean 'flip-flop'? Known kinds: "
        f"{', '.join(registry.kinds('tasks'))}."
    )
    for call in (registry.kinds, lambda family: registry.spec_class(family, "gru")):
        with pytest.raises(
            RegistryError, match="there is no family of kinds 'modles'; there are models, tasks"
        ):
            call("modles")


def test_a_kind_can_be_registered() -> None:
    with pytest.raises(SpecError, match="there is no model of kind 'here'"):
        parse(TEXT)
    registry.register("models", "here", HERE)
    assert "here" in registry.kinds("models")
    assert registry.spec_class("models", "here") is HereSpec
    assert parse(TEXT).plain()["model"] == {"kind": "here", "width": 5}
    with pytest.raises(
        SpecError, match=r"<text>:3:21: model\.widht: unknown key \(got 5\)\. Did you mean 'width'"
    ):
        parse(TEXT.replace("width", "widht"))


@pytest.mark.parametrize("kind", ["gru", "here"])
def test_a_kind_is_registered_once(kind: str) -> None:
    registry.register("models", "here", HERE)
    with pytest.raises(RegistryError) as caught:
        registry.register("models", kind, Kind("a.b:C", "a.b:D"))
    first = HERE if kind == "here" else BUILTIN["models"]["gru"]
    assert str(caught.value) == (
        f"models kind {kind!r} is registered twice: as {first} and as "
        "Kind(spec='a.b:C', implementation='a.b:D'). Choose another kind name for the second."
    )


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("no.such.module:X", "no.such.module:X cannot be loaded: ModuleNotFoundError: No module named 'no'"),
        (
            "pathlib:Nope",
            "pathlib:Nope cannot be loaded: AttributeError: module 'pathlib' has no attribute 'Nope'",
        ),
        ("pathlib:Path", "pathlib:Path is no spec class of the family models with kind 'mine'"),
        (HERE.spec, f"{HERE.spec} is no spec class of the family models with kind 'mine'"),
        ("nonsense", "nonsense cannot be loaded: ModuleNotFoundError: No module named 'nonsense'"),
    ],
)
def test_a_kind_that_cannot_be_loaded(target: str, why: str) -> None:
    registry.register("models", "mine", Kind(target, target))
    with pytest.raises(RegistryError) as caught:
        registry.spec_class("models", "mine")
    assert str(caught.value) == f"models kind 'mine' is broken: {why}."
    with pytest.raises(SpecError, match=r"<text>:3:9: model\.kind: models kind 'mine' is broken"):
        parse(TEXT.replace("here, width: 5", "mine"))
