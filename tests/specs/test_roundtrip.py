"""Every spec that can be declared can be written as YAML and reads back as itself.

The strategies follow the annotations of the spec classes, so a new kind is covered as it is.
"""

from __future__ import annotations

import string
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as at
import pytest
import yaml
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from zoo import registry
from zoo.specs import base, reading
from zoo.specs.analyses.base import CalculationSpec, ComparatorSpec, MeasurementSpec
from zoo.specs.base import Spec
from zoo.specs.claim import ClaimSpec
from zoo.specs.derivation import DerivationSpec
from zoo.specs.experiment import (
    EvaluationSpec,
    ExperimentSpec,
    LedgerSpec,
    RecordSpec,
    StopSpec,
    TrainSpec,
)
from zoo.specs.families import FIXED, STANDARD_SPLITS, TaskSpec
from zoo.specs.learners.pretraining import PretrainingSpec
from zoo.specs.license import spdx
from zoo.specs.loading import parse
from zoo.specs.population import PopulationSpec
from zoo.specs.search import RandomSearchSpec, TPESearchSpec
from zoo.specs.study import PaperSpec, StudySpec
from zoo.specs.tasks.environments import NeuroGymSpec
from zoo.specs.writing import to_yaml

FEWER = settings(max_examples=settings().max_examples // 12)
"""Examples of a kind, of which there are many."""
QUARTER = settings(max_examples=settings().max_examples // 4)
"""Examples of what holds many parts."""
TRICKY = [
    *("1e-3", "1.5", "007", "0x1F", "12:30", "2026-01-01", "null", "~", "yes", "true", "<<", "=", "", " "),
    *(
        "${name}",
        "\\${name}",
        "a\\\\${b",
        "$",
        "${",
        "\\",
        "#x",
        "a #b",
        "a: b",
        "- a",
        "? a",
        "[a",
        "{a}",
        "&a",
    ),
    *(
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'",
        '"',
        " lead",
        "trail ",
        "---",
        "...",
        "\ufeff",
        "\ufffe",
        "🧠",
    ),
]
LINES = st.sampled_from(TRICKY) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=30
)
TEXTS = LINES | st.text(st.sampled_from("ab: \n\t#'\"\\${}-🧠\u2028"), max_size=60)
NAMES = st.from_regex(base.NAME, fullmatch=True)
SPLITS = st.sampled_from(STANDARD_SPLITS)


def of(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a type."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata += tuple(
            m for item in more for m in (item.metadata if isinstance(item, FieldInfo) else [item])
        )
        return of(annotation, metadata)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return st.one_of([of(arg) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is dict:
        return st.dictionaries(of(args[0]), of(args[1]), min_size=bound(metadata, at.MinLen, 0), max_size=3)
    if origin is tuple and Ellipsis in args:
        return st.lists(of(args[0]), min_size=bound(metadata, at.MinLen, 0), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of, args))
    if annotation in (None, types.NoneType):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = bound(metadata, at.Ge, -(2**63))
        high = min(bound(metadata, at.Le, 2**63 - 1), bound(metadata, at.Lt, 2**63) - 1)
        return st.integers(low, high) | st.integers(low, min(high, max(low, 0) + 100))
    if annotation is float:
        above = bound(metadata, at.Gt, None)
        low = bound(metadata, at.Ge, None) if above is None else above
        return st.floats(
            low,
            bound(metadata, at.Le, None),
            exclude_min=above is not None,
            allow_nan=False,
            allow_infinity=False,
        )
    if annotation is str and any(getattr(item, "func", None) is spdx for item in metadata):
        return st.sampled_from(("CC0-1.0", "MIT OR Apache-2.0", "LicenseRef-ours"))
    if annotation is str:
        patterns = {getattr(item, "pattern", None) for item in metadata}
        return (
            NAMES
            if base.NAME in patterns
            else TEXTS
            if base.TEXT in patterns
            else LINES.map(lambda s: s or "x")
        )
    if (
        isinstance(annotation, type)
        and issubclass(annotation, base.KindSpec)
        and "family" in vars(annotation)
    ):
        return st.sampled_from(registry.kinds(annotation.family)).flatmap(
            lambda kind: of(registry.spec_class(annotation.family, kind))
        )
    if isinstance(annotation, type) and issubclass(annotation, base.Spec):
        return specs(annotation)
    raise AssertionError(f"no strategy for {annotation}")


def bound(metadata: tuple[Any, ...], kind: type, default: Any) -> Any:
    """The value of a constraint such as ``Ge``."""
    attribute = {at.MinLen: "min_length"}.get(kind, kind.__name__.lower())
    return next((getattr(item, attribute) for item in metadata if isinstance(item, kind)), default)


GRID = st.dictionaries(
    st.sampled_from(["train.steps", "train.validate_every", "record.golden_trials"]),
    st.lists(st.integers(1, 99), min_size=1, max_size=3).map(tuple),
    max_size=2,
)
POINTS = st.lists(st.fixed_dictionaries({"train.log_every": st.integers(1, 99)}), min_size=1, max_size=3)
SPACE = st.fixed_dictionaries(
    {
        "train.log_every": st.sampled_from(["integer", "log-integer"]).map(
            lambda kind: {"kind": kind, "low": 1, "high": 9}
        )
    },
    optional={"record.snapshots.base": st.just({"kind": "log-uniform", "low": 2.0, "high": 4.0})},
)
SPECIAL: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (PopulationSpec, "grid"): GRID,
    (PopulationSpec, "members"): st.integers(1, 1000),
    (PopulationSpec, "points"): st.none() | POINTS.map(tuple),
    (RandomSearchSpec, "space"): SPACE,
    (RandomSearchSpec, "trials"): st.integers(1, 5),
    (TPESearchSpec, "space"): SPACE,
    (TPESearchSpec, "trials"): st.integers(1, 5),
    (EvaluationSpec, "splits"): st.lists(SPLITS, max_size=2).map(tuple),
    (RecordSpec, "curve"): st.lists(SPLITS, max_size=2).map(tuple),
    (LedgerSpec, "split"): SPLITS,
    (PretrainingSpec, "split"): SPLITS,
    (NeuroGymSpec, "options"): st.dictionaries(
        LINES, st.none() | st.booleans() | st.integers() | LINES, max_size=2
    ),
}


def values_of(cls: type[base.Spec], name: str) -> st.SearchStrategy[Any]:
    """Values of a field."""
    field = cls.model_fields[name]
    special = SPECIAL.get((cls, name))
    return of(field.annotation, tuple(field.metadata)) if special is None else special


def splits_of(cls: type[base.Spec]) -> st.SearchStrategy[Any]:
    """Shifts of a task that change its own fields."""
    own = {k: values_of(cls, k) for k in cls.model_fields if k not in FIXED}
    changes = st.fixed_dictionaries({}, optional=own).map(base._plain)  # lists, as in a document
    return st.dictionaries(LINES.map(lambda s: s or "x"), changes, max_size=2)


def streams_of(cls: type[base.Spec]) -> st.SearchStrategy[Any]:
    """Tasks that follow each other, which differ in fields of the task."""
    own = {k: values_of(cls, k) for k in cls.model_fields if k not in FIXED | {"part"}}
    changes = st.fixed_dictionaries({}, optional=own).map(base._plain)
    tasks = st.lists(changes, min_size=1, max_size=2)
    return st.none() | st.fixed_dictionaries({"every": st.integers(1, 99), "tasks": tasks})


def specs(cls: type[base.Spec]) -> st.SearchStrategy[Any]:
    """Valid specs of a class, with any of their fields left at the default."""
    if cls is StopSpec:
        either = st.sampled_from(["at_least", "at_most"])
        looked = st.sampled_from(["train/loss", "validation/loss"])
        return st.builds(
            lambda metric, which, value: StopSpec(metric=metric, **{which: value}), looked, either, of(float)
        )
    required, optional = {}, {}
    for name, field in cls.model_fields.items():
        if issubclass(cls, TaskSpec) and name == "splits":
            optional[name] = splits_of(cls)
        elif issubclass(cls, TaskSpec) and name == "stream":
            optional[name] = streams_of(cls)
        elif name != "spec":
            (required if field.is_required() else optional)[name] = values_of(cls, name)

    return (
        st.fixed_dictionaries(required, optional=optional)
        .map(lambda values: fitting(cls, values))
        .filter(bool)
    )


def fitting(cls: type[base.Spec], values: dict[str, Any]) -> base.Spec | None:
    """A spec of those values that go together: each is left out that does not fit those before it."""
    try:
        return cls(**values)
    except ValidationError:
        pass  # such as dt above tau
    kept = {name: value for name, value in values.items() if cls.model_fields[name].is_required()}
    spec = None
    for change in [{}, *({name: value} for name, value in values.items() if name not in kept)]:
        try:
            spec = cls(**kept, **change)
        except ValidationError:
            continue
        kept |= change
    return spec


def roundtrips(spec: base.Spec) -> None:
    for full in (False, True):
        text = to_yaml(spec, full)
        again = parse(text)
        assert again == spec
        assert again.digest() == spec.digest()
        assert to_yaml(again, full) == text
        # readers of YAML 1.1 see the same data
        assert yaml.safe_load(text) == reading.read(text).data


@pytest.mark.parametrize("kind", registry.kinds("models"))
@given(st.data())
@FEWER
def test_models(kind: str, data: st.DataObject) -> None:
    model = data.draw(of(registry.spec_class("models", kind)))
    task: dict[str, Any] = {"kind": "sine"}
    if kind.endswith("expander-memory"):
        task = {"kind": "codewords", "graph": model.graph, "units": model.graph.cluster**2}
    if kind.endswith("-diffusion"):  # whose samples are as long as the trials
        side = 2 ** len(getattr(model, "channels", ()))
        task = {"kind": "bumps", "size": max(2, side), "steps": model.steps, "splits": {}}
    if kind.endswith("-filter"):
        task = {"kind": "localization"}
    if kind == "map-memory":
        task = {"kind": "grid-exploration", "worlds": 1}
    if kind == "sequence-cnn":  # whose letters are those of the task
        letters = string.ascii_uppercase[: model.letters]
        potts = {"kind": "potts", "letters": letters, "length": max(2, model.kernel)}
        task = {"kind": "sequence-fitness", "landscape": potts}
    if kind == "transformer":
        model = model.updated(context=max(model.context, 1000))  # which the trials have to fit in
    constraints = getattr(model, "constraints", None)
    if getattr(constraints, "learned_inputs", None) is not None:  # there is one input
        model = model.updated(constraints=constraints.updated(learned_inputs=(0,)))
    untrained = {"task": task, "learner": {"kind": "none"}, "train": {"steps": 0}}
    roundtrips(ExperimentSpec.model_validate({"name": "x", "model": model, **untrained}))


@pytest.mark.parametrize("kind", registry.kinds("tasks"))
@given(st.data())
@FEWER
def test_tasks(kind: str, data: st.DataObject) -> None:
    task = data.draw(of(registry.spec_class("tasks", kind)))
    roundtrips(ExperimentSpec(name="x", model={"kind": "gru"}, task=task, learner={"kind": "backprop"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", registry.kinds("learners"))
@given(st.data())
@FEWER
def test_learners(kind: str, data: st.DataObject) -> None:
    learner = data.draw(of(registry.spec_class("learners", kind)))
    of_layers = getattr(learner, "needs", "") == "layers"
    model, task = {
        "store": ("dense-memory", "patterns"),
        "competitive-hebb": ("learned-expander-memory", "codewords"),
        "weighted-particle-filter": ("ensemble", "digits"),
        **dict.fromkeys(("hebb", "pseudo-inverse", "delta-rule"), ("kv-memory", "pairs")),
        **dict.fromkeys(("align", "feedback-alignment", "direct-feedback-alignment"), ("mlp", "digits")),
        "predictive-coding": ("mlp", "digits"),
        **dict.fromkeys(("farmap", "frontier-explorer"), ("map-memory", "grid-exploration")),
        **dict.fromkeys(("rflo", "e-prop"), ("rate", "sine")),
        "equilibrium-propagation": ("settling", "sine"),
        "denoising": ("mlp-diffusion", "mixture"),
        "graph-smoothing": ("sequence-cnn", "sequence-fitness"),
        "forward-forward": ("goodness", "digits"),
        "ewc": ("mlp", "digits"),
    }.get(kind, ("mlp", "digits") if of_layers else ("gru", "sine"))
    others: dict[str, Any] = {"model": {"kind": model}, "task": {"kind": task}, "train": {"steps": 0}}
    if kind == "ewc":
        others["task"]["stream"] = {"every": 5, "seeded": "permutation", "count": 2}
    if kind == "graph-smoothing":
        others["model"] = {"kind": model, "letters": 4}
    try:
        spec = ExperimentSpec.model_validate({"name": "x", "learner": learner, **others})
    except ValidationError:
        reject()  # a loss that the rule has no formula for
    roundtrips(spec)


def some(family: str, least: Callable[[type[Any]], bool]) -> st.SearchStrategy[Any]:
    """Specs of the kinds of a family whose class has a property."""
    classes = [registry.spec_class(family, kind) for kind in registry.kinds(family)]
    return st.sampled_from([cls for cls in classes if least(cls)]).flatmap(of)


def about(draw: st.DrawFn, metrics: st.SearchStrategy[str], spec: type[Spec]) -> tuple[ClaimSpec, ...]:
    """Claims on some of these metrics, as an experiment or a study has them."""
    claims: tuple[ClaimSpec, ...] = draw(of(spec.model_fields["claims"].annotation))
    per = st.lists(metrics, max_size=3)
    return tuple(
        claim.model_copy(update={"metric": draw(metrics), "minus": None, "per": tuple(draw(per))})
        for claim in claims
    )


@st.composite
def experiments(draw: st.DrawFn) -> ExperimentSpec:
    """Those that learn something, and those that have nothing to learn."""
    learns = draw(st.booleans())
    parts = {
        "model": some("models", lambda cls: cls.learnable or not learns),
        "learner": some("learners", lambda cls: cls.learns == learns),
        "train": of(TrainSpec).map(lambda train: train if learns else train.updated(steps=0)),
    }
    fields = ExperimentSpec.model_fields
    done = {*parts, "spec", "derived", "claims"}
    parts |= {n: of(f.annotation, tuple(f.metadata)) for n, f in fields.items() if n not in done}
    drawn = {name: draw(part) for name, part in parts.items()}
    measured = ["train/steps", *(f"{split}/loss" for split in drawn["record"].evaluation.splits)]
    drawn["claims"] = about(draw, st.sampled_from(measured), ExperimentSpec)
    plain = {"model": {"kind": "gru"}, "task": {"kind": "sine"}, "learner": {"kind": "backprop"}}
    for instead in ({}, {"learner": plain["learner"]}, plain):
        try:
            return ExperimentSpec(**{**drawn, **(instead if learns else {})})
        except ValidationError:
            continue  # parts that do not go together
    reject()


@given(experiments())
@QUARTER
def test_experiments(spec: ExperimentSpec) -> None:
    roundtrips(spec)


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    """With claims, labels and everything else about comparisons and measurements that are there."""
    fields = StudySpec.model_fields
    parts = {name: draw(of(f.annotation, tuple(f.metadata))) for name, f in fields.items() if name in FREE}
    keys = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    cut, end = sorted(draw(st.tuples(*[st.integers(0, len(keys))] * 2)))
    compared = some("analyses", lambda cls: issubclass(cls, ComparatorSpec))
    measured = some("analyses", lambda cls: issubclass(cls, MeasurementSpec))
    calculated = some("analyses", lambda cls: issubclass(cls, CalculationSpec))
    metrics = st.sampled_from(keys).map(lambda key: f"{key}/mean")
    by_field, reference = draw(st.none() | LINES), draw(st.none() | LINES)
    return StudySpec(
        **parts,
        groups={} if by_field is not None else draw(of(fields["groups"].annotation)),
        label=by_field,
        checkpoints=tuple(draw(st.lists(LINES, min_size=min(end, 1), max_size=3 * min(end, 1)))),
        labels=draw(st.dictionaries(st.sampled_from(keys[:end]), LINES, max_size=2)) if end else {},
        reference=reference,
        matched=None if reference is None else draw(st.none() | LINES),
        comparisons={key: draw(compared) for key in keys[:cut]},
        measurements={key: draw(measured) for key in keys[cut:end]},
        calculations={key: draw(calculated) for key in keys[end:]},
        claims=about(draw, metrics, StudySpec),
    )


FREE = ("name", "title", "description", "paper", "tags", "apart")


@given(studies())
@QUARTER
def test_studies(spec: StudySpec) -> None:
    roundtrips(spec)


@pytest.mark.parametrize("kind", registry.kinds("operations"))
@given(st.data())
@FEWER
def test_derivations(kind: str, data: st.DataObject) -> None:
    cls = registry.spec_class("operations", kind)
    operation = data.draw(of(cls))
    names = st.lists(LINES.map(lambda s: s or "x"), min_size=cls.least, max_size=cls.most or 3)
    try:
        spec = DerivationSpec(name="x", parents=tuple(data.draw(names)), operation=operation)
    except ValidationError:
        reject()  # weights for other parents than there are
    roundtrips(spec)


@given(of(PaperSpec))
def test_papers(spec: PaperSpec) -> None:
    roundtrips(spec)


def test_floats_read_back_equal() -> None:
    for value in (1e-5, 1e22, 1.5e300, 5e-324, 0.1, 3.0, 123456789.123):
        spec = ExperimentSpec(
            name="x",
            model={"kind": "gru", "init": {"gain": value}},  # type: ignore[arg-type]
            task={"kind": "sine"},  # type: ignore[arg-type]
            learner={"kind": "backprop"},  # type: ignore[arg-type]
        )
        roundtrips(spec)


def test_the_short_form_is_short() -> None:
    text = "spec: experiment/1\nname: x\nmodel: {kind: gru}\ntask: {kind: sine}\nlearner: {kind: backprop}\n"
    editor = "# yaml-language-server: $schema=../schema/experiment.json\n"
    assert to_yaml(parse(text)) == editor + text
    full = to_yaml(parse(text), full=True)
    assert "  optimizer:\n    kind: adam\n    lr: 0.001\n    betas: [0.9, 0.999]\n    eps: 1.0e-08\n" in full
