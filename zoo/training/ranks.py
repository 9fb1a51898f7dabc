"""Several processes of this machine that train one network together: started, watched and ended here.

Each is a fresh Python that reads the run folder. The caller's program is not run again and its main module
not imported, so it may be a script without a guard, a notebook, or standard input; and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.errors import DivergedError, RankLostError, TrainingError, ZooError, cut
from zoo.specs.experiment import ExperimentSpec, TrainSpec

GRACE = 5.0
"""Seconds that the others have to say what went wrong with them, once one has failed."""


def launch(experiment: ExperimentSpec, folder: Path, progress: bool) -> None:
    """Train the experiment of a run folder, one process a device, to its ``result.json``.

    Raises what the processes raise, and :class:`RankLostError` where one of them is killed.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from zoo.training.run import RESULT

    train, kinds = experiment.train, _kinds(experiment)
    # It lives here, so that there is a port that nobody else can take in the meantime.
    store = TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zoo-ranks-") as reports, contextlib.ExitStack() as held:
        processes: list[subprocess.Popen[bytes]] = []
        held.callback(_end, processes)
        for rank in range(train.devices):
            shown = rank == 0 and progress and sys.stderr.isatty()
            log = held.enter_context(open(_log(folder, rank), "wb"))
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", __name__, str(folder), reports, str(int(shown)), kinds],
                    stdin=subprocess.PIPE,  # closed when this process ends, however it does
                    stdout=log,
                    stderr=None if shown else log,
                    env=_environment(rank, train, store.port),
                    start_new_session=True,  # so that Ctrl-C comes here alone
                )
            )
        if not _wait(processes) and not (folder / RESULT).exists():
            _explain(folder, Path(reports), processes)


def _kinds(experiment: ExperimentSpec) -> str:
    """What this program has registered, for the processes to register as well."""
    found = registry.registered()
    parts = {"models": experiment.model, "tasks": experiment.task, "learners": experiment.learner}
    for family, part in parts.items():
        kind = found.get((family, part.kind))
        if kind is not None and any(where.startswith("__main__:") for where in kind):
            raise TrainingError(
                f"{part.kind!r} of the {family} is defined in the program itself ({kind.spec}), which the "
                f"{experiment.train.devices} processes that train do not import. Move it into a module and "
                "register it from there; or start the program under torchrun, which runs it in each process; "
                "or give train.devices=1."
            )
    return json.dumps([[*key, *kind] for key, kind in found.items()])


def _wait(processes: list[subprocess.Popen[bytes]]) -> bool:
    """Whether all have ended well. Where one has not, the others have a moment to fail as well."""
    until = None
    while any(process.poll() is None for process in processes):
        if until is None and any(process.returncode for process in processes):
            until = time.monotonic() + GRACE
        if until is not None and time.monotonic() > until:
            break
        time.sleep(0.02)
    return not any(process.poll() != 0 for process in processes)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Kill what still runs: a run can be killed at any moment."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _environment(rank: int, train: TrainSpec, port: int) -> dict[str, str]:
    world = str(train.devices)
    found = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": world,
        "LOCAL_WORLD_SIZE": world,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is there
        "OMP_NUM_THREADS": str(train.threads),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path),
    }
    for interface in ("lo", "lo0"):  # what the machine is called may have any address, or none
        if interface in {name for _, name in socket.if_nameindex()}:
            found.setdefault("GLOO_SOCKET_IFNAME", interface)
    return found


def _explain(folder: Path, reports: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """Raise what went wrong: an error that a process reports before one that is merely gone, and that
    before those that noticed."""
    world = len(processes)
    told = [json.loads(path.read_text()) for path in sorted(reports.glob("*.json"))]
    for report in sorted(told, key=lambda report: report["rank"]):
        if report["kind"] != RankLostError.__name__:
            raise _error(report, world, folder)
    codes = [process.poll() for process in processes]
    for rank, code in enumerate(codes):
        if code and not (reports / f"{rank}.json").exists():
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            why = " (short of memory, perhaps)" if code == -signal.SIGKILL else ""
            raise RankLostError(
                f"process {rank} of {world} that trained together ended with {name}{why}; its log is "
                f"{_log(folder, rank)}. Call again: training goes on from the last saved state."
            )
    raise RankLostError(told[0]["message"])


def _error(report: dict[str, Any], world: int, folder: Path) -> Exception:
    match report["kind"]:
        case "DivergedError":
            return DivergedError(report["step"], report["causes"])
        case "MemoryError":
            return MemoryError(report["message"])
        case "OSError":
            return OSError(report["errno"], report["message"])
    if report["zoo"]:
        return TrainingError(report["message"])
    log = _log(folder, report["rank"])
    return TrainingError(
        f"process {report['rank']} of {world} that trained together failed with {report['kind']}: "
        f"{cut(report['message'], 500)}. Its log is {log}."
    )


def _log(folder: Path, rank: int) -> Path:
    return folder / "logs" / f"rank-{rank}.log"


# In the processes ---------------------------------------------------------------------------


def main() -> None:
    """What each process does; what goes wrong it reports in a file."""
    threading.Thread(target=_end_with_caller, daemon=True).start()
    folder, reports, shown = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "1"
    for family, kind, *where in json.loads(sys.argv[4]):
        registry.register(family, kind, registry.Kind(*where))
    rank = int(os.environ["RANK"])
    try:
        from zoo.training.run import Run

        Run(_experiment(folder), folder).train(progress=shown)
    except Exception as problem:
        import traceback

        traceback.print_exc()
        (reports / f"{rank}.new").write_text(json.dumps({"rank": rank, **_report(problem)}))
        os.replace(reports / f"{rank}.new", reports / f"{rank}.json")
        sys.stderr.flush()
        os._exit(1)  # at once: nothing that waits for the others


def _end_with_caller() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def _experiment(folder: Path) -> ExperimentSpec:
    return ExperimentSpec.model_validate(json.loads((folder / "spec.json").read_text()))


def _report(problem: Exception) -> dict[str, Any]:
    from zoo.engine.job import lacks_memory

    kind, found = type(problem).__name__, dict[str, Any]()
    if isinstance(problem, DivergedError):
        kind, found = "DivergedError", {"step": problem.step, "causes": problem.causes}
    elif lacks_memory(problem):
        kind = "MemoryError"
    elif isinstance(problem, OSError) and problem.errno is not None:
        kind, found = "OSError", {"errno": problem.errno}
    message = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    return {"kind": kind, "message": message, "zoo": isinstance(problem, ZooError), **found}


if __name__ == "__main__":
    main()
