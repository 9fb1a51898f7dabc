"""What writers tell of their changes, also where the file for it is lost, cut or cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.hub import changes as module
from zoo.hub.changes import Changes, Position, changes_since, changing, position_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".locks").mkdir()
    return tmp_path


def since(root: Path, position: Position) -> tuple[set[str], set[str]]:
    found = changes_since(root, position)
    assert isinstance(found, Changes)
    assert found.position == position_of(root)
    return set(found.names), set(found.begun)


def test_what_is_being_changed_and_what_has_been(root: Path) -> None:
    assert since(root, position_of(root)) == (set(), set())
    with changing(root, "first"):
        start = position_of(root)
        assert since(root, start) == (set(), set())
        with changing(root, "lab/second"):
            assert since(root, start) == ({"lab/second"}, {"lab/second"})
        assert since(root, start) == ({"lab/second"}, set())
    assert since(root, start) == ({"first", "lab/second"}, set())
    assert since(root, Position(start.file, 0)) == ({"first", "lab/second"}, set())


def test_the_end_is_told_of_a_change_that_fails(root: Path) -> None:
    with changing(root, "a"):
        start = position_of(root)
    with pytest.raises(KeyError), changing(root, "b"):
        raise KeyError
    assert since(root, start) == ({"a", "b"}, set())


def test_a_killed_writer_leaves_it_open(root: Path) -> None:
    with changing(root, "a"):
        start = position_of(root)
    code = "import os, sys; from pathlib import Path; from zoo.hub.changes import changing\n"
    code += "with changing(Path(sys.argv[1]), 'b'): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, root], check=False)
    assert since(root, start) == ({"a", "b"}, {"b"})
    with changing(root, "b"):
        pass
    assert since(root, start) == ({"a", "b"}, set())


def test_where_the_file_is_another_everything_has_to_be_looked_at(root: Path) -> None:
    file = root / ".locks" / "changes"
    with changing(root, "a-long-name"):
        pass
    start = position_of(root)
    for damage in (lambda: file.unlink(), lambda: os.truncate(file, 0), lambda: os.truncate(file, 40)):
        damage()
        assert changes_since(root, start) is None
        with changing(root, "another-long-name"):
            pass
        start = position_of(root)
        assert since(root, start) == (set(), set())


def test_it_is_begun_anew_when_it_is_long(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 60)
    with changing(root, "a"):
        start = position_of(root)
    for _ in range(10):
        with changing(root, "b"):
            pass
    assert changes_since(root, start) is None
    assert (root / ".locks" / "changes").stat().st_size < 80


def test_lines_that_others_wrote_are_names_or_nothing(root: Path) -> None:
    with changing(root, "a"):
        start = position_of(root)
    with open(root / ".locks" / "changes", "ab") as stream:
        stream.write(b"+../../etc\n+\n\xff\xfe\n-\n+good\n+half a li")
    found = changes_since(root, start)
    assert found is not None
    assert found.names == {"a", "good"}
    assert found.position.offset == (root / ".locks" / "changes").stat().st_size - len(b"+half a li")


def test_where_nothing_can_be_added_the_file_is_emptied(small_disk: Path) -> None:
    (small_disk / ".locks").mkdir()
    with changing(small_disk, "a"):
        start = position_of(small_disk)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "full").write_bytes(bytes(2**21))
    for number in range(1000):  # what is left of the last block of the file
        with changing(small_disk, f"net-{number}"):
            pass
    assert changes_since(small_disk, start) is None


def test_without_a_folder_for_it_nothing_fails(tmp_path: Path) -> None:
    with changing(tmp_path / "nowhere", "a"):
        pass
    assert changes_since(tmp_path / "nowhere", Position("", 0)) == Changes(
        frozenset(), frozenset(), Position("", 0)
    )
