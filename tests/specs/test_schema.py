"""The JSON Schemas: up to date, and agreeing with the loader on what is valid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zoo import paths
from zoo.registry import BUILTIN
from zoo.specs import reading, schema
from zoo.specs.experiment import TrainSpec
from zoo.specs.loading import parse
from zoo.specs.models.recurrent import RateSpec
from zoo.specs.writing import to_yaml

SPECS = paths.shipped("specs")
FILES = sorted(path for path in SPECS.glob("*/*.yaml"))
SCHEMAS = schema.schemas()
HEAD = "spec: experiment/1\nname: x\nmodel: {kind: gru}\ntask: {kind: sine}\nlearner: {kind: backprop}\n"


def complaints(data: dict[str, Any]) -> list[str]:
    family = data["spec"].partition("/")[0]
    return [error.message for error in Draft202012Validator(SCHEMAS[f"{family}.json"]).iter_errors(data)]


def test_those_that_ship_are_up_to_date() -> None:
    assert schema.check(SPECS / "schema") == [], "run: python -m zoo.specs.schema --write"


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_that_ships_is_valid(path: Path) -> None:
    text = path.read_text()
    data = reading.read(text).data
    assert complaints(data) == []
    family = data["spec"].partition("/")[0]
    assert text.startswith(f"# yaml-language-server: $schema=../schema/{family}.json\n")
    if not path.name.startswith("_"):
        for full in (False, True):
            assert complaints(reading.read(to_yaml(parse(text, base=path.parent), full)).data) == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "train: {steps: '${model.hidden}'}\n",
        HEAD + "train: {precision: '${tags.0}'}\npaper: ${name}\ntags: ${x}\n",
        "defaults: [_base.yaml]\nspec: experiment/1\nname: y\nlearner: {optimizer: {lr: 1e-2}}\n",
        "spec: experiment/1\ntrain: {steps: 5}\n",  # a fragment
    ],
)
def test_parts_and_references_are_valid_in_an_editor(text: str) -> None:
    assert complaints(reading.read(text).data) == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "trian: {}\n",
        HEAD + "train: {stpes: 5}\n",
        HEAD + "train: {steps: five}\n",
        HEAD + "train: {steps: -5}\n",
        HEAD + "paper: Not A Name\n",
        HEAD.replace("gru", "gruu"),
        HEAD.replace("kind: gru", "kind: gru, tau: 1.0"),
        HEAD.replace("kind: gru", "hidden: 5"),
        HEAD.replace("backprop", "backprop, optimizer: {kind: adamm}"),
        HEAD.replace("task: {kind: sine}\n", ""),
        "defaults: _base.yaml\n" + HEAD,
    ],
)
def test_mistakes_are_found_while_typing(text: str) -> None:
    assert complaints(reading.read(text).data)


def test_every_kind_is_known() -> None:
    text = str(SCHEMAS)
    for family in BUILTIN:
        for kind in BUILTIN[family]:
            assert f"'const': '{kind}'" in text


def test_descriptions_come_from_the_source() -> None:
    assert schema.descriptions(TrainSpec)["seed"] == "Of the initial weights, the data stream and the noise."
    assert schema.descriptions(RateSpec)["hidden"] == "Units in the hidden layer."  # inherited
    seed = SCHEMAS["experiment.json"]["$defs"]["TrainSpec"]["properties"]["seed"]
    assert seed["description"] == "Of the initial weights, the data stream and the noise."


def test_stale_files_are_named(tmp_path: Path) -> None:
    assert schema.check(tmp_path) == [
        "derivation.json",
        "experiment.json",
        "mapping.json",
        "paper.json",
        "record.json",
        "study.json",
    ]
    schema.write(tmp_path)
    assert schema.check(tmp_path) == []
    (tmp_path / "study.json").write_text("{}\n")
    (tmp_path / "model.json").write_text("{}\n")
    assert schema.check(tmp_path) == ["model.json", "study.json"]


def test_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zoo.specs.schema", "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
