"""Names and layouts of others, brought to ours: rules, recipes, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign import HIDDEN, Theirs, ours
from torch import Tensor

from zoo.checkpoints.network import empty, fill
from zoo.errors import ForeignFileError, SpecError
from zoo.importing.fitting import fit
from zoo.importing.mapping import load_mapping, rename, strip
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.mapping import MappingSpec


def expected(kind: str, **options: Any) -> dict[str, Tensor]:
    """What a model of ours has, without memory."""
    return empty(_experiment(kind, **options)).model.state_dict()


def _experiment(kind: str, **options: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "name": "theirs",
            "model": {"kind": kind, "hidden": HIDDEN, **options},
            "task": {"kind": "flip-flop"},
            "learner": {"kind": "none"},
            "train": {"steps": 0},
        }
    )


def fitted(found: Mapping[str, Tensor], kind: str, document: dict[str, Any]) -> dict[str, Tensor]:
    rules = MappingSpec.model_validate(document)
    return dict(fit(found, expected(kind), rules, "weights.pt").tensors)


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "name", "wanted"),
    [
        ({"rnn.{name}": "cell.{name}"}, "rnn.weight_ih_l0", "cell.weight_ih_l0"),
        ({"layer{n}.{name}": "{name}_l{n}"}, "layer0.bias", "bias_l0"),
        ({"a.b": "exact"}, "a.b", "exact"),
        ({r"/rnn(\d)\.(\w+)_l0/": r"cell\1.\2"}, "rnn7.weight_l0", "cell7.weight"),
        ({r"/(?P<what>.*)\.kernel/": r"\g<what>.weight"}, "fc.kernel", "fc.weight"),
        ({"fc.{x}": "first.{x}", "{x}": "second.{x}"}, "fc.bias", "first.bias"),
        ({"a\\d.{x}": "back\\slash.{x}"}, "a\\d.bias", "back\\slash.bias"),
    ],
)
def test_rules_rename(rules: dict[str, str], name: str, wanted: str) -> None:
    names = [name, "spare"] if len(rules) > 1 else [name]
    assert rename(names, MappingSpec.model_validate({"rename": rules}), "here")[0][wanted] == name


def test_a_rule_that_fits_nothing_is_a_mistake() -> None:
    spec = MappingSpec.model_validate({"rename": {"fc.wieght": "w"}})
    with pytest.raises(ForeignFileError, match=r"'fc\.wieght' .*fits no name\. Did you mean 'fc\.weight'"):
        rename(["fc.weight", "fcxwieght"], spec, "here")


def test_what_is_renamed_to_nothing_is_left_out() -> None:
    spec = MappingSpec.model_validate({"rename": {"latent_{x}": None}})
    assert rename(["latent_ics", "weight"], spec, "here") == ({"weight": "weight"}, ("latent_ics",))


def test_two_names_do_not_become_one() -> None:
    spec = MappingSpec.model_validate({"rename": {"{a}.w": "w"}})
    with pytest.raises(ForeignFileError, match=r"'x\.w' and 'y\.w' would both become 'w'"):
        rename(["x.w", "y.w"], spec, "here")
    with pytest.raises(ForeignFileError, match="two would be called 'w'"):
        strip({"module.w": 1, "w": 2}, ["module."], "here")
    assert strip({"_orig_mod.module.w": 1, "v": 2}, ["module.", "_orig_mod."], "here") == {"w": 1, "v": 2}


# Layouts ------------------------------------------------------------------------------------------


def test_gates_in_another_order_and_weights_that_multiply_from_the_right() -> None:
    """The layout of Keras: kernel [input, gates], gates update, reset, new; ours are reset, update, new."""
    weights = ours(Theirs("gru"))

    def keras(name: str) -> Tensor:
        reset, update, new = weights[name].chunk(3)
        return torch.cat([update, reset, new])

    found = {
        "gru.kernel": keras("cell.weight_ih_l0").T,
        "gru.recurrent_kernel": keras("cell.weight_hh_l0").T,
        "gru.bias": torch.stack([keras("cell.bias_ih_l0"), keras("cell.bias_hh_l0")]),
        "dense.kernel": weights["output.weight"].T,
        "dense.bias": weights["output.bias"],
    }
    gates = {"transpose": True, "blocks": [1, 0, 2]}
    with pytest.raises(ForeignFileError, match=r"bias_ih_l0 is \[1, 18\] rather than \[18\]"):
        fitted(
            found,
            "gru",
            {
                "rename": {"dense.bias": "output.bias"},
                "tensors": {
                    "cell.weight_ih_l0": {"tensor": "gru.kernel", **gates},
                    "cell.weight_hh_l0": {"tensor": "gru.recurrent_kernel", **gates},
                    "cell.bias_ih_l0": {"tensor": "gru.bias", "rows": [0, 1]},
                    "cell.bias_hh_l0": {"tensor": "gru.bias", "row": 1, "blocks": [1, 0, 2]},
                    "output.weight": {"tensor": "dense.kernel", "transpose": True},
                },
            },
        )
    document = {
        "rename": {"dense.bias": "output.bias"},
        "tensors": {
            "cell.weight_ih_l0": {"tensor": "gru.kernel", **gates},
            "cell.weight_hh_l0": {"tensor": "gru.recurrent_kernel", **gates},
            "cell.bias_ih_l0": {"tensor": "gru.bias", "row": 0, "blocks": [1, 0, 2]},
            "cell.bias_hh_l0": {"tensor": "gru.bias", "row": 1, "blocks": [1, 0, 2]},
            "output.weight": {"tensor": "dense.kernel", "transpose": True},
        },
    }
    assert same(fitted(found, "gru", document), weights)


def test_one_matrix_for_inputs_and_states_and_a_tensor_for_each_gate() -> None:
    weights = ours(Theirs("lstm"))
    both = torch.cat([weights["cell.weight_ih_l0"], weights["cell.weight_hh_l0"]], 1)
    found = {f"gate.{k}": part for k, part in enumerate(both.chunk(4))}
    found |= {"bias": weights["cell.bias_ih_l0"] + weights["cell.bias_hh_l0"]}
    found |= {name: weights[name] for name in ("output.weight", "output.bias")}
    gates = [{"tensor": f"gate.{k}"} for k in range(4)]
    document = {
        "tensors": {
            "cell.weight_ih_l0": {"join": [{**gate, "columns": [0, 3]} for gate in gates]},
            "cell.weight_hh_l0": {"join": [{**gate, "columns": [3, 3 + HIDDEN]} for gate in gates]},
            "cell.bias_ih_l0": {"tensor": "bias"},
            "cell.bias_hh_l0": {"constant": 0},
        }
    }
    made = fitted(found, "lstm", document)
    network, peer = empty(_experiment("lstm")), Theirs("lstm").double()
    fill(network, {name: value.double() for name, value in made.items()}, "here")
    x = torch.randn(4, 20, 3, dtype=torch.float64)
    torch.testing.assert_close(network(x).y, peer(x), rtol=0, atol=1e-6)


def test_two_biases_become_the_one_of_a_rate_network_and_signs_are_turned() -> None:
    weights = Theirs("elman").state_dict()
    document = {
        "rename": {"fc.{x}": "output.{x}", "rnn.weight_ih_l0": "weight_in"},
        "tensors": {
            "bias": {"add": [{"tensor": "rnn.bias_ih_l0"}, {"tensor": "rnn.bias_hh_l0"}]},
            "weight": {"tensor": "rnn.weight_hh_l0", "scale": -1},
        },
    }
    rules = MappingSpec.model_validate(document)
    made = fit(weights, expected("rate"), rules, "here")
    assert torch.equal(made.tensors["bias"], weights["rnn.bias_ih_l0"] + weights["rnn.bias_hh_l0"])
    assert torch.equal(made.tensors["weight"], -weights["rnn.weight_hh_l0"])
    assert made.table["bias"] == "rnn.bias_ih_l0 + rnn.bias_hh_l0"
    assert made.table["weight"] == "rnn.weight_hh_l0, × -1"


def test_a_type_for_all_is_asked_for() -> None:
    weights = ours(Theirs())
    weights["output.bias"] = weights["output.bias"].double()
    made = fitted(weights, "gru", {"dtype": "float64"})
    assert {value.dtype for value in made.values()} == {torch.float64}
    weights["output.bias"] = weights["output.bias"] + 1e300
    with pytest.raises(ForeignFileError, match=r"output\.bias has values too large for float32"):
        fitted(weights, "gru", {"dtype": "float32"})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"tensor": "spaer"}, r"'spaer', which is not in the file\. Did you mean 'spare'"),
        ({"tensor": "output.bias", "transpose": True}, r"\[3\] has no two axes to swap"),
        ({"tensor": "spare", "rows": [0, 4]}, r"has no rows 0 to 4"),
        ({"tensor": "output.bias", "columns": [0, 1]}, r"has no columns 0 to 1"),
        ({"tensor": "spare", "row": 3}, r"has no row 3"),
        ({"tensor": "spare", "blocks": [1, 0]}, r"3 rows are not 2 equal blocks"),
        ({"add": [{"tensor": "spare"}, {"tensor": "output.bias"}]}, r"only tensors of one shape"),
        ({"join": [{"tensor": "spare"}, {"tensor": "output.bias"}]}, r"cannot be made of spare \[3, 6\]"),
        ({"tensor": "cell.bias_ih_l0"}, r"output\.weight is \[18\] rather than \[3, 6\]"),
    ],
)
def test_recipes_that_cannot_be_followed(recipe: dict[str, Any], message: str) -> None:
    weights = ours(Theirs())
    weights["spare"] = weights["output.weight"]
    with pytest.raises(ForeignFileError, match=message):
        fitted(weights, "gru", {"rename": {"{x}put.weight": None}, "tensors": {"output.weight": recipe}})


def test_a_tensor_is_made_in_one_way_and_is_one_of_ours() -> None:
    weights = ours(Theirs())
    with pytest.raises(ForeignFileError, match=r"'output\.bias' is made by a recipe and is"):
        fitted(weights, "gru", {"tensors": {"output.bias": {"constant": 1}}})
    with pytest.raises(ForeignFileError, match=r"makes output\.bais, which .*Did you mean"):
        fitted(weights, "gru", {"tensors": {"output.bais": {"constant": 1}}})


# The file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("renam: {a: b}\n", r"mapping\.yaml:1:1: renam: .*Did you mean 'rename'"),
        ("tensors: {a: {tensor: b, constant: 1}}\n", "exactly one of 'tensor', 'join', 'add' and 'constant'"),
        ("tensors: {a: {}}\n", "exactly one of"),
        ("tensors: {a: {constant: 1, scale: 2}}\n", "belong to the pieces"),
        (
            "tensors: {a: {tensor: b, rows: [2, 2]}}\n",
            r"rows: should be the first and the one after the last",
        ),
        ("tensors: {a: {tensor: b, rows: [0, 2], row: 1}}\n", "'row' or 'rows'"),
        ("tensors: {a: {tensor: b, blocks: [0, 2]}}\n", r"blocks: should have each of 0 to 1 once"),
        ("rename: {'/(/': b}\n", r"rename\..*cannot be read as a rule"),
        ("rename: {'/a/': '\\1'}\n", "cannot be read as a rule"),
        ("rename: {'a.{x}': 'b.{y}'}\n", "cannot be read as a rule"),
        ("rename: {'{x}.{x}': 'b'}\n", "cannot be read as a rule"),
        ("spec: mapping/2\n", "spec"),
        ("a: [\n", "no valid YAML"),
        ("a: &b 1\n", "anchors and aliases"),
    ],
)
def test_a_mapping_that_is_none_is_one_error_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as caught:
        load_mapping(path)
    assert re.search(r"mapping\.yaml(:\d+:\d+)?: ", str(caught.value))


def test_a_mapping_has_an_identity() -> None:
    one = MappingSpec.model_validate({"rename": {"a": "b"}})
    assert one.digest() == MappingSpec.model_validate({"spec": "mapping/1", "rename": {"a": "b"}}).digest()
    assert one.digest() != MappingSpec.model_validate({"rename": {"a": "c"}}).digest()
