"""``zoo new``: what it writes fails by saying what is missing, and passes once that is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import RegistryError, ZooError
from zoo.scaffold import checkout, new

ROOT = Path(__file__).resolve().parents[2]
RAISE = re.compile(r"        raise NotWrittenError\(.*\)\n")
FILLED = {
    "model": """\
        new = (self.input(u) + 0.5 * h).tanh()
        return new if noise is None else new + noise
""",
    "task": """\
        shape, device = (examples, spec.steps, 1), generator.device
        x = torch.randn(shape, generator=generator, device=device)
        return Batch(x, 2 * x, torch.ones(shape[:2], device=device), torch.zeros(examples), {})
""",
    "learner": "        return self.gradient(weights, batch)\n",
    "analysis": '        return Found({"size": run.states.square().mean().sqrt()})\n',
}


def run(folder: Path, *command: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(() if "pip" in command else ("-W", "error")), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def fill_in(family: str, file: Path) -> None:
    text, count = RAISE.subn(lambda _: FILLED[family], file.read_text())
    assert count == 1
    file.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of the zoo, as far as it takes."""
    ignored = shutil.ignore_patterns("__pycache__", "_data")
    for folder in ("zoo", "tests/contract", "specs/examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("pyproject.toml", "tests/conftest.py", "tests/examples.py", "tests/forked.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "registry").symlink_to(ROOT / "registry")
    return tmp_path


FAMILIES = [pytest.param(each, marks=[] if each == "task" else pytest.mark.slow) for each in FILLED]


@pytest.mark.parametrize("family", FAMILIES)
def test_in_a_checkout(family: str, tree: Path) -> None:
    kind = f"quite-new-{family}"
    made = run(tree / "specs", "-m", "zoo", "new", family, kind, path=tree)
    assert made.returncode == 0, made.stderr
    assert f"wrote {tree}/specs/examples/{kind}.yaml" in made.stdout.replace("\n", "")
    valid = run(tree, "-m", "zoo", "validate", f"specs/examples/{kind}.yaml", path=tree)
    assert valid.returncode == 0, valid.stdout + valid.stderr
    room = {"analysis": "analysis"}.get(family, f"{family}s")
    module = kind.replace("-", "_")
    tests = ["-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", f"tests/{room}/test_{module}.py"]
    if family != "analysis":
        tests += [f"tests/contract/test_{room}.py", "-k", f"{kind} or {module}"]
    before = run(tree, *tests, path=tree)
    assert before.returncode == 1, before.stdout + before.stderr
    failures = re.findall(r"^(?:E  |/).*Error: .*", before.stdout, re.MULTILINE)
    told = f"is not written yet. Write it in zoo/{room}/{module}.py."
    assert failures
    assert all(told in each for each in failures), before.stdout
    fill_in(family, tree / f"zoo/{room}/{module}.py")
    after = run(tree, *tests, path=tree)
    assert after.returncode == 0, after.stdout + after.stderr


@pytest.mark.parametrize("family", FAMILIES)
def test_as_a_package(family: str, tmp_path: Path) -> None:
    kind = f"quite-new-{family}"
    written = new(family, kind, start=tmp_path)
    assert written.package
    assert written.folder == tmp_path / f"zoo-{kind}"
    fill_in(family, written.folder / f"zoo_{kind.replace('-', '_')}" / f"{family}.py")
    installed = tmp_path / "installed"
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore", "--target", str(installed)]
    done = run(tmp_path, *command, str(written.folder), path=ROOT)
    assert done.returncode == 0, done.stderr
    path = Path(os.pathsep.join([str(installed), str(ROOT)]))
    passed = run(written.folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", path=path)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    valid = run(written.folder, "-m", "zoo", "validate", f"examples/{kind}.yaml", path=path)
    assert valid.returncode == 0, valid.stdout + valid.stderr


@pytest.mark.parametrize("family", FILLED)
def test_what_it_writes_is_in_our_style(family: str, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "zoo/registry").mkdir(parents=True)
    for file in ("pyproject.toml", "tests/examples.py", "zoo/registry/builtin.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    ruff = [sys.executable, "-m", "ruff"]
    ours = ["tests/examples.py", "zoo/registry/builtin.py"]
    subprocess.run([*ruff, "format", "--quiet", *ours], cwd=tmp_path, check=True)
    written = new(family, "my-kind", start=tmp_path / "tests")
    assert written.folder == tmp_path
    assert not written.package
    files = [str(path) for path in written.files if path.suffix == ".py"]
    assert len(files) >= 4
    created = [file for file in files if not file.endswith(tuple(ours))]
    for command in (["check", "--quiet", *created], ["format", "--check", *files]):
        looked = subprocess.run([*ruff, *command], cwd=tmp_path, capture_output=True, text=True)
        assert looked.returncode == 0, looked.stdout + looked.stderr


@pytest.mark.parametrize(
    ("family", "kind", "message"),
    [
        ("modle", "mine", "a new kind is one of model, task, learner, analysis"),
        ("model", "gru", "there is a model of kind 'gru'; choose another name"),
        ("model", "My cell", "cannot be the name of a kind: give lower-case letters"),
        ("model", "../mine", "cannot be the name of a kind"),
        ("model", "class", "cannot be the name of a kind"),
        ("task", "2-back", "a letter first"),
    ],
)
def test_names_that_cannot_be(family: str, kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=message):
        new(family, kind, start=tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    new("task", "mine", start=tmp_path)
    for file in (tmp_path / "zoo-mine").rglob("*"):
        if file.name != "README.md" and file.is_file():
            file.unlink()
    with pytest.raises(ZooError, match=r"README\.md: there already\. Choose another name"):
        new("task", "mine", start=tmp_path)
    assert not (tmp_path / "zoo-mine/pyproject.toml").exists()


def test_a_tree_without_a_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "zoo/registry").mkdir(parents=True)
    (tmp_path / "zoo/registry/builtin.py").write_text("BUILTIN = {}\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "neuroai-zoo"\n')
    assert checkout(tmp_path / "zoo") == tmp_path
    with pytest.raises(ZooError, match=r"has no table that begins with '\"models\": \{'"):
        new("model", "mine", start=tmp_path)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert checkout(tmp_path) is None
