"""The standard report of a learner: its update beside the gradient of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from zoo.errors import SpecError
from zoo.learners.base import Learner
from zoo.specs.claim import finite
from zoo.specs.learners.rule import GradientRuleSpec, RuleSpec
from zoo.specs.stream import NOW
from zoo.tasks.base import derive_seed


def report(
    learner: Learner,
    weights: Callable[[], Mapping[str, Tensor]],
    own: Callable[[], Mapping[str, Tensor]],
) -> dict[str, float | None]:
    """``update/angle`` and ``update/norm``, of all parameters and of each layer (``update/angle/layers.0``),
    and ``update/cost``; nothing where the experiment does not ask for it.

    The angle, in degrees, is that between what the rule would do with examples of the split train (of a
    stream, those of the task at hand) and the gradient of the loss; there is none where either is zero. The
    norm is of the update as the optimizer gets it. The cost is in multiplications of matrices, by those of a
    pass through the model and back.
    """
    network = learner.network
    asked = network.experiment.record.updates
    if asked is None or not learner.spec.learns:
        return {}
    if type(learner).update is Learner.update and type(learner).loss is Learner.loss:
        raise SpecError(
            f"record.updates: the learner {learner.spec.kind!r} makes no updates that could be compared "
            "with a gradient. Leave it out."
        )
    training = network.training
    network.eval()  # without noise
    try:
        with torch.no_grad():
            split = "train" if network.task.spec.stream is None else f"train-{NOW}"
            batch = network.batch(split, 0, 0, asked.trials)
            generator = torch.Generator().manual_seed(derive_seed("updates"))
            drawn = {name: each.to(batch.x.device) for name, each in learner.draw(batch, generator).items()}
            with _Products() as spent:
                update = learner.update(dict(weights()), dict(own()), batch, drawn).weights
            with _Products() as needed:
                gradient = learner.gradient(dict(weights()), batch).weights
    finally:
        network.train(training)
    spec = learner.spec
    if isinstance(spec, RuleSpec) and not isinstance(spec, GradientRuleSpec):
        update = {name: -value for name, value in update.items()}  # changes go downhill
    names = [name for name, parameter in network.model.named_parameters() if parameter.requires_grad]
    layers: dict[str, list[str]] = {"": names}
    for name in names:
        layers.setdefault("/" + (name.rpartition(".")[0] or name), []).append(name)
    found: dict[str, float | None] = {}
    for layer, members in layers.items():
        ours, theirs = (_flat(members, given, network.model.state_dict()) for given in (update, gradient))
        found[f"update/angle{layer}"] = _angle(ours, theirs)
        found[f"update/norm{layer}"] = finite(ours.norm().item())
    flops = needed.get_total_flops()
    found["update/cost"] = spent.get_total_flops() / flops if flops else None
    return found


class _Nowhere:
    """In the place of what follows modules by hooks, through which derivatives of torch.func do not go."""

    parents = ("Global",)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class _Products(FlopCounterMode):
    """Counts multiplications, of whatever module they are."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = _Nowhere()  # type: ignore[assignment]


def _flat(names: list[str], given: Mapping[str, Tensor], shapes: Mapping[str, Tensor]) -> Tensor:
    """Tensors by these names as one vector, in double precision; zeros for those that are not given."""
    parts = [given[name] if name in given else torch.zeros_like(shapes[name]) for name in names]
    return torch.cat([part.detach().double().flatten().cpu() for part in parts])


def _angle(one: Tensor, other: Tensor) -> float | None:
    """In degrees; by the half of it, which is exact where they are nearly parallel."""
    if not one.any() or not other.any():
        return None
    one, other = one / one.norm(), other / other.norm()
    half = torch.atan2((one - other).norm(), (one + other).norm())
    return finite(torch.rad2deg(2 * half).item())
