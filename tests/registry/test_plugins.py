"""Kinds from other distributions, really installed: found, used, and no harm where they are broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "plugins"
ROOT = SOURCES.parents[1]
TEXT = """\
spec: experiment/1
name: x
model: {kind: leaky-integrator, units: 5}
task: {kind: flip-flop, bits: 2}
learner: {kind: backprop}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with both plugins, built and installed by pip."""
    folder = tmp_path_factory.mktemp("plugins")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    command += [
        "--no-index",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--target",
        str(folder),
    ]
    done = subprocess.run(
        [*command, str(SOURCES / "healthy"), str(SOURCES / "broken")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(installed: Path, code: str, text: str = TEXT) -> Any:
    """What ``result`` is after the code, in a process that has the plugins; ``text`` is its input."""
    begin = "import json, sys\nfrom zoo import registry\nfrom zoo.errors import ZooError\n"
    begin += "from zoo.specs.loading import parse\ntext = sys.stdin.read()\n"
    path = os.pathsep.join([str(installed), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{begin}{code}\nprint(json.dumps(result))"],
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_healthy_plugin_is_listed_without_being_loaded(installed: Path) -> None:
    code = "result = [registry.kinds('models'), [m for m in sys.modules if m.startswith('zoo_')]]"
    kinds, loaded = run(installed, code)
    assert {"leaky-integrator", "gru", "half"} <= set(kinds)
    assert loaded == []


def test_its_kind_is_declared_like_ours(installed: Path) -> None:
    code = """
from zoo.specs.writing import to_yaml
spec = parse(text)
assert parse(to_yaml(spec, full=True)) == spec
result = [spec.plain()["model"], len(spec.digest()), "torch" in sys.modules]
"""
    assert run(installed, code) == [{"kind": "leaky-integrator", "units": 5, "leak": 0.1}, 64, False]


def test_a_mistake_in_it_is_told_like_one_in_ours(installed: Path) -> None:
    code = """
try:
    parse(text)
except ZooError as problem:
    result = str(problem)
"""
    message = run(installed, code, TEXT.replace("units", "unitz"))
    assert message == (
        "<text>:3:33: model.unitz: unknown key (got 5). Did you mean 'units'? Known keys: kind, units, leak."
    )
    message = run(installed, code, TEXT.replace("leaky-integrator", "leaky-integratr"))
    assert "Did you mean 'leaky-integrator'?" in message


def test_it_is_built_like_ours(installed: Path) -> None:
    code = """
import warnings
warnings.simplefilter("ignore")  # of libraries, as they are imported
learner, _ = registry.resolve(parse(text))
x = learner.network.task.batch("test", 0, 0, 3).x
result = list(learner.network.model(x).states["h"].shape)[::2]
"""
    assert run(installed, code) == [3, 5]


def test_broken_plugins_say_why_and_hide_nothing(installed: Path) -> None:
    code = "result = [[p.family, p.kind, p.distribution, p.error] for p in registry.plugins(load=True)]"
    errors = {f"{family}.{kind}": error for family, kind, _, error in run(installed, code)}
    start = "the plugin 'zoo-broken', which offers models kind "
    end = " Mend or uninstall it; everything else keeps working."
    wrong = "zoo.specs.models.recurrent:GRUSpec is no spec class of the family models with kind 'other-kind'"
    assert errors == {
        "models.leaky-integrator": "",
        "models.raises": f"{start}'raises', is broken: RuntimeError: out of order.{end}",
        "models.quits": f"{start}'quits', is broken: SystemExit: goodbye.{end}",
        "models.nowhere": (
            f"{start}'nowhere', is broken: ModuleNotFoundError: No module named 'zoo_broken.nowhere'.{end}"
        ),
        "models.no-kind": f"{start}'no-kind', is broken: zoo_broken:NO_KIND is no zoo.registry.Kind.{end}",
        "models.no-spec": (
            f"{start}'no-spec', is broken: pathlib:Path is no spec class of the family models "
            f"with kind 'no-spec'.{end}"
        ),
        "models.other-kind": f"{start}'other-kind', is broken: {wrong}.{end}",
        "models.lacks-a-library": (
            f"{start}'lacks-a-library', is broken: zoo_broken.lacks:Spec cannot be loaded: "
            f"ModuleNotFoundError: No module named 'a_library_that_is_not_installed'.{end}"
        ),
        "models.half": (
            f"{start}'half', is broken: zoo_broken.raises:Model cannot be loaded: "
            f"RuntimeError: out of order.{end}"
        ),
        "models.gru": "models kind 'gru' is already taken by the zoo itself",
        "sculptures.bust": (
            "entry point 'sculptures.bust' should be named FAMILY.KIND with a family of "
            "models, tasks, learners, analyses, operations"
        ),
        "nameless.": (
            "entry point 'nameless' should be named FAMILY.KIND with a family of "
            "models, tasks, learners, analyses, operations"
        ),
    }


def test_a_broken_kind_in_a_spec_is_one_error_with_its_place(installed: Path) -> None:
    code = """
try:
    parse(text)
except ZooError as problem:
    result = [type(problem).__name__, str(problem)]
"""
    name, message = run(installed, code, TEXT.replace("leaky-integrator", "raises"))
    assert name == "SpecError"
    assert message.startswith(
        "<text>:3:9: model.kind: the plugin 'zoo-broken', which offers models kind 'raises', is"
    )


def test_ours_keep_working_beside_broken_ones(installed: Path) -> None:
    code = """
from zoo.specs import catalogue
result = [str(found) for _, found in catalogue.entries() if isinstance(found, ZooError)]
"""
    assert run(installed, code) == []
