"""Driver and workers that share no disk: runs come back whole, states travel, nothing is trained twice."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from examples import experiment
from sweeps.elsewhere import Elsewhere, at_home, files_below

from zoo.engine.local import Here
from zoo.errors import EngineError, HubError, SweepLockedError, TrainingError, ZooWarning
from zoo.hub.base import UnreachableError
from zoo.hub.lookup import open_hub
from zoo.hub.parcels import Parcels, named, packed, parcels
from zoo.hub.remote_parcels import RemoteParcels
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps import claim as claims
from zoo.sweeps import driving, exchange, work
from zoo.sweeps.claim import CLAIM, Claim
from zoo.sweeps.declaring import declared
from zoo.sweeps.exchange import Exchange, run_name
from zoo.sweeps.parts import place_run, place_state, run_files, state_files
from zoo.sweeps.sweep import sweep
from zoo.training import jobs, recorder
from zoo.training.run import RESULT, STATE, Run
from zoo.training.together import fit_all

STEPS, SAVED = 12, 5
TRAIN = {
    "steps": STEPS,
    "batch_size": 4,
    "validate_every": 4,
    "validation_trials": 4,
    "save_every": SAVED,
}


@pytest.fixture
def spec() -> ExperimentSpec:
    return declared(experiment("rate-leaky", train=TRAIN, record={"evaluation": {"trials": 4}}), seeds=3)


@pytest.fixture(params=["directory", "memory", "server"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty hub."""
    if request.param != "server":
        yield str(tmp_path / "hub") if request.param == "directory" else f"memory://{uuid4().hex}"
        return
    from huggingface_hub import constants

    from zoo.hub.server import tokens
    from zoo.hub.server.running import serving

    def add(root: Path) -> str:
        return tokens.add(root, "lab", write=True, admin=False, organisations=())

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("ZOO_TOKEN", add(tmp_path / "served"))
    with serving(tmp_path / "served") as url:
        yield f"{url}/lab"


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "hub")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of the members whose training is begun, or gone on with."""
    found: list[str] = []
    train = jobs.train_members

    def train_members(experiments: Any) -> Any:
        found.extend(each.digest() for each in experiments if not Run.of(each).finished)
        return train(experiments)

    monkeypatch.setattr(jobs, "train_members", train_members)
    return found


def folders(spec: ExperimentSpec) -> dict[str, dict[str, bytes]]:
    """The files of each finished run."""
    runs = [Run.of(member) for member in spec.members()]
    return {run.folder.name: files_below(run.folder) for run in runs if run.finished}


# Finished runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [1, 3])
def test_runs_come_back_with_the_word_that_they_are_done(
    spec: ExperimentSpec, group: int, tmp_path: Path, trained: list[str], zoo_home: Path
) -> None:
    engine = Elsewhere(tmp_path / "one", tmp_path / "two")
    with pytest.warns(ZooWarning, match="a ZOO_HOME of their own") as told:
        made = sweep(spec, engine=engine, group=group)
    assert len([each for each in told if each.category is ZooWarning]) == 1, "once"
    assert made.standing.done == 3
    assert sorted(trained) == sorted(member.digest() for member in spec.members())
    there: dict[str, bytes] = {}
    for home in engine.homes:
        there |= files_below(home / "runs") if home.exists() else {}
    assert {path: data for path, data in there.items() if "/" in path} == {
        f"{name}/{path}": data for name, files in folders(spec).items() for path, data in files.items()
    }
    assert made.checkpoint().record.members == 3
    alone = Run.of(spec.member(1), zoo_home / "alone").fit(progress=False)
    assert Run.of(spec.member(1)).result["metrics"] == pytest.approx(alone["metrics"], rel=1e-4)


def test_with_a_hub_nothing_is_trained_twice_by_anyone(
    spec: ExperimentSpec, hub: str, tmp_path: Path, trained: list[str]
) -> None:
    first = sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=hub)
    assert first.standing.done == 3
    before = folders(spec)
    assert len(trained) == 3
    with at_home(tmp_path / "another driver"):
        assert sweep(spec, engine=Elsewhere(tmp_path / "another worker"), hub=hub).standing.done == 3
        assert folders(spec) == before, "the same files, on a machine that has seen none of it"
        more = sweep(spec, seeds=4, engine=Elsewhere(tmp_path / "another worker"), hub=hub)
        assert more.standing.done == 4
    assert len(trained) == 4, "of another sweep what is new"
    assert open_hub(hub).names() == []
    kinds = {kind for kind in ("run", "state", "sweep") if any(tmp_path.glob(f"*/models--*zoo-{kind}-*"))}
    assert kinds <= {"run"}, "states and claims go when they are done with"


def test_what_another_worker_has_finished_meanwhile_is_taken_from_the_hub(
    spec: ExperimentSpec, directory: str, tmp_path: Path, trained: list[str]
) -> None:
    """The driver does not know of it: it began before."""
    with at_home(tmp_path / "another"):
        run = Run.of(spec.member(2))
        run.fit(progress=False)
        files = run_files(run)

    class Late(Elsewhere):
        def submit(self, job: Any) -> Any:
            Exchange.at(directory).publish(run, files)
            return super().submit(job)

    assert sweep(spec, engine=Late(tmp_path / "worker"), hub=directory).standing.done == 3
    assert len(trained) == 2
    assert folders(spec)[run.folder.name] == files


def test_of_two_who_finish_a_run_the_first_counts(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was taken for dead is not, and both publish: all drivers get the same bytes."""
    with at_home(tmp_path / "another"):
        run = Run.of(spec.member(0))
        run.fit(progress=False)
        files = run_files(run)
    train = jobs.train_members

    def overtaken(experiments: Any) -> Any:
        found = train(experiments)
        Exchange.at(directory).publish(run, files)
        return found

    monkeypatch.setattr(jobs, "train_members", overtaken)
    assert sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory).standing.done == 3
    assert folders(spec)[run.folder.name] == files
    with at_home(tmp_path / "worker"):
        assert folders(spec)[run.folder.name] != files, "it has another wall time there"


def test_large_runs_come_through_the_hub_and_are_refused_without(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    monkeypatch.setattr(work, "SMALL", 100)
    monkeypatch.setattr(work, "LARGEST", 100)
    without = sweep(spec, engine=Elsewhere(tmp_path / "worker"))
    assert [row.kind for row in without.standing.failed] == ["TrainingError"] * 3
    assert "Call again with --hub" in without.standing.failed[0].message
    assert sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory).standing.done == 3
    assert len(trained) == 3, "where they were trained they were finished"


# States -------------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed_once_saved(act: Callable[[], Any], exchanged: Callable[[], bool]) -> None:
    """Run something until its state is on the hub, and no further."""
    save = recorder.Recorder._save_state

    def save_and_die(self: recorder.Recorder, trainer: Any) -> None:
        save(self, trainer)
        end = time.monotonic() + 30
        while not exchanged():
            assert time.monotonic() < end
            time.sleep(0.01)
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder.Recorder, "_save_state", save_and_die)
        with pytest.raises(KilledError):
            act()


@pytest.mark.parametrize(("hub", "group"), [("directory", 1), ("memory", 3), ("server", 3)], indirect=["hub"])
def test_another_worker_goes_on_from_the_last_state(
    spec: ExperimentSpec, hub: str, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "SAVED", 0.01)
    for kind in (Parcels, RemoteParcels):
        monkeypatch.setattr(kind, "beat", 0.01)
    with at_home(tmp_path / "alone"):
        fit_all([Run.of(member) for member in spec.members()][:group], progress=False)
        expected = [files for name, files in sorted(folders(spec).items())]
    there = parcels(open_hub(hub))
    state = named("state", "\n".join(member.digest() for member in spec.members()[:group]))

    def saved() -> bool:
        found = there.read(state)
        return found is not None and any(path.endswith("state.safetensors") for path in found.files)

    dies = Elsewhere(tmp_path / "dies")
    killed_once_saved(lambda: sweep(spec, engine=dies, hub=hub, group=group), saved)
    assert folders(spec) == {}
    shutil.rmtree(tmp_path / "dies")
    begun = []
    after = recorder.Recorder.on_train_batch_end

    def note(
        self: recorder.Recorder, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        begun.append(self.counter.batches_seen)
        after(self, trainer, module, outputs, batch, index)

    monkeypatch.setattr(recorder.Recorder, "on_train_batch_end", note)
    with at_home(tmp_path / "another driver"):
        assert sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=hub, group=group).standing.done == 3
        found = folders(spec)
    assert begun[: STEPS - SAVED] == [*range(SAVED + 1, STEPS + 1)], "it did not begin anew"
    assert len(begun) == (STEPS - SAVED) + (3 - group) * STEPS, begun
    weights = [
        {path: data for path, data in files.items() if path.startswith("snapshots/")} for files in expected
    ]
    names = sorted(Run.of(member).folder.name for member in spec.members()[:group])
    assert [
        {path: data for path, data in found[name].items() if path.startswith("snapshots/")} for name in names
    ] == weights, "bit by bit what was never interrupted"
    assert there.newest(state) is None


def test_a_state_that_is_damaged_costs_no_more_than_itself(
    spec: ExperimentSpec, directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = parcels(open_hub(directory))
    for index, files in enumerate(
        (
            {f"{Run.of(spec.member(0)).folder.name}/state.safetensors": b"\x80\x04K\x01."},
            {"../../x": b""},
            {f"{Run.of(spec.member(2)).folder.name}/spec.json": b"{}"},
        )
    ):
        there.write(named("state", spec.member(index).digest()), files, None)
    with pytest.raises(HubError, match="lead elsewhere"):
        there.read(named("state", spec.member(1).digest()))
    assert sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory).standing.done == 3
    assert not (tmp_path / "x").exists()


def test_states_go_where_runs_have_them_and_nowhere_else(spec: ExperimentSpec, tmp_path: Path) -> None:
    runs = [Run.of(member) for member in spec.members()]
    killed_once_saved(lambda: fit_all(runs, progress=False), lambda: True)
    files = state_files(runs)
    assert {path.rpartition("/")[2] for path in files} >= {"state.safetensors", "members.json", "group.json"}
    assert not any(path.endswith(STATE) for path in files), "no pickle travels"
    with at_home(tmp_path / "another"):
        others = [Run.of(member) for member in spec.members()]
        hostile = {
            "../escaped": b"1",
            "together/../../escaped/state.safetensors": b"1",
            "together/0123456789abcdef/code.py": b"1",
            "elsewhere/spec.json": b"1",
            f"{runs[0].folder.name}/{RESULT}": b"{}",
            f"{runs[0].folder.name}/.lock": b"1",
            f"{runs[0].folder.name}/logs/../../escaped": b"1",
        }
        place_state(others, {**files, **hostile})
        assert not any(run.finished for run in others)
        there = files_below(tmp_path / "another" / "runs", ())
        renamed = {path.replace("state.safetensors", STATE) for path in files}
        assert there.keys() == renamed
        assert state_files(others) == files
        with pytest.raises(TrainingError, match="of another spec"):
            place_state(
                others, {f"{runs[0].folder.name}/spec.json": files[f"{runs[1].folder.name}/spec.json"]}
            )


# What is not the run that was asked for ------------------------------------------------------------


def tampered(files: dict[str, bytes], how: str, other: dict[str, bytes]) -> dict[str, bytes]:
    result = json.loads(files[RESULT])
    return {
        "another run": other,
        "no result": {path: data for path, data in files.items() if path != RESULT},
        "no snapshot": {path: data for path, data in files.items() if "0000000012" not in path},
        "another path": {**files, "../escaped": b""},
        "a hidden file": {**files, ".lock": b""},
        "a pickle": {**files, STATE: b""},
        "no facts": {**files, RESULT: b"{}"},
        "wrong facts": {**files, RESULT: json.dumps({**result, "steps": "many"}).encode()},
        "wrong steps": {**files, RESULT: json.dumps({**result, "kept": ["../x"]}).encode()},
        "no JSON": {**files, RESULT: b"\xff"},
        "absurd nesting": {**files, RESULT: b"[" * 100_000},
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "another run",
        "no result",
        "no snapshot",
        "another path",
        "a hidden file",
        "a pickle",
        "no facts",
        "wrong facts",
        "wrong steps",
        "no JSON",
        "absurd nesting",
    ],
)
def test_what_is_no_run_of_this_spec_is_not_taken(
    spec: ExperimentSpec, how: str, tmp_path: Path, zoo_home: Path
) -> None:
    run, other = Run.of(spec.member(0), tmp_path / "a"), Run.of(spec.member(1), tmp_path / "b")
    for each in (run, other):
        each.folder.mkdir()
        for path, data in fabricated(each).items():
            (each.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (each.folder / path).write_bytes(data)
    target = Run.of(spec.member(0))
    with pytest.raises(TrainingError, match=r"(what|result|spec) (that )?came for"):
        place_run(target, tampered(run_files(run), how, run_files(other)))
    assert not (zoo_home / "runs").exists()
    place_run(target, run_files(run))
    assert target.finished
    assert files_below(target.folder) == files_below(run.folder)


def fabricated(run: Run) -> dict[str, bytes]:
    """The files of a finished run, without training it."""
    facts: dict[str, Any] = {
        "steps": STEPS,
        "stopped": "steps",
        "metrics": {},
        "curve": {},
        "kept": [0, STEPS],
    }
    facts |= {"wall_time": 1.0, "code": {}, "environment": {}}
    return {
        "spec.json": json.dumps(run.experiment.plain()).encode(),
        RESULT: json.dumps(facts).encode(),
        "snapshots/0000000000.safetensors": b"0",
        f"snapshots/{STEPS:010d}.safetensors": b"1",
        "logs/attempt-0/metrics.csv": b"step\n",
    }


def test_a_run_on_the_hub_that_is_none_is_named_with_what_removes_it(
    spec: ExperimentSpec, directory: str, tmp_path: Path
) -> None:
    there, run = parcels(open_hub(directory)), Run.of(spec.member(1))
    there.write(run_name(run), {"spec.json": b"{}", RESULT: b"{}"}, None)
    with pytest.raises(TrainingError, match=rf"came for {run.folder.name}.*zoo delete {run_name(run)} --hub"):
        sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory)


def test_bytes_that_came_damaged_are_a_failure_of_that_member(
    spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    def damaged(files: Any) -> dict[str, bytes]:
        found = packed(files)
        last = list(found)[-1]
        return {**found, last: found[last][:-1]}

    with monkeypatch.context() as patch:
        patch.setattr("zoo.hub.parcels.packed", damaged)
        with pytest.warns(ZooWarning, match="of their own"):
            made = sweep(spec, engine=Elsewhere(tmp_path / "worker"))
    assert [row.kind for row in made.standing.failed] == ["ValueError"] * 3
    assert "is not what the index says" in made.standing.failed[0].message
    with pytest.warns(ZooWarning, match="of their own"):
        assert sweep(spec, engine=Elsewhere(tmp_path / "worker")).standing.done == 3
    assert len(trained) == 3, "the worker has it still"


# A hub that is away, or not for us -----------------------------------------------------------------


class Away:
    """A hub that does not answer for a while."""

    beat = 15.0

    def __init__(self, hub: Parcels, patch: pytest.MonkeyPatch) -> None:
        self.answers, self.asked = threading.Event(), 0
        self.answers.set()
        for name in ("newest", "read", "write", "remove"):
            patch.setattr(type(hub), name, self._maybe(getattr(type(hub), name)))

    def _maybe(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any) -> Any:
            if not self.answers.is_set():
                self.asked += 1
                raise UnreachableError("cannot reach the hub: it is away. Try again later.")
            return act(*arguments)

        return asked


def test_a_hub_that_goes_away_for_a_while_is_waited_for(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    monkeypatch.setattr(exchange, "FIRST", 0.01)
    away = Away(parcels(open_hub(directory)), monkeypatch)
    train = jobs.train_members

    def leaving(experiments: Any) -> Any:
        found = train(experiments)
        if len(trained) == 2:
            away.answers.clear()
            threading.Timer(0.5, away.answers.set).start()
        return found

    monkeypatch.setattr(jobs, "train_members", leaving)
    made = sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory)
    assert made.standing.done == 3
    assert len(trained) == 3
    assert 2 < away.asked < 50, "with ever longer pauses"
    assert all(parcels(open_hub(directory)).newest(run_name(Run.of(each))) for each in spec.members())


def test_where_it_stays_away_what_is_finished_is_kept(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    monkeypatch.setattr(exchange, "FIRST", 0.01)
    monkeypatch.setattr(exchange, "AWAY", 0.1)
    away = Away(parcels(open_hub(directory)), monkeypatch)
    train = jobs.train_members

    def leaving(experiments: Any) -> Any:
        found = train(experiments)
        if len(trained) == 2:
            away.answers.clear()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "train_members", leaving)
        made = sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory)
    assert made.standing.done == 2, "the second came back without the hub"
    assert [row.kind for row in made.standing.failed] == ["UnreachableError"]
    away.answers.set()
    assert sweep(spec, engine=Elsewhere(tmp_path / "worker"), hub=directory).standing.done == 3
    assert len(trained) == 3


def test_a_worker_on_another_hub_is_refused(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    class Wrong(Elsewhere):
        def submit(self, job: Any) -> Any:
            shutil.move(directory, tmp_path / "moved")
            return super().submit(job)

    with pytest.raises(EngineError, match=r"does not find at .*hub what its driver has written there"):
        sweep(spec, engine=Wrong(tmp_path / "worker"), hub=directory)
    assert trained == []


def test_a_worker_that_may_not_write_is_refused_before_it_trains(
    spec: ExperimentSpec, directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise HubError("this token may not do that.")

    class Reader(Elsewhere):
        def submit(self, job: Any) -> Any:
            with monkeypatch.context() as patch:
                patch.setattr("zoo.hub.parcels.DirectoryParcels.write", refuse)
                return super().submit(job)

    with pytest.raises(EngineError, match=r"cannot write to the hub: this token.*where workers run"):
        sweep(spec, engine=Reader(tmp_path / "worker"), hub=directory)
    assert trained == []


def test_what_is_no_hub_leaves_nothing_behind(spec: ExperimentSpec, zoo_home: Path) -> None:
    with pytest.raises(HubError, match="no organisation"):
        sweep(spec, hub="https://hub.example.org")
    with pytest.raises(HubError, match="zoo serve"):
        sweep(spec, hub="registry")
    with pytest.raises(HubError, match="there is no hub"):
        sweep(spec, hub="nowhere")
    assert os.listdir(zoo_home) == []


# Two drivers --------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Parcels, RemoteParcels):
        monkeypatch.setattr(kind, "beat", 0.1)


def claim(spec: ExperimentSpec, hub: str, folder: Path) -> Claim:
    folder.mkdir(exist_ok=True)
    return Claim(parcels(open_hub(hub)), named("sweep", spec.digest()), spec, folder)


def test_of_two_drivers_on_two_machines_the_second_is_told(
    spec: ExperimentSpec, hub: str, tmp_path: Path, quick: None
) -> None:
    with (
        claim(spec, hub, tmp_path / "one"),
        pytest.warns(ZooWarning, match="was driving this sweep"),
        pytest.raises(SweepLockedError, match=rf"process {os.getpid()} on .* is driving this sweep through"),
    ):
        sweep(spec, hub=hub)
    assert sweep(spec, hub=hub).standing.done == 3, "nobody is left"


def test_a_driver_that_was_killed_is_followed(
    spec: ExperimentSpec, directory: str, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own machine at once, elsewhere when it has not been heard of for a while."""
    dead = claim(spec, directory, tmp_path / "one")
    monkeypatch.setattr(dead, "_beat", lambda: None)
    dead._thread = threading.Thread(target=lambda: None)
    dead.__enter__()
    with claim(spec, directory, tmp_path / "one") as again:
        again.check()
    dead._take("")
    with pytest.warns(ZooWarning, match="watched for 0 s"), claim(spec, directory, tmp_path / "two") as other:
        other.check()


def test_a_driver_that_was_taken_for_gone_ends(
    spec: ExperimentSpec, directory: str, tmp_path: Path, quick: None
) -> None:
    with claim(spec, directory, tmp_path / "one") as first:
        there = parcels(open_hub(directory))
        found = None
        while found is None:
            found = there.read(first.name)
        other = {**json.loads(found.files[CLAIM]), "token": "another", "host": "elsewhere", "process": 7}
        while True:
            try:
                there.write(first.name, {CLAIM: json.dumps(other).encode()}, there.newest(first.name))
                break
            except HubError:
                continue
        first._thread.join(10)
        with pytest.raises(SweepLockedError, match="process 7 on elsewhere has taken this sweep over"):
            first.check()
    assert there.newest(first.name) is not None, "it is the other's now"


def test_a_claim_that_somebody_removed_is_written_again(
    spec: ExperimentSpec, directory: str, tmp_path: Path, quick: None
) -> None:
    there = parcels(open_hub(directory))
    with claim(spec, directory, tmp_path / "one") as first:
        there.remove(first.name)
        end = time.monotonic() + 10
        while there.newest(first.name) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        first.check()
    assert there.newest(first.name) is None


@pytest.mark.parametrize("content", [{}, {CLAIM: b"{"}, {CLAIM: b'{"token": 1}'}])
def test_a_claim_that_cannot_be_read_is_nobodys(
    spec: ExperimentSpec, directory: str, tmp_path: Path, quick: None, content: dict[str, bytes]
) -> None:
    parcels(open_hub(directory)).write(named("sweep", spec.digest()), content, None)
    with claim(spec, directory, tmp_path / "one") as made:
        made.check()


def test_patience_of_who_watches_has_no_clock_but_its_own(
    spec: ExperimentSpec, directory: str, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim says nothing of the time of day, so that clocks may disagree as they like."""
    with claim(spec, directory, tmp_path / "one") as made:
        found = parcels(open_hub(directory)).read(made.name)
        assert found is not None
        assert json.loads(found.files[CLAIM]).keys() == {"token", "host", "process", "every", "beats"}
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert claims.PATIENCE * 0.1 < 1
    assert sweep(spec, engine=Here(), hub=directory).standing.done == 3
