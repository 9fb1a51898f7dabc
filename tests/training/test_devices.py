"""Several devices train one network: two CPU processes (gloo) against one, launched, lost, refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from examples import LAYERED, MEMORIES, MODELS, SAMPLERS, SYSTEMS, experiment
from safetensors.torch import load_file
from torch import nn

import zoo
from zoo import registry
from zoo.errors import DivergedError, RankLostError, TrainingError
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec, TrainSpec
from zoo.training.data import check_shareable, share_noise
from zoo.training.place import Place, by_itself
from zoo.training.run import Run
from zoo.training.strategies import Started, accelerator, losses_explained

RANKS = Path(__file__).with_name("ranks.py")
ZOO = str(Path(sys.executable).with_name("zoo"))
TRAIN = {
    "steps": 50,
    "batch_size": 8,
    "precision": "64-true",
    "accelerator": "cpu",
    "validate_every": 10,
    "validation_trials": 32,
    "save_every": 20,
}
CLIPPED = {
    "kind": "backprop",
    "optimizer": {"kind": "adam", "lr": 1e-2},
    "clip_norm": 0.05,
    "schedule": {"kind": "cosine", "warmup": 5},
}
MOMENTUM = {
    "kind": "backprop",
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9},
    "activity_penalty": 0.01,
    "schedule": {"kind": "step", "every": 20, "factor": 0.3},
}
WILD = {"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 1e30}}
PLAIN = {"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 0.3}}


def case(model: str, learner: dict[str, Any], **train: Any) -> ExperimentSpec:
    return experiment(model, train={**TRAIN, **train}).updated(learner=learner)


STOP = {"metric": "train/loss", "at_most": 0.8}
CASES = {
    # noise in the model, gradients clipped at each step, a schedule with a warm-up
    "ddp": case("rate-leaky", CLIPPED, strategy="ddp"),
    "fsdp": case("rate-leaky", CLIPPED, strategy="fsdp"),
    "ddp-momentum": case("gru", MOMENTUM, strategy="ddp"),
    "fsdp-plain": case("lstm", PLAIN, strategy="fsdp"),
    "ddp-stop": case("elman", PLAIN, strategy="ddp", steps=3000, stop=STOP, validate_every=1000),
    "fsdp-stop": case("elman", PLAIN, strategy="fsdp", steps=3000, stop=STOP, validate_every=1000),
    "ddp-diverges": case("elman-relu", WILD, strategy="ddp"),
    "no-steps": case("elman", PLAIN, strategy="ddp", steps=0),
}


def two(spec: ExperimentSpec, devices: int = 2) -> ExperimentSpec:
    return spec.model_copy(update={"train": spec.train.model_copy(update={"devices": devices})})


def as_launched(command: list[str], **environment: str) -> list[subprocess.Popen[bytes]]:
    """Two processes with the variables that a launcher gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **environment}
    return [
        subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]


def by_two(folder: Path, cases: dict[str, ExperimentSpec]) -> list[dict[str, dict[str, Any]]]:
    """Train cases by two processes, one after the other, in folders named alike; what each process says."""
    listed = folder / "cases.json"
    listed.write_text(json.dumps([[two(spec).plain(), str(folder / name)] for name, spec in cases.items()]))
    assert [process.wait(250) for process in as_launched([sys.executable, str(RANKS), str(listed)])] == [0, 0]
    said = [json.loads(Path(f"{listed}.{rank}").read_text()) for rank in range(2)]
    return [dict(zip(cases, outcomes, strict=True)) for outcomes in said]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, dict[str, Any]]]]:
    """The cases, trained by two processes: the folder, and what each process says."""
    folder = tmp_path_factory.mktemp("pair")
    return folder, by_two(folder, CASES)


@pytest.mark.parametrize("name", [name for name in CASES if "diverges" not in name])
def test_two_processes_train_the_network_that_one_trains(
    name: str, pair: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, said = pair
    alone, shared = Run.of(CASES[name], tmp_path), Run.of(two(CASES[name]), folder / name)
    expected = alone.fit(progress=False)
    assert alone.experiment.digest() == shared.experiment.digest()
    found = shared.result
    assert found["steps"] == expected["steps"]
    assert found["stopped"] == expected["stopped"] == ("target" if "stop" in name else "steps")
    assert found["kept"] == expected["kept"]
    assert found["curve"]["steps"] == expected["curve"]["steps"]
    for step in expected["kept"]:
        a, b = load_file(alone.snapshot(step)), load_file(shared.snapshot(step))
        assert a.keys() == b.keys()
        for tensor in a:
            torch.testing.assert_close(a[tensor], b[tensor], rtol=0, atol=1e-8, msg=f"{tensor} at {step}")
    for metric, value in expected["metrics"].items():
        assert found["metrics"][metric] == pytest.approx(value, abs=1e-8)
    assert said[0][name]["weights"] == said[1][name]["weights"], "the processes have equal weights"
    assert found == {key: said[1][name][key] for key in found}, "all return what the first has written"


@pytest.mark.slow
def test_every_model_that_learns(tmp_path: Path) -> None:
    """None has parameters that the processes would wait for in vain."""
    apart = {**SYSTEMS, **MEMORIES, **SAMPLERS}
    models = [name for name in {**MODELS, **LAYERED} if name not in apart]
    cases = {
        f"{name}-{strategy}": case(name, CLIPPED, strategy=strategy, steps=5)
        for name in models
        for strategy in ("ddp", "fsdp")
    }
    by_two(tmp_path, cases)
    for name in models:
        alone = Run.of(case(name, CLIPPED, steps=5), tmp_path / name)
        alone.fit(progress=False)
        for strategy in ("ddp", "fsdp"):
            shared = Run.of(cases[f"{name}-{strategy}"], tmp_path / f"{name}-{strategy}")
            a, b = load_file(alone.snapshot(5)), load_file(shared.snapshot(5))
            assert all(torch.allclose(a[key], b[key], rtol=0, atol=1e-8) for key in a), (name, strategy)


def test_a_stop_looks_at_the_loss_of_the_whole_batch(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    steps = pair[1][0]["ddp-stop"]["steps"]
    assert 1 < steps < 3000
    log = (pair[0] / "ddp-stop" / "logs" / "attempt-0" / "metrics.csv").read_text()
    assert "train/loss" in log
    assert [path.name for path in (pair[0] / "ddp-stop" / "logs").iterdir()] == ["attempt-0"]


def test_all_processes_say_that_they_diverge(pair: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as alone:
        Run.of(CASES["ddp-diverges"], tmp_path).fit(progress=False)
    for said in pair[1]:
        assert said["ddp-diverges"]["error"] == "DivergedError"
        assert said["ddp-diverges"]["step"] == alone.value.step


# Started by the zoo itself ------------------------------------------------------------------

PROGRAM = """
import sys, zoo
print(zoo.train({spec!r}, {overrides!r}, folder={folder!r}).path)
"""
SMALL = {"steps": 30, "batch_size": 8, "precision": "64-true", "accelerator": "cpu", "devices": 2}


def written(folder: Path, spec: ExperimentSpec) -> Path:
    """The spec as a file, named as it should be."""
    path = folder / f"{spec.name}.yaml"
    path.write_text(json.dumps(spec.plain()))  # which is YAML
    return path


@pytest.mark.slow  # of which docs/devices.md has a quick one
def test_a_program_without_a_main_module(tmp_path: Path) -> None:
    """From standard input, as from a notebook: nothing there that another process could import."""
    spec = experiment(train={**SMALL, "strategy": "ddp"})
    program = PROGRAM.format(spec=str(written(tmp_path, spec)), overrides=[], folder=str(tmp_path / "run"))
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert (done.stderr, done.returncode) == ("", 0)
    checkpoint = zoo.load(done.stdout.strip())
    assert checkpoint.record is not None
    assert checkpoint.record.steps == (30,)
    run = Run.of(spec, tmp_path / "run")
    alone = Run.of(two(spec, 1), tmp_path / "alone")
    alone.fit(progress=False)
    a, b = load_file(run.snapshot(30)), load_file(alone.snapshot(30))
    assert all(torch.allclose(a[name], b[name], rtol=0, atol=1e-8) for name in a)
    assert not (run.folder / "state.ckpt").exists()
    assert not list(run.folder.rglob("*.new"))


@pytest.mark.slow
def test_a_program_without_a_guard_is_run_once(tmp_path: Path) -> None:
    spec = experiment(train={**SMALL, "strategy": "fsdp"})
    script = tmp_path / "trains.py"
    script.write_text(
        "print('begins')\n"
        + PROGRAM.format(spec=str(written(tmp_path, spec)), overrides=[], folder=str(tmp_path / "run"))
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["begins", str(tmp_path / "run" / "checkpoint")]


@pytest.mark.slow
def test_the_command_and_a_population(tmp_path: Path, zoo_home: Path) -> None:
    spec = experiment(train={**SMALL, "steps": 5}, population={"members": 2})
    command = [ZOO, "train", str(written(tmp_path, spec)), "train.strategy=ddp", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["record"]["members"] == 2


@pytest.mark.slow
def test_the_command_under_torchrun_speaks_once(tmp_path: Path) -> None:
    spec = experiment(train={**SMALL, "steps": 5, "strategy": "ddp"})
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "--no-python",
    ]
    command += [ZOO, "train", str(written(tmp_path, spec)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["record"]["steps"] == [5]


@pytest.mark.slow
def test_divergence_comes_back_as_itself(tmp_path: Path) -> None:
    spec = two(case("elman-relu", WILD, strategy="ddp"))
    with pytest.raises(DivergedError, match="ReLU units") as caught:
        Run.of(spec, tmp_path).fit(progress=False)
    assert 1 <= caught.value.step <= 10
    assert "learner.clip_norm" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_process_that_is_killed(victim: int, strategy: str, tmp_path: Path) -> None:
    """kill -9 of one of two; the other ends too, and the next call goes on to the same weights."""
    spec = two(case("rate-leaky", CLIPPED, strategy=strategy, steps=400))
    run, alone = Run.of(spec, tmp_path / "pair"), Run.of(two(spec, 1), tmp_path / "alone")
    expected = alone.fit(progress=False)
    command = [sys.executable, "-c", FITS, json.dumps(spec.plain()), str(run.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
        ranks = children(caller.pid, lambda: (run.folder / "state.ckpt").exists())
        ranks[victim].kill()
        assert caller.communicate(timeout=60)[0].startswith(f"RankLostError process {victim} of 2")
    assert not any(rank.is_running() for rank in ranks)
    assert not run.finished
    result = run.fit(progress=False)
    assert result["curve"]["steps"] == expected["curve"]["steps"]
    a, b = load_file(alone.snapshot(400)), load_file(run.snapshot(400))
    assert all(torch.allclose(a[name], b[name], rtol=0, atol=1e-8) for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_caller(ending: signal.Signals, tmp_path: Path) -> None:
    spec = two(case("gru", MOMENTUM, strategy="ddp", steps=100_000))
    command = [sys.executable, "-c", FITS, json.dumps(spec.plain()), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as caller:
        ranks = children(caller.pid, lambda: (tmp_path / "state.ckpt").exists())
        caller.send_signal(ending)
        caller.wait(30)
    gone, left = psutil.wait_procs(ranks, timeout=10)
    assert len(gone) == 2
    assert not left


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(tmp_path: Path) -> None:
    """Begun by two, gone on with by one, and by two whose weights are sharded."""
    plain = case("rate-leaky", CLIPPED, steps=300)
    run, alone = Run.of(plain, tmp_path / "run"), Run.of(plain, tmp_path / "alone")
    alone.fit(progress=False)
    seen = 0
    for devices, strategy in ((2, "ddp"), (1, "auto"), (2, "fsdp"), (2, "ddp")):
        spec = case("rate-leaky", CLIPPED, steps=300, strategy=strategy, devices=devices)
        command = [sys.executable, "-c", FITS, json.dumps(spec.plain()), str(run.folder)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and saved(run) <= seen:
                time.sleep(0.01)
            process.kill()
        assert not run.finished
        seen = saved(run)
    assert seen > 20
    Run.of(case("rate-leaky", CLIPPED, steps=300, strategy="fsdp", devices=2), run.folder).fit(progress=False)
    a, b = load_file(alone.snapshot(300)), load_file(run.snapshot(300))
    assert all(torch.allclose(a[name], b[name], rtol=0, atol=1e-8) for name in a)


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error(small_disk: Path) -> None:
    wide = {"kind": "elman", "hidden": 60}
    spec = experiment(train={**SMALL, "strategy": "ddp"}).updated(model=wide)
    (small_disk / "filler").write_bytes(bytes(900_000))
    with pytest.raises(TrainingError, match="cannot be written: No space left on device"):
        Run.of(spec, small_disk / "run").fit(progress=False)


MINE = """
from typing import Literal
from zoo.models.recurrent import Elman
from zoo.specs.models.recurrent import ElmanSpec

class MineSpec(ElmanSpec):
    kind: Literal["mine"] = "mine"
"""
REGISTERS = """
from zoo import registry
registry.register("models", "mine", registry.Kind("{0}:MineSpec", "{0}:Elman"))
"""


@pytest.mark.slow
def test_kinds_that_the_program_registers(tmp_path: Path) -> None:
    """From a module they are known to all processes; from the program itself, they are refused."""
    spec = {**two(CASES["ddp-stop"]).plain(), "model": {"kind": "mine", "hidden": 5}}
    command = [sys.executable, "-", json.dumps(spec)]
    (tmp_path / "mine.py").write_text(MINE)
    for where, text, said in (
        ("mine", REGISTERS.format("mine"), ""),
        ("__main__", MINE + REGISTERS.format("__main__"), "TrainingError 'mine' of the models is defined in"),
    ):
        folder = tmp_path / where
        done = subprocess.run(
            [*command, str(folder)],
            input=text + FITS,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(said)
        assert bool(done.stdout) == bool(said)
        assert (folder / "result.json").exists() != bool(said)


# Refused before anything starts -------------------------------------------------------------


def test_a_learner_has_to_say_that_batches_can_be_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.learners.backprop.Backprop.distributes", False)
    with pytest.raises(TrainingError, match=r"'backprop' does not say .* 2 devices .* train\.devices=1"):
        Run.of(two(CASES["ddp"]), tmp_path).fit(progress=False)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.BatchNorm1d(3)])
def test_layers_that_would_do_something_else(layer: nn.Module) -> None:
    learner, _ = registry.resolve(two(CASES["ddp"]))
    check_shareable(learner)
    learner.network.model.add_module("odd", layer)
    with pytest.raises(TrainingError, match=f"the layer odd .{type(layer).__name__}. of the model 'rate'"):
        check_shareable(learner)


@pytest.mark.parametrize(
    ("train", "gpus", "said"),
    [
        ({"accelerator": "gpu"}, 0, "torch .* finds none here"),
        ({"accelerator": "mps"}, 0, "torch .* finds none here"),
        ({"devices": 2, "accelerator": "auto"}, 1, r"torch sees 1 GPU here. Give train.devices=1"),
        (
            {"devices": 2, "accelerator": "cpu", "strategy": "fsdp", "precision": "bf16-mixed"},
            0,
            "needs GPUs",
        ),
    ],
)
def test_what_the_machine_cannot_do(
    train: dict[str, Any], gpus: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=said):
        accelerator(TrainSpec.model_validate(train), Place())


def test_the_kind_of_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert accelerator(TrainSpec(devices=4), Place()) == "cuda"
    assert accelerator(TrainSpec(devices=8), Place(0, 8, nodes=2)) == "cuda"
    assert accelerator(TrainSpec(devices=8, accelerator="cpu"), Place()) == "cpu"


# Whose process this is ----------------------------------------------------------------------

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SRUN = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_JOB_ID": "123",
    "SLURM_STEP_ID": "2",
}


def test_places() -> None:
    assert Place.of(TrainSpec(devices=8), {**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}) == Place(
        5, 8, 1, 2, "torchrun"
    )
    assert Place.of(TrainSpec(devices=4), SRUN) == Place(3, 4, 1, 2, "srun")
    assert Place.of(TrainSpec(devices=1), SRUN) == Place(), "each of several that train by themselves"
    assert Place.of(TrainSpec(devices=2), {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}) == Place(), "no step"
    assert Place.of(TrainSpec(devices=4), {**SRUN, "SLURM_STEP_NUM_TASKS": "1"}).world == 1
    with by_itself():
        assert Place.of(TrainSpec(devices=4), SRUN) == Place()


def test_another_number_of_processes_than_devices() -> None:
    with pytest.raises(TrainingError, match=r"srun has started 4 processes, and train.devices is 2: .*=4"):
        Place.of(TrainSpec(devices=2), SRUN)
    with pytest.raises(TrainingError, match="not as many on each"):
        Place.of(TrainSpec(devices=4), {**SRUN, "SLURM_STEP_TASKS_PER_NODE": "3,1"})


def test_where_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    environment = Started(Place.of(TrainSpec(devices=4)))
    assert environment.main_address == "gpu07"
    assert 15_000 <= environment.main_port < 30_000
    assert environment.creates_processes_externally
    assert (environment.global_rank(), environment.node_rank(), environment.local_rank()) == (3, 1, 1)
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "4321")
    assert (environment.main_address, environment.main_port) == ("10.0.0.1", 4321)


def test_waiting_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.place.PATIENCE", 0.1)
    Place(1, 2).wait_for(tmp_path)
    with pytest.raises(RankLostError, match="see the same folder"):
        Place(1, 2).wait_for(tmp_path / "never")


def test_noise_is_that_of_the_example_wherever_it_is() -> None:
    networks = [build(CASES["ddp"]) for _ in range(4)]
    for rank, network in enumerate(networks[1:]):
        share_noise(network, rank, 3)
    drawn = []
    for network, examples in zip(networks, (6, 2, 2, 2), strict=True):
        torch.manual_seed(7)
        drawn.append(network.model.noise(examples, 4))
        assert torch.rand(1) == pytest.approx(drawn and _next(networks[0])), "the generators stay together"
    whole, *parts = drawn
    assert whole is not None
    for rank, part in enumerate(parts):
        assert torch.equal(part, whole[rank::3])


def _next(network: Any) -> float:
    state = torch.get_rng_state()
    torch.manual_seed(7)
    network.model.noise(6, 4)
    value = torch.rand(1).item()
    torch.set_rng_state(state)
    return value


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), losses_explained(2):
        raise RuntimeError("shapes do not fit")
    with pytest.raises(RankLostError, match="call again"), losses_explained(2):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection closed by peer")


FITS = """
import json, signal, sys
from pathlib import Path
from zoo.errors import TrainingError
from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import Run
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
try:
    Run.of(ExperimentSpec.model_validate(json.loads(sys.argv[1])), Path(sys.argv[2])).fit(progress=False)
except TrainingError as problem:
    print(type(problem).__name__, problem)
"""


def children(caller: int, ready: Callable[[], bool]) -> list[psutil.Process]:
    """The processes that train for a caller, by rank, once they are at work."""
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.02)
    return sorted(psutil.Process(caller).children(), key=lambda child: int(child.environ()["RANK"]))


def saved(run: Run) -> int:
    try:
        return torch.load(run.folder / "state.ckpt", weights_only=True)["zoo"]["batches_seen"]
    except (OSError, RuntimeError, EOFError):
        return 0
