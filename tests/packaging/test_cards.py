"""``scripts/cards`` finds cards that are out of date, and writes them without touching anything else."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from zoo.checkpoints.folder import PORTRAIT, CheckpointFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a registry of one checkpoint of its own."""
    spec = importlib.util.spec_from_file_location("cards_script", ROOT / "scripts" / "cards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.copytree(ROOT / "registry" / "sine-rate", tmp_path / "sine-rate")
    monkeypatch.setattr(module, "REGISTRY", tmp_path)
    return module


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_card_out_of_date_is_found_and_written(
    cards: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sine-rate"
    before, card = contents(folder), folder / "README.md"
    assert cards.main(["--check"]) == 0
    card.write_text(card.read_text().replace("## Limits", "## Edges") + "\nBy hand.\n")
    assert cards.main(["--check"]) == 1
    assert "cards are out of date: sine-rate. Run: scripts/cards --write" in capsys.readouterr().err
    assert "## Edges" in card.read_text(), "checking writes nothing"
    assert cards.main(["--write", "sine-rate"]) == 0
    assert contents(folder) == {**before, "README.md": before["README.md"] + b"\nBy hand.\n"}
    assert cards.main(["--check"]) == 0


def test_a_missing_portrait_is_drawn_and_listed(cards: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "sine-rate"
    before = contents(folder)
    record = json.loads(before["record.json"])
    del record["files"][PORTRAIT]
    (folder / "record.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    (folder / PORTRAIT).unlink()
    assert cards.main(["--check"]) == 1
    assert cards.main(["--write"]) == 0
    after = contents(folder)
    assert after.keys() == before.keys()
    written = json.loads(after["record.json"])
    assert written["files"].keys() == json.loads(before["record.json"])["files"].keys()
    assert {**written, "files": 0} == {**record, "files": 0}, "nothing else of the record changed"
    CheckpointFolder(folder).verify()
    assert cards.main(["--check"]) == 0
    assert cards.main(["--redraw"]) == 0
    assert contents(folder) == after, "drawn again, the same bytes"


def test_a_card_that_cannot_be_made_is_left_alone(
    cards: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "sine-rate" / "README.md"
    card.write_text("---\nlicense: [\n---\n")
    assert cards.main(["--write"]) == 1
    assert "README.md" in capsys.readouterr().err
    assert card.read_text() == "---\nlicense: [\n---\n"
    assert cards.main([]) == 2
    assert cards.main(["--check", "nothing"]) == 2
    assert "registry/ has no nothing; it has sine-rate." in capsys.readouterr().err
