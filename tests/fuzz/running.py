"""Coverage-guided fuzzing of everything that reads foreign bytes and names, a process a target.

Each target of ``tests/fuzz/targets.py`` is run in a process of its own, under a limit of memory and of time
an input, on seeds that it makes of real checkpoints. What was found is printed as a table. An input that
breaks a promise is kept, and ``scripts/fuzz --replay FILE TARGET`` runs it again; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MEMORY = 4096
"""MB that a target may take; torch alone takes 500."""
ADDRESSES = 24 * 2**30
"""Bytes of address space, so that a reservation of terabytes fails at once."""
SLOWEST = 20
"""Seconds for one input."""
TARGETS = {
    "folder": 40, "safetensors": 40, "spec": 40, "names": 40, "cards": 40, "server": 240, "client": 150,
    "objects": 40,
    "importing": 367, "hdf5": 3,
}  # fmt: skip
"""Target → its share of the inputs, in thousandths: more for those that take less time."""


@dataclass(frozen=True)
class Outcome:
    """What came of fuzzing one target."""

    target: str
    inputs: int
    seconds: float
    edges: int
    memory: int
    """MB, at most."""
    findings: list[Path]

    def row(self) -> str:
        speed = self.inputs / max(self.seconds, 1e-9)
        return (
            f"{self.target:<12}{self.inputs:>10,}{speed:>12,.0f}{self.edges:>10,}{self.memory:>12,}"
            f"{len(self.findings):>10}"
        )


def main() -> int:
    arguments = _arguments()
    if arguments.inside:
        return _fuzz(arguments.targets[0], arguments.inside, arguments.rest)
    if arguments.replay:
        return _replay(arguments.targets[0], arguments.replay)
    kept = Path(arguments.keep or tempfile.mkdtemp(prefix="zoo-fuzz-"))
    print(
        f"{'target':<12}{'inputs':>10}{'inputs/s':>12}{'edges':>10}{'MB at most':>12}{'findings':>10}",
        flush=True,
    )
    outcomes = []
    targets = arguments.targets or list(TARGETS)
    whole = sum(TARGETS[target] for target in targets)
    for target in targets:
        runs = -(-arguments.runs * TARGETS[target] // whole)
        outcomes.append(_run(target, runs, arguments.seconds, kept / target))
        print(outcomes[-1].row(), flush=True)
    found = [path for outcome in outcomes for path in outcome.findings]
    for path in found:
        print(f"scripts/fuzz --replay {path} {path.parent.name}")
    print(
        f"{sum(outcome.inputs for outcome in outcomes):,} inputs, {len(found)} findings; logs are in {kept}"
    )
    return int(bool(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)}")
    parser.add_argument(
        "--runs", type=int, default=100_000, help="inputs in all; fast targets get more of them"
    )
    parser.add_argument("--seconds", type=int, default=3600, help="for each target, at most")
    parser.add_argument("--keep", help="folder for logs, corpora and inputs that broke a promise")
    parser.add_argument("--replay", type=Path, help="an input to run again")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    found, rest = parser.parse_known_args()
    found.rest = rest
    if odd := set(found.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(odd))}")
    if rest and not found.inside:
        parser.error(f"{rest[0]} is not known here")
    return found


def _run(target: str, runs: int, seconds: int, folder: Path) -> Outcome:
    """A target in a process of its own, started again after a finding, until it has had its inputs."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    done, edges, memory, start = 0, 0, 0, time.monotonic()
    with open(folder / "log.txt", "w+", encoding="utf-8", errors="replace") as log:
        while done < runs and (left := seconds - (time.monotonic() - start)) > 1:
            before = log.tell()
            _process(target, runs - done, int(left), folder, log.fileno())
            log.seek(before)
            text = log.read()
            counts = [int(count) for count in re.findall(r"(?:^#|^Done |_units: )(\d+)", text, re.MULTILINE)]
            edges = max([edges, *map(int, re.findall(r"cov: (\d+)", text))])
            memory = max([memory, *map(int, re.findall(r"rss: (\d+)Mb", text))])
            done += max(counts, default=0)
            if "Done " in text or not counts or len(_findings(folder)) >= 20:
                break
    return Outcome(target, done, time.monotonic() - start, edges, memory, _findings(folder))


def _process(target: str, runs: int, seconds: int, folder: Path, log: int) -> None:
    options = [
        f"-atheris_runs={runs}",
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY}",
        f"-timeout={SLOWEST}",
        f"-artifact_prefix={folder}/",
        "-max_len=4096",
        "-report_slow_units=60",
        "-print_final_stats=1",
    ]
    command = [sys.executable, __file__, target, "--inside", str(folder / "corpus"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)


def _findings(folder: Path) -> list[Path]:
    kinds = ("crash-*", "oom-*", "timeout-*", "leak-*")
    return sorted(path for kind in kinds for path in folder.glob(kind))


def _fuzz(name: str, corpus: Path, options: list[str]) -> int:
    """In the process of a target: does not return before atheris ends it."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    sys.path.insert(0, str(TESTS))
    with tempfile.TemporaryDirectory(prefix="zoo-fuzz-", dir=_memory()) as home:
        with atheris.instrument_imports(include=["zoo"], enable_loader_override=False):
            target = _open(name, Path(home))
        for index, seed in enumerate(target.seeds()):
            (corpus / f"seed-{index}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, str(corpus)], target)
        atheris.Fuzz()
    return 0


def _replay(name: str, path: Path) -> int:
    sys.path.insert(0, str(TESTS))
    data = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="zoo-fuzz-") as home:
        _open(name, Path(home))(data)
    print(f"{name} keeps its promises on {path}")
    return 0


def _open(name: str, home: Path):  # type: ignore[no-untyped-def]  # the targets are imported late
    import logging
    import pkgutil

    import zoo

    logging.disable(logging.CRITICAL)
    for module in pkgutil.walk_packages(zoo.__path__, "zoo."):  # so that all of it is measured
        if module.name.startswith(
            ("zoo.hub", "zoo.checkpoints", "zoo.importing", "zoo.specs", "zoo.tasks", "zoo.models")
        ):
            __import__(module.name)
    from fuzz.targets import open_target

    return open_target(name, home / "sandbox")


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
