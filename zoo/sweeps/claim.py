"""One driver of a sweep at a time, where drivers meet on a hub and on no disk.

No clock is compared with another: a driver that lives writes its claim anew every few seconds, and who wants
the sweep watches whether it changes, for a few times as long.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from zoo.errors import HubError, SweepLockedError, ZooWarning
from zoo.hub.base import OvertakenError
from zoo.hub.parcels import Parcel, Parcels
from zoo.placing import write_whole
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec

CLAIM, SPEC = "claim.json", "spec.json"
PATIENCE = 3
"""Beats without a change after which a driver counts as gone."""
LOOKS = 2.0
"""Seconds between two looks at another's claim, at most."""


@dataclass(frozen=True)
class Owner:
    """Who drives a sweep, and how often it says so."""

    token: str
    host: str
    process: int
    every: float
    """Seconds between two beats."""
    beats: int = 0

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class Claim:
    """This process drives a sweep, as long as the claim is entered; for whoever holds the sweep's folder.

    Entering it raises :class:`SweepLockedError` where another process, on any machine, drives the same sweep
    through the same hub, and :class:`HubError`.
    """

    def __init__(self, hub: Parcels, name: str, experiment: ExperimentSpec, folder: Path) -> None:
        self.hub = hub
        self.name = name
        self.lost: Owner | None = None
        """Who has taken the sweep over, as this process seemed to be gone."""
        self._spec = canonical_json(experiment.plain()).encode()
        self._file = folder / CLAIM
        self._owner = Owner(secrets.token_hex(16), socket.gethostname(), os.getpid(), hub.beat)
        self._commit = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        before = self._last_here()
        write_whole(self._file, json.dumps({"token": self._owner.token}))
        while not self._take(before):
            pass
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if self.lost is None:
            with suppress(HubError):  # who comes next finds that it does not change
                self.hub.remove(self.name)

    def check(self) -> None:
        """Raises :class:`SweepLockedError` where another process has taken the sweep over."""
        if self.lost is not None:
            raise SweepLockedError(
                f"{self.lost} has taken this sweep over, as the hub {self.hub.where} had not heard of this "
                "driver for a while. What is finished is kept; call again when the other has ended."
            )

    def _take(self, before: str) -> bool:
        """Try to write the claim, whose last token on this machine was ``before``; whether that worked."""
        found = self.hub.read(self.name)
        other = None if found is None else owner_of(found)
        if found is not None and other is not None and other.token != before:
            self._watch(found, other)
        try:
            self._commit = self.hub.write(self.name, self._files(), None if found is None else found.commit)
        except OvertakenError:
            return False
        return True

    def _watch(self, found: Parcel, other: Owner) -> None:
        """Return when another driver is gone; raises :class:`SweepLockedError` when it lives."""
        wait = PATIENCE * other.every
        warnings.warn(
            f"{other} was driving this sweep through {self.hub.where}. Whether it still is, is watched for "
            f"{wait:.0f} s.",
            ZooWarning,
            stacklevel=2,
        )
        end = time.monotonic() + wait
        while time.monotonic() < end:
            time.sleep(min(LOOKS, other.every / 2))
            now = self.hub.read(self.name)
            if now is None:
                return
            if now.commit != found.commit:
                raise SweepLockedError(
                    f"{owner_of(now) or other} is driving this sweep through {self.hub.where}. Wait for it, "
                    "or stop it and call again, and this one goes on."
                )

    def _beat(self) -> None:
        while not self._end.wait(self._owner.every):
            self._owner = Owner(**{**asdict(self._owner), "beats": self._owner.beats + 1})
            with suppress(HubError):  # it may be away for a while
                self._write()
            if self.lost is not None:
                return

    def _write(self) -> None:
        try:
            self._commit = self.hub.write(self.name, self._files(), self._commit)
        except OvertakenError:
            found = self.hub.read(self.name)
            other = None if found is None else owner_of(found)
            if found is None or other is None or other.token == self._owner.token:
                self._commit = (
                    "" if found is None else found.commit
                )  # an answer got lost, or somebody removed it
                self._commit = self.hub.write(self.name, self._files(), self._commit or None)
            else:
                self.lost = other

    def _files(self) -> dict[str, bytes]:
        return {SPEC: self._spec, CLAIM: json.dumps(asdict(self._owner)).encode()}

    def _last_here(self) -> str:
        """The token of the driver before, on this machine. As its lock is ours, it is gone."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._file.read_bytes())["token"])
        return ""


def owner_of(found: Parcel) -> Owner | None:
    """Whose claim it is; none where it cannot be read, so that nobody holds it."""
    try:
        owner = Owner(**json.loads(found.files[CLAIM]))
        return owner if 0 < owner.every <= 3600 else None
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
