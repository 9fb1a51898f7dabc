"""Content-addressed repositories: what the hub's server asks of them."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pytest

from zoo.hub.base import MAIN, commit_of
from zoo.hub.repository import Repository

FILES = {"a.txt": b"a", "b/c.txt": b"c", "b/same.txt": b"a"}
DIGESTS = {file: hashlib.sha256(data).hexdigest() for file, data in FILES.items()}
COMMIT = commit_of(DIGESTS)


def stored(root: Path, name: str = "lab/net") -> Repository:
    repository = Repository(root, name)
    with repository.locked():
        repository.store(COMMIT, FILES, DIGESTS, (MAIN, "v1"))
    return repository


def no_links(*arguments: object) -> NoReturn:
    raise OSError(errno.EPERM, "links are not to be had here")


@pytest.mark.parametrize("links", [True, False])
def test_digests_are_those_of_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "symlink", no_links)
    repository = stored(tmp_path)
    assert repository.digests(COMMIT) == DIGESTS
    assert any(path.is_symlink() for path in repository.files(COMMIT).values()) == links


def test_a_tag_goes_and_its_commit_stays(tmp_path: Path) -> None:
    repository = stored(tmp_path)
    with repository.locked():
        repository.remove_ref("v1")
        repository.remove_ref("v1")
    assert repository.tags() == {}
    assert repository.commits() == [COMMIT]
    assert repository.ref() == COMMIT


def test_everything_moves_to_another_name(tmp_path: Path) -> None:
    source, target = stored(tmp_path), Repository(tmp_path, "lab/other")
    with source.locked(), target.locked():
        source.move(target)
    assert not source.exists
    assert list(Repository.names(tmp_path)) == ["lab/other"]
    assert target.tags() == {"v1": COMMIT}
    assert {file: path.read_bytes() for file, path in target.files(COMMIT).items()} == FILES
