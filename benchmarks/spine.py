"""What the zoo costs against doing the same by hand: start-up, loading, training.

Run from a checkout: ``python benchmarks/spine.py [startup] [load] [train]``. Prints a Markdown table.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from timing import Ratio, python, report, side_by_side

ZOO = "import sys; from zoo.cli import main; sys.argv[1:] = {}; main()"


def startup() -> list[tuple[str, str, Ratio, str]]:
    """Whole processes."""
    empty = side_by_side(python("-c", "import zoo"), python("-c", "import torch"), 9)
    rows = [("`import zoo`", "`import torch`", empty, "≤ 0.1")]
    for command in ("list", "validate"):
        ratio = side_by_side(python("-c", ZOO.format([command])), python("-c", "import torch"), 9)
        rows.append((f"`zoo {command}` (whole catalogue)", "`import torch`", ratio, "≤ 0.5"))
    return rows


def load(name: str = "dsa-rnn-flipflop") -> list[tuple[str, str, Ratio, str]]:
    """By name, verified and strict, against the bare minimum; in process, and a whole process once."""
    import safetensors.torch

    import zoo
    from zoo.hub import fetch
    from zoo.network import assemble

    rows = []
    for each in (name, name.replace("rnn", "gru"), name.replace("rnn", "lstm")):
        folder = fetch(each)
        member = folder.experiment.member(0)
        path = str(folder.path / folder.record.weights())

        def bare(path: str = path, member: object = member) -> object:
            tensors = safetensors.torch.load_file(path)
            network = assemble(member)
            network.model.load_state_dict(tensors)
            return network.eval()

        ratio = side_by_side(lambda each=each: zoo.load(each), bare, 60, warmup=5)
        rows.append((f'`zoo.load("{each}")`', "`load_file` and building the module", ratio, "≤ 3, ≤ 50 ms"))
    ours = f"import torch, zoo; zoo.load({name!r})"
    path = str(fetch(name).path / "model-0.safetensors")
    theirs = f"import torch; from safetensors.torch import load_file; load_file({path!r})"
    whole = side_by_side(python("-c", ours), python("-c", theirs), 9)
    rows.append((f'`import torch, zoo; zoo.load("{name}")`', "`import torch; load_file(…)`", whole, ""))
    return rows


def train(steps: int = 600) -> list[tuple[str, str, Ratio, str]]:
    """The same model, data, optimizer and steps; the zoo's with its recorder, snapshots and logs."""
    import torch
    from torch import nn

    from zoo.registry import implementation
    from zoo.specs.loading import load as load_spec
    from zoo.training.run import Run

    torch.set_num_threads(1)
    rows = []
    for name in ("dsa-rnn-flipflop", "dsa-gru-flipflop", "dsa-lstm-flipflop"):
        spec = load_spec(name, ["population=null", "train.stop=null", f"train.steps={steps}"])
        task = implementation("tasks", spec.task.kind)(spec.task)

        def by_hand(spec: object = spec, task: object = task) -> None:
            kind = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[spec.model.kind]
            cell, readout = kind(3, spec.model.hidden, batch_first=True), nn.Linear(spec.model.hidden, 3)
            parameters = [*cell.parameters(), *readout.parameters()]
            optimizer = torch.optim.Adam(parameters, spec.learner.optimizer.lr)
            for step in range(steps):
                batch = task.batch("train", 0, step, spec.train.batch_size)
                loss = ((readout(cell(batch.x)[0]) - batch.y) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, spec.learner.clip_norm)
                optimizer.step()

        def through_the_zoo(spec: object = spec) -> None:
            with tempfile.TemporaryDirectory() as folder:
                Run.of(spec, Path(folder) / "run").fit(progress=False)

        ratio = side_by_side(through_the_zoo, by_hand, 5)
        goal = "≤ 1.15" if name == "dsa-rnn-flipflop" else ""
        rows.append((f"{steps} steps of `{name}`", "a plain PyTorch loop", ratio, goal))
    return rows


if __name__ == "__main__":
    parts = {"startup": startup, "load": load, "train": train}
    for part in sys.argv[1:] or parts:
        print(report(part, parts[part]()), end="\n\n", flush=True)
