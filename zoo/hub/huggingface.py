"""A hub on the network that speaks the protocol of the Hugging Face Hub: that one, or one by ``zoo serve``.

All requests go through ``huggingface_hub``, so ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME`` and
``HF_HUB_OFFLINE`` mean what they mean elsewhere, and what is fetched lies in its cache. Files are not fetched
by ``hf_hub_download``, which names them as the server says: a hub is not trusted with names of files here,
and what it sends is kept only if it is what the record describes.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.checkpoints.folder import CARD, FREE, MAX_FREE, RECORD, CheckpointFolder
from zoo.errors import (
    CheckpointError,
    HubError,
    OfflineError,
    UnknownNameError,
    ZooError,
    ZooWarning,
    brief,
)
from zoo.hub.answers import MOST, SECONDS, bounded
from zoo.hub.base import MAIN, Revision, check_tag
from zoo.hub.card import render
from zoo.hub.card_check import check_card
from zoo.hub.download import ATTEMPTS, addresses, download, pause
from zoo.hub.failures import Attempt, UnreachableError, explained
from zoo.hub.front_matter import LIBRARY
from zoo.hub.network import offline, public
from zoo.hub.reference import REVISION, check_revision, is_foreign
from zoo.hub.repository import COMMIT, Repository
from zoo.placing import staging, write_whole
from zoo.specs.record import FileEntry

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
UPLOAD = 6 * 3600.0
"""Seconds for a commit and its files to reach a hub."""
SLOWEST = 10_000.0
"""Bytes in a second at which a file still comes in time."""
HF = "hf://"
TOKEN = "ZOO_TOKEN"
"""The variable with the token for hubs other than that of ``HF_ENDPOINT``, whose token they must not see."""


class HuggingFaceHub:
    """Checkpoints are repositories, ``organisation/name``; revisions are commits; tags are tags.

    Args:
        endpoint: ``https://host[:port]``; without one, that of ``HF_ENDPOINT``, which is huggingface.co.
        organisation: Whose repositories are meant where a name has no slash.
        name: How references call this hub.
    """

    def __init__(self, endpoint: str | None = None, organisation: str = "", name: str | None = None) -> None:
        self.endpoint = endpoint and endpoint.rstrip("/")
        self.organisation = organisation
        self.where = f"{self.endpoint}/{organisation}".rstrip("/") if endpoint else f"{HF}{organisation}"
        self.name = name or self.where

    def __repr__(self) -> str:
        return f"HuggingFaceHub({self.where!r})"

    @cached_property
    def api(self) -> HfApi:
        import huggingface_hub
        from huggingface_hub import constants

        from zoo import __version__

        endpoint = self.endpoint or constants.ENDPOINT
        ours = endpoint != constants.ENDPOINT
        token = (os.environ.get(TOKEN) or False) if ours else None  # None: as huggingface_hub finds it
        return huggingface_hub.HfApi(endpoint, token=token, library_name=LIBRARY, library_version=__version__)

    def names(self) -> list[str]:
        """Repositories with our tag: of the organisation, without its name, or else all."""
        owner = self.organisation or None
        found = self._patiently(
            "list the names",
            "",
            lambda: [model.id for model in self.api.list_models(author=owner, filter=LIBRARY)],
        )
        return sorted(id.removeprefix(f"{self.organisation}/") for id in found if is_foreign(id))

    def search(self, text: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """Checkpoints whose name matches a text: name, tags, downloads, likes and last change of each."""
        with self._failing_clearly(f"search for {text!r}"):
            found = self.api.list_models(
                author=self.organisation or None, filter=LIBRARY, search=text or None, limit=limit, full=True
            )
            return [
                {
                    "name": self._spelled(model.id),
                    "tags": [tag for tag in model.tags or () if ":" not in tag and tag != LIBRARY],
                    "private": bool(model.private),
                    "changed": model.last_modified.date().isoformat() if model.last_modified else "",
                }
                for model in found
                if is_foreign(model.id)
            ]

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        """``revision`` is a tag, a commit or its first digits (7 or more); without one, the newest.

        Raises :class:`UnknownNameError`, :class:`OfflineError` where it is not cached either.
        """
        commit = self._commit(name, revision)
        known = {} if offline() else self.tags(name)
        return self._revision(name, commit, tuple(tag for tag, at in known.items() if at == commit))

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        """The checkpoint, each file of which is fetched when it is asked for, and verified.

        Raises :class:`UnknownNameError` besides for a repository that is no checkpoint of the zoo.
        """
        folder = self._folder(name, self._commit(name, revision))
        if not folder.has(RECORD):
            raise UnknownNameError(
                f"{self._spelled(name)} is no checkpoint of the zoo: it has no {RECORD}. See which are with: "
                f"zoo search --hub {self.where}"
            )
        return folder

    def tags(self, name: str) -> dict[str, str]:
        """Tag → commit."""
        refs = self._patiently("list the tags", name, lambda: self.api.list_repo_refs(self._id(name)))
        named = ((str(ref.name), str(ref.target_commit)) for ref in refs.tags)
        return {tag: at for tag, at in named if re.fullmatch(REVISION, tag) and COMMIT.fullmatch(at)}

    def revisions(self, name: str) -> list[Revision]:
        """All commits, the latest first."""
        tags = self.tags(name)
        found = self._patiently(
            "list the revisions", name, lambda: self.api.list_repo_commits(self._id(name))
        )
        commits = [self._valid(commit.commit_id) for commit in found]
        return [self._revision(name, c, tuple(t for t, at in tags.items() if at == c)) for c in commits]

    def publish(
        self,
        folder: CheckpointFolder,
        name: str | None = None,
        tag: str | None = None,
        *,
        parent: str | None = None,
        private: bool | None = None,
    ) -> Revision:
        """A commit with the files of a checkpoint, of which those that are new travel.

        Files that the commit before lists and this one does not are removed; anything else in the repository
        stays, and so does text on its card that people wrote. ``parent`` is the commit that is to be followed
        (the newest, without one): should somebody else publish first, nothing is changed.

        Raises :class:`CheckpointError` for a damaged checkpoint, :class:`HubError` where the hub refuses,
        ``tag`` stands for other files or another commit came first, :class:`OfflineError`.
        """
        if tag is not None:
            check_tag(tag)
        name = self.owned(name or folder.record.name)
        id = self._id(name)
        _ = folder.record  # before anything is made for it
        with self._failing_clearly("publish", name):
            self.api.create_repo(id, private=private, exist_ok=True)
        tags, head = self.tags(name), self._head(id)
        before = self._before(name, head)
        files = self._contents(folder, name, before)
        gone = set(before.record.files if before else ()) - files.keys()
        changed = self._changed(id, head, files)
        if tag in tags and (tags[tag] != head or changed or gone):
            raise HubError(
                f"{self._spelled(name)}@{tag} already stands for {tags[tag][:12]}, and a tag never moves. "
                "Take another tag."
            )
        commit = head
        if changed or gone:
            commit = self._send(id, {file: files[file] for file in changed}, gone, parent or head)
        if tag is not None and tag not in tags:
            with self._failing_clearly(f"set the tag {tag} on", name):
                self.api.create_tag(id, tag=tag, revision=commit)
        return self._revision(name, commit, (tag,) if tag else ())

    def contents(self, folder: CheckpointFolder, name: str) -> dict[str, bytes]:
        """The verified files that publishing under a name would put there, the card among them."""
        name = self.owned(name)
        try:
            before = self._before(name, self._commit(name, None))
        except UnknownNameError:
            before = None
        return self._contents(folder, name, before)

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Name a revision. Raises :class:`HubError` where the tag stands for another one."""
        check_tag(tag)
        found = self.resolve(name, revision)
        taken = self.tags(name).get(tag)
        if taken not in (None, found.commit):
            raise HubError(
                f"{self._spelled(name)}@{tag} already stands for {str(taken)[:12]}, and a tag never moves. "
                f"Take another tag for {found.commit[:12]}."
            )
        if taken is None:
            with self._failing_clearly(f"set the tag {tag} on", name):
                self.api.create_tag(self._id(name), tag=tag, revision=found.commit)
        return self._revision(name, found.commit, tuple(dict.fromkeys((*found.tags, tag))))

    def delete(self, name: str, revision: str | None = None) -> None:
        """Remove a repository, for good. Raises :class:`HubError` for one revision, which such hubs keep."""
        if revision is not None:
            raise HubError(
                f"{self.where} keeps every commit of {name}, so {revision} alone cannot be removed. "
                f"Publish another revision, or delete the whole of {name}."
            )
        with self._failing_clearly("delete", name):
            self.api.delete_repo(self._id(name))

    def _id(self, name: str) -> str:
        return f"{self.organisation}/{name}" if self.organisation and "/" not in name else name

    def owned(self, name: str) -> str:
        """The name that publishing under ``name`` gives: without an organisation, one of one's own."""
        if "/" in self._id(name):
            return name.removeprefix(f"{self.organisation}/")
        with self._failing_clearly("see whose token this is"):
            own = f"{self.api.whoami()['name']}/{name}"
        if not is_foreign(own):
            raise HubError(f"{self.where} gives {brief(own)} for a name of yours, which is none.")
        return own

    def _spelled(self, name: str) -> str:
        return f"{HF if self.endpoint is None else self.endpoint + '/'}{self._id(name)}"

    def _revision(self, name: str, commit: str, tags: tuple[str, ...]) -> Revision:
        return Revision(self.name, name, commit, tags, self._repository(name).snapshot(commit))

    def _repository(self, name: str) -> Repository:
        """Where ``huggingface_hub`` caches a repository: of the usual endpoint, and of others apart."""
        from huggingface_hub import constants

        cache = Path(constants.HF_HUB_CACHE)
        if self.endpoint not in (None, constants.ENDPOINT):
            cache = cache / "endpoints" / hashlib.sha256(str(self.endpoint).encode()).hexdigest()[:16]
        return Repository(cache, self._id(name))

    def _commit(self, name: str, revision: str | None) -> str:
        asked = MAIN if revision is None else check_revision(revision)
        repository = self._repository(name)
        if COMMIT.fullmatch(asked) and (repository.snapshot(asked) / RECORD).exists():
            return asked
        if variable := offline():
            if found := _cached(repository, asked):
                return found
            raise OfflineError(
                f"{self._spelled(name)} ({asked}) is not on this machine, and {variable} switches the "
                f"network off. With a network, fetch it with: zoo pull {self._spelled(name)}"
            )
        try:
            commit = self._head(self._id(name), asked)
        except UnreachableError:
            found = _cached(repository, asked)
            if found is None:
                raise
            warnings.warn(
                f"{self.where} cannot be reached; {name} is taken as it was fetched last ({found[:12]}).",
                ZooWarning,
                stacklevel=2,
            )
            return found
        if not commit.startswith(asked):
            with suppress(OSError, HubError):
                if repository.ref(asked) != commit:
                    write_whole(repository.path / "refs" / asked, commit)
        return commit

    def _head(self, id: str, revision: str = MAIN) -> str:
        """The commit that a revision stands for."""
        from huggingface_hub.errors import RevisionNotFoundError

        def ask() -> str:
            try:
                return str(self.api.model_info(id, revision=revision, timeout=30).sha)
            except RevisionNotFoundError:
                if not re.fullmatch("[0-9a-f]{7,39}", revision):
                    raise
                commits = [commit.commit_id for commit in self.api.list_repo_commits(id)]
                begun = [commit for commit in commits if commit.startswith(revision)]
                if len(begun) != 1:
                    raise
                return str(begun[0])

        commit = self._valid(self._patiently("find", id, ask, revision))
        if COMMIT.fullmatch(revision) and commit != revision:
            raise HubError(
                f"{self.where} gives {commit[:12]} where {revision[:12]} was asked for. Is it a hub?"
            )
        return commit

    def _valid(self, commit: Any) -> str:
        """A commit from the hub, which becomes the name of a folder here."""
        if not (isinstance(commit, str) and COMMIT.fullmatch(commit)):
            raise HubError(f"{self.where} gives {brief(commit)} for a commit, which is none. Is it a hub?")
        return commit

    def _patiently(self, what: str, name: str, ask: Callable[[], T], revision: str = "") -> T:
        """The answer to a question, asked again while the hub is busy or the connection is cut."""
        attempt = 0
        while True:
            try:
                with self._failing_clearly(what, name, revision):
                    return ask()
            except UnreachableError as problem:
                attempt += 1
                if problem.pause is None or attempt == ATTEMPTS:
                    raise
                time.sleep(problem.pause or pause(None, attempt))

    def _folder(self, name: str, commit: str) -> CheckpointFolder:
        repository = self._repository(name)

        def bring(file: str) -> bool:
            if variable := offline():
                raise OfflineError(
                    f"{file} of {self._spelled(name)} is not on this machine, and {variable} switches the "
                    f"network off. With a network, fetch it with: zoo pull {self._spelled(name)}"
                )
            entry = None if file in FREE else folder.record.files.get(file)
            return self._bring(repository, commit, file, entry)

        folder = CheckpointFolder(repository.snapshot(commit), bring)
        return folder

    def _bring(self, repository: Repository, commit: str, file: str, entry: FileEntry | None) -> bool:
        """Fetch a file into the cache, unless it has the same under another name; whether the hub has it."""
        id = repository.name
        with (
            self._failing_clearly(f"fetch {file} of", id, commit),
            staging(repository.path, "fetch") as stage,
        ):
            digest = self._download(id, commit, file, stage / "file", None if entry is None else entry.size)
            if digest is None:
                return False
            if entry is not None and digest != entry.sha256:
                raise CheckpointError(
                    f"{file} of {self._spelled(id)} is not what its record describes (SHA-256). It has not "
                    "been kept; fetch it again, or ask whoever published it."
                )
            repository.add(stage, commit, file, stage / "file", digest)
        return True

    def _download(self, id: str, commit: str, file: str, to: Path, size: int | None) -> str | None:
        """Put a file of a commit into a new one here; its SHA-256, or none where there is no such file."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.errors import RemoteEntryNotFoundError
        from huggingface_hub.utils._headers import build_hf_headers

        url = hf_hub_url(id, file, revision=commit, endpoint=self.api.endpoint)
        headers = build_hf_headers(token=self.api.token, library_name=LIBRARY)
        most = MAX_FREE if size is None else size
        try:
            with bounded(url, ATTEMPTS * most + MOST, SECONDS + most / SLOWEST):
                return download(url, headers, to, size, most)
        except RemoteEntryNotFoundError:
            return None

    def _before(self, name: str, head: str) -> CheckpointFolder | None:
        """The checkpoint that is to be followed, where there is one that can be read."""
        folder = self._folder(name, head)
        try:
            _ = folder.record
        except OfflineError:
            raise
        except CheckpointError:
            return None
        return folder

    def _contents(
        self, folder: CheckpointFolder, name: str, before: CheckpointFolder | None
    ) -> dict[str, bytes]:
        """With what people wrote on the card: on ours, if there is anything, or else on the hub's."""
        files = folder.contents()
        text = files[CARD].decode("utf-8", "replace") if CARD in files else None
        if before is not None and before.has(CARD) and not (text and by_hand(text)):
            text = before.read(CARD).decode("utf-8", "replace")
        card = render(folder.record, folder.experiment, text, reference=self._spelled(name))
        check_card(card.encode(), folder.record)
        return files | {CARD: card.encode()}

    def _changed(self, id: str, head: str, files: dict[str, bytes]) -> set[str]:
        """Files that the hub does not have, or has otherwise."""
        from huggingface_hub.hf_api import RepoFile

        listed = self._patiently(
            "list the files of",
            id,
            lambda: {
                str(entry.path): {str(entry.blob_id), str(getattr(entry.lfs, "sha256", ""))}
                for entry in self.api.list_repo_tree(id, revision=head)
                if isinstance(entry, RepoFile)
            },
        )
        return {file for file, data in files.items() if not listed.get(file, set()) & {*addresses(data)}}

    def _send(self, id: str, files: dict[str, bytes], gone: set[str], parent: str) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationAdd(file, data) for file, data in sorted(files.items())]
        operations += [CommitOperationDelete(file) for file in sorted(gone)]
        try:
            with self._failing_clearly("publish", id), bounded(self.api.endpoint, seconds=UPLOAD):
                done = self.api.create_commit(
                    id, operations, commit_message=f"{len(files)} files by {LIBRARY}", parent_commit=parent
                )
                return self._valid(str(done.oid))
        except UnreachableError:  # perhaps after it had done what we asked for
            with suppress(ZooError):
                head = self._head(id)
                if head != parent and not self._changed(id, head, files):
                    return head
            raise

    @contextmanager
    def _failing_clearly(self, what: str, name: str = "", revision: str = "") -> Iterator[None]:
        """Failures of the library, the hub and the wire, each as one of ours; none is asked while offline."""
        if variable := offline():
            doing = f"cannot {what} {self._spelled(name) if name else ''}".rstrip()
            raise OfflineError(f"{doing}: {variable} switches the network off. Unset it, and try again.")
        try:
            with bounded(self.api.endpoint):
                yield
        except ZooError:
            raise
        except Exception as problem:
            raise explained(problem, self._attempt(problem, what, name, revision)) from problem

    def _attempt(self, problem: Exception, what: str, name: str, revision: str) -> Attempt:
        from huggingface_hub.errors import RevisionNotFoundError

        where, id = public(self.endpoint or self.api.endpoint), self._spelled(name) if name else ""
        tags: list[str] = []
        if isinstance(problem, RevisionNotFoundError):
            with suppress(ZooError):
                tags = sorted(self.tags(name))
        doing = f"cannot {what} {id}".rstrip() + f" on {where}"
        return Attempt(doing, id, f"{where}/{self._id(name)}", revision, self._login(), tuple(tags))

    def _login(self) -> str:
        if self.endpoint is None:
            return "log in with 'hf auth login', or set HF_TOKEN."
        return f"ask whoever runs that hub for a token, and set {TOKEN}."


def by_hand(card: str) -> str:
    """What people wrote on a card: what is neither front matter nor between the marks."""
    from zoo.hub.card import BEGIN, END

    body = re.sub(r"\A---\r?\n.*?^---[ \t]*$", "", card, count=1, flags=re.DOTALL | re.MULTILINE)
    before, found, rest = body.partition(BEGIN)
    return (before + rest.partition(END)[2] if found else body).strip()


def _cached(repository: Repository, revision: str) -> str | None:
    """The commit that a revision stood for when it was last asked, if that was fetched."""
    with suppress(HubError):
        commit = repository.ref(revision)
        if commit and (repository.snapshot(commit) / RECORD).exists():
            return commit
    fetched = [known for known in repository.commits() if (repository.snapshot(known) / RECORD).exists()]
    begun = [
        known for known in fetched if re.fullmatch("[0-9a-f]{7,40}", revision) and known.startswith(revision)
    ]
    return begun[0] if len(begun) == 1 else None
