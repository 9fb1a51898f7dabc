"""Names of what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import AmbiguousNameError, SpecError, UnknownNameError, ZooError
from zoo.specs import catalogue
from zoo.specs.base import Spec

PAPER = "spec: paper/1\nname: lab\ntitle: T\nauthors: [A]\nyear: 2026\n"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own beside what ships."""
    folder = tmp_path / "lab"
    folder.mkdir()
    monkeypatch.setenv("ZOO_SPECS", str(folder))
    return folder


def test_every_entry_that_ships_is_valid() -> None:
    entries = dict(catalogue.entries())
    assert {"dsa", "dsa-rnn-flipflop", "dsa-flipflop-architectures"} <= set(entries)
    assert [str(spec) for spec in entries.values() if not isinstance(spec, Spec)] == []
    assert all(name == spec.name for name, spec in entries.items())  # type: ignore[union-attr]


def test_folders_of_ones_own(lab: Path) -> None:
    (lab / "paper.yaml").write_text(PAPER)
    (lab / "_part.yaml").write_text("a: 1\n")
    (lab / "notes.txt").write_text("")
    (lab / ".hidden.yaml").write_text("")
    (lab / "schema").mkdir()
    (lab / "schema" / "x.yaml").write_text("")
    (lab / "deep" / "er").mkdir(parents=True)
    (lab / "deep" / "er" / "broken.yml").write_text("a: b: c\n")
    (lab / "gone.yaml").symlink_to(lab / "nowhere.yaml")
    own = {name: path for name, path in catalogue.files().items() if path.is_relative_to(lab)}
    assert own == {"broken": lab / "deep/er/broken.yml", "lab": lab / "paper.yaml"}
    entries = dict(catalogue.entries())
    assert isinstance(entries["broken"], SpecError)
    assert isinstance(entries["lab"], Spec)
    assert isinstance(entries["dsa"], Spec)


def test_one_name_for_two_files_is_refused(lab: Path) -> None:
    (lab / "dsa-rnn-flipflop.yaml").write_text("")
    with pytest.raises(AmbiguousNameError) as caught:
        catalogue.files()
    assert str(lab / "dsa-rnn-flipflop.yaml") in str(caught.value)
    assert str(catalogue.paths.shipped("specs") / "dsa" / "dsa-rnn-flipflop.yaml") in str(caught.value)


def test_the_same_folder_twice_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_SPECS", str(catalogue.paths.shipped("specs")))
    assert "dsa" in catalogue.files()


def test_a_folder_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_SPECS", os.pathsep.join([str(tmp_path), "/nowhere/at/all"]))
    with pytest.raises(ZooError, match="ZOO_SPECS names /nowhere/at/all, which is no folder"):
        catalogue.files()


def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        catalogue.find("dsa-rnn-flipflp")
    assert str(caught.value) == (
        "nothing is called 'dsa-rnn-flipflp'. Did you mean 'dsa-rnn-flipflop'? `zoo list` prints all names."
    )
    with pytest.raises(UnknownNameError) as caught:
        catalogue.find("a/b.yaml")
    assert str(caught.value) == "there is no file a/b.yaml. `zoo list` prints names that need no path."


HEAVY = ("torch", "lightning", "scipy", "matplotlib", "huggingface_hub", "omegaconf", "numpy")
CODE = f"""
import sys
import zoo.registry
from zoo.specs import catalogue, composing, loading, migrations, problems, reading, record, schema, writing
found = [spec for _, spec in catalogue.entries()]
for spec in found:
    loading.parse(writing.to_yaml(spec))
assert len(found) > 3
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_reading_every_spec_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
