"""Names of checkpoints: ``[hub:]name[@revision][/member][#step]``, an address, or the path of a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zoo.errors import UnknownNameError, brief
from zoo.hub.network import has_secret, has_token, public, redacted
from zoo.placing import DEVICE

EXAMPLES = (
    "Names look like: dsa-rnn-flipflop, dsa-rnn-flipflop/3 (a member), dsa-rnn-flipflop#100 (a snapshot), "
    "dsa-rnn-flipflop@v1 (a revision), local:dsa-rnn-flipflop (a hub), "
    "hf://lab/dsa-rnn-flipflop (on the Hugging Face Hub), ./runs/checkpoint (a folder)."
)
MAX_LENGTH = 4096
PART = r"[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?"
"""Names of checkpoints and hubs; two dashes or dots in a row are refused besides, as on the Hub."""
REVISION = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
NUMBER = r"0|[1-9][0-9]{0,11}"
TAIL = rf"(?:@(?P<revision>{REVISION}))?(?:/(?P<member>{NUMBER}|\*))?(?:\#(?P<step>{NUMBER}))?"
ORGANISATION = rf"{PART}/(?!(?:[0-9]+|\*)(?:[@/\#]|$))"
"""The first half of ``lab/name``; digits after the slash are a member, never a name."""

_PARCEL = re.compile(r"(?:[^/]+/)?zoo-(?:run|state|sweep)-[0-9a-f]{32}")
_NAME = re.compile(rf"(?:{ORGANISATION})?{PART}")
_REFERENCE = re.compile(rf"(?:(?P<hub>{PART}):)?(?P<name>(?:{ORGANISATION})?{PART}){TAIL}")
_PATH_TAIL = re.compile(rf"(?P<path>.+?)(?:/(?P<member>{NUMBER}|\*))?(?:\#(?P<step>{NUMBER}))?", re.DOTALL)
_ADDRESS = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]{{0,15}})://(?P<place>[^#?\s]*?){TAIL}")
_FOREIGN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
"""A part of a name on a hub of other people, where capitals are allowed."""
_FILES = re.compile(r".*\.(?:safetensors|json|pt|pth|ckpt|bin|pkl|pickle|joblib|dill)", re.IGNORECASE)


@dataclass(frozen=True)
class Reference:
    """What a name says: which checkpoint, where, which revision, member and step of it."""

    name: str
    """``dsa-rnn-flipflop`` or ``lab/dsa-rnn-flipflop``; of a path, the name of the folder."""
    hub: str | None = None
    """Its name, or its address; without one, the hubs are asked in turn."""
    revision: str | None = None
    """A tag or (the beginning of) a commit; without one, the newest."""
    member: int | Literal["*"] | None = None
    step: int | None = None
    path: Path | None = None
    """A folder on this machine, instead of a hub and a revision."""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises :class:`UnknownNameError`, saying what is wrong and giving examples."""
        check_text(text)
        if "://" in text:
            return cls._of_address(text)
        if is_path(text):
            return cls._of_path(text)
        found = _REFERENCE.fullmatch(text)
        if found is None or _reserved(found["hub"] or "") or _reserved(found["name"]):
            raise UnknownNameError(f"{brief(text, 100)} is no name of a checkpoint: {_why(text)}. {EXAMPLES}")
        return cls(
            found["name"], found["hub"], found["revision"], _member(found["member"]), _step(found["step"])
        )

    @classmethod
    def _of_address(cls, text: str) -> Reference:
        if has_secret(text):
            raise UnknownNameError(
                f"{brief(public(text), 100)} was given with a password or a token in it, which would be seen "
                "in logs. Set HF_TOKEN or ZOO_TOKEN instead, and give the plain address."
            )
        found = _ADDRESS.fullmatch(text)
        hub, name = _split_address(found["scheme"], found["place"]) if found else ("", "")
        if found is None or not hub or not all(_is_foreign(part) for part in name.split("/")):
            raise UnknownNameError(
                f"{brief(public(text), 100)} is no address of a checkpoint. They look like: hf://lab/name, "
                "hf://lab/name@v1/3#100, https://hub.lab.org/lab/name, s3://bucket/folder/name."
            )
        return cls(name, hub, found["revision"], _member(found["member"]), _step(found["step"]))

    @classmethod
    def _of_path(cls, text: str) -> Reference:
        if text == "~" or text.startswith("~/"):
            text = os.path.expanduser(text)
        found = _PATH_TAIL.fullmatch(text)
        if found is None or os.path.exists(text):
            path, member, step = Path(text), None, None
        else:
            path, member, step = Path(found["path"]), found["member"], found["step"]
        return cls(path.name, member=_member(member), step=_step(step), path=path)

    def whole(self) -> Reference:
        """The checkpoint itself: all members, the final step."""
        return replace(self, member=None, step=None)

    def __str__(self) -> str:
        if self.path is not None:
            text = self.path.as_posix()
            head = text if text == ".." or text.startswith(("/", "../")) else f"./{text}"
        else:
            hub = self.hub or ""
            head = hub + ("" if not hub or hub.endswith("/") else "/" if "://" in hub else ":")
            head += self.name + (f"@{self.revision}" if self.revision else "")
        return (
            head
            + ("" if self.member is None else f"/{self.member}")
            + ("" if self.step is None else f"#{self.step}")
        )


def _split_address(scheme: str, place: str) -> tuple[str, str]:
    """An address as a hub and a name in it: the last part, and the one before it where hubs have owners."""
    parts = place.split("/")
    if scheme in ("http", "https"):
        return (
            (f"{scheme}://{parts[0]}", "/".join(parts[1:])) if parts[0] and 2 <= len(parts) <= 3 else ("", "")
        )
    if scheme == "hf":
        return "hf://", place if len(parts) == 2 else ""
    return (f"{scheme}://{'/'.join(parts[:-1])}", parts[-1]) if any(parts[-2:-1]) else ("", "")


def _is_foreign(part: str) -> bool:
    return bool(_FOREIGN.fullmatch(part)) and not _reserved(part)


def is_foreign(text: Any) -> bool:
    """Whether something is a name on a hub of other people: ``name`` or ``lab/name``, with capitals."""
    return isinstance(text, str) and text.count("/") < 2 and all(map(_is_foreign, text.split("/")))


def is_path(text: str) -> bool:
    """Whether a text is the path of a folder: it is written as one, or a checkpoint lies there."""
    if text in (".", "..", "~") or text.startswith(("/", "./", "../", "~/")):
        return True
    found = _PATH_TAIL.fullmatch(text)
    folders = (text, found["path"]) if found else (text,)
    if any(os.path.isfile(os.path.join(folder, "record.json")) for folder in folders):
        return True
    return bool(_FILES.fullmatch(text) and os.path.isfile(text))


def is_name(text: str) -> bool:
    """Whether a text is a name, ``lab/name`` included, without hub, revision, member or step."""
    return bool(_NAME.fullmatch(text)) and not _reserved(text)


def is_parcel(name: str) -> bool:
    """Whether a name is that of files on their way between processes, which are no checkpoint."""
    return bool(_PARCEL.fullmatch(name))


def is_listed(name: str) -> bool:
    """Whether a text is a name that lists of checkpoints show."""
    return is_name(name) and not is_parcel(name)


def check_name(name: str) -> str:
    """A name, ``lab/name`` included, that may be made into a folder. Raises :class:`UnknownNameError`."""
    check_text(name)
    if not is_name(name):
        raise UnknownNameError(
            f"{brief(name, 100)} cannot be the name of a checkpoint: {_why(name)}. {EXAMPLES}"
        )
    return name


def check_revision(text: str) -> str:
    """A tag or commit that may be made into a file. Raises :class:`UnknownNameError`."""
    if not isinstance(text, str) or not re.fullmatch(REVISION, text) or ".." in text or _is_device(text):
        raise UnknownNameError(
            f"{brief(redacted(str(text)), 100)} cannot be a revision: take up to 100 letters, digits, dots, "
            "dashes and underscores, as in v1 or 2026-11-21."
        )
    return text


def check_text(text: Any) -> None:
    """Whether a text may be looked at as a name and stand in a message. Raises :class:`UnknownNameError`."""
    if not isinstance(text, str):
        raise UnknownNameError(f"a name should be text, and this is {brief(text)}. {EXAMPLES}")
    if not text:
        raise UnknownNameError(f"the name is empty. {EXAMPLES}")
    if has_token(text):
        raise UnknownNameError(
            "a name or an address was given with a password or a token in it, which would be seen in logs. "
            "Set HF_TOKEN or ZOO_TOKEN instead, and give it without."
        )
    if len(text) > MAX_LENGTH:
        raise UnknownNameError(f"the name {brief(text)} is {len(text):,} characters long. {EXAMPLES}")
    if not text.isprintable():
        raise UnknownNameError(
            f"the name {ascii(text)[:100]} has characters that cannot be printed. {EXAMPLES}"
        )


def _why(text: str) -> str:
    """What is wrong with a text that is no reference."""
    if odd := next((character for character in text if not character.isascii()), None):
        return f"{odd!r} ({ascii(odd)[1:-1]}) is no plain letter"
    if any(character.isspace() for character in text):
        return "it has a space in it"
    if any(character in text for character in "*?[]!") and not text.endswith("/*"):
        return "it is a pattern, which can stand for several"
    head, _, step = text.partition("#")
    if "#" in text and not re.fullmatch(NUMBER, step):
        return f"what follows # should be a step, a plain number, and not {brief(step)}"
    if re.search(r"/[0-9*]+@", head):
        return "the revision goes before the member, as in name@v1/3"
    body, _, revision = head.rpartition(":")[2].partition("@")
    revision = revision.partition("/")[0]
    if "@" in head and not re.fullmatch(REVISION, revision):
        return f"{brief(revision)} is no revision; take letters, digits, dots, dashes and underscores"
    if re.search("[A-Z]", body):
        return f"names are in lower case, as in {brief(body.lower())}"
    if "--" in body or ".." in body:
        return "two dots or two dashes in a row are not allowed"
    if _is_device(body):
        return "it is the name of a device on Windows"
    if body.endswith(".git"):
        return "it ends in .git"
    if re.search("/0[0-9]+$", head):
        return "a member is a number without leading zeros"
    if body.count("/") > 2 or any(part == "" for part in body.split("/")):
        return "it has a slash too many; a path begins with ./ or /"
    if any(len(part) > 96 for part in body.split("/")):
        return "it is longer than 96 characters"
    return (
        "lower-case letters, digits, dots, dashes and underscores make a name, a letter or digit at each end"
    )


def _reserved(text: str) -> bool:
    """Whether the Hub or some system gives a name a meaning of its own."""
    return "--" in text or ".." in text or text.endswith(".git") or _is_device(text)


def _is_device(text: str) -> bool:
    return any(map(DEVICE.fullmatch, text.split("/")))


def _member(text: str | None) -> int | Literal["*"] | None:
    return None if text is None else "*" if text == "*" else int(text)


def _step(text: str | None) -> int | None:
    return None if text is None else int(text)
