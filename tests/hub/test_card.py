"""The card says what the record says, keeps what people wrote, and nothing in it can do harm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError
from zoo.hub.card import BEGIN, END, render
from zoo.hub.card_check import problems
from zoo.hub.markdown import text
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record
from zoo.specs.study import PaperSpec

Make = Callable[..., CheckpointFolder]
CLAIM = {"metric": "test/mse", "at_most": 0.3, "source": {"kind": "paper", "where": "Fig. 2"}}


@pytest.fixture
def parts(make: Make) -> tuple[Record, ExperimentSpec]:
    claims = [
        {"claim": CLAIM, "measured": [0.25, 0.375, 0.5], "holds": False, "note": "too few steps"},
        {"claim": {**CLAIM, "at_most": 9.0}, "measured": [0.25, 0.375, 0.5], "holds": True},
    ]
    made = make("pop", members=3, claims=claims, citation="A. Author (2026).", tags=["memory"])
    return made.record, made.experiment


def test_it_says_what_the_record_says(parts: tuple[Record, ExperimentSpec]) -> None:
    card = render(*parts)
    assert 'net = zoo.load("pop")' in card
    assert "| test/mse | 0.375 | 0.25 | 0.5 | 3 |" in card
    assert "| test/mse | ≤ 0.3 | 0.25 to 0.5 | paper: Fig. 2 | **FAILS** |" in card
    assert "| test/mse | ≤ 9 | 0.25 to 0.5 | paper: Fig. 2 | **holds** |" in card
    assert "**1 of 2 claims fail.**" in card
    assert "- test/mse fails: too few steps" in card
    assert "A. Author (2026)." in card
    assert parts[0].experiment in card
    assert "| model | elman | hidden = 4 |" in card


def test_the_hub_reads_its_front_matter(parts: tuple[Record, ExperimentSpec]) -> None:
    card = ModelCard(render(*parts))
    data = card.data
    assert data.library_name == "neuroai-zoo"
    assert data.license == "cc0-1.0"
    assert data.pipeline_tag is None
    assert data.tags == ["neuroai-zoo", "elman", "flip-flop", "backprop", "memory"]
    assert data.model_name == "pop"
    mse, failing, holding = data.eval_results
    assert (mse.metric_type, mse.metric_value, mse.dataset_split) == ("mse", 0.375, "test")
    assert (failing.metric_name, failing.metric_value) == ("claim: test/mse ≤ 0.3 FAILS", 0.5)
    assert failing.metric_args == {"holds": False, "at_most": 0.3, "source": "paper: Fig. 2"}
    assert (failing.dataset_config, failing.dataset_split) == ("claims", None)
    assert holding.metric_name == "claim: test/mse ≤ 9 holds"
    again = ModelCard(f"---\n{data.to_yaml()}\n---\n{card.text}")
    assert again.data.eval_results == data.eval_results
    assert not problems(str(again), parts[0])


def test_a_metric_that_is_not_finite_says_so(make: Make) -> None:
    made = make(
        members=2,
        metrics={"test/mse": [None, None], "test/r2": [0.5, None]},
        claims=[{"claim": {**CLAIM, "metric": "test/r2"}, "measured": [0.2, None], "holds": False}],
    )
    card = render(made.record, made.experiment)
    assert "| test/mse | — | — | — | 0 of 2 finite |" in card
    assert "| test/r2 | 0.5 | 0.5 | 0.5 | 1 of 2 finite |" in card
    front = yaml.safe_load(card.split("---\n")[1])
    listed = [(m["type"], m["value"]) for r in front["model-index"][0]["results"] for m in r["metrics"]]
    assert listed == [("r2", 0.5), ("test/r2", "not finite")]


@pytest.mark.parametrize(
    ("license", "keys"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("GPL-3.0-only", {"license": "gpl-3.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("GPL-3.0-or-later", {"license": "other", "license_name": "gpl-3.0-or-later"}),
        ("MIT OR Apache-2.0", {"license": "other", "license_name": "mit-or-apache-2.0"}),
        ("LicenseRef-Our-Lab", {"license": "other", "license_name": "licenseref-our-lab"}),
    ],
)
def test_a_licence_has_the_name_that_the_hub_knows(make: Make, license: str, keys: dict[str, str]) -> None:
    made = make(license=license)
    card = render(made.record, made.experiment)
    front = yaml.safe_load(card.split("---\n")[1])
    assert {key: front[key] for key in ("license", "license_name") if key in front} == keys
    assert ("license_link" in front) == (license == "GPL-3.0-or-later")
    assert f"| licence | {license} (weights), MIT (code) |" in card
    assert not problems(card, made.record)
    changed = make(license="MIT")
    again = yaml.safe_load(render(changed.record, changed.experiment, card).split("---\n")[1])
    assert again["license"] == "mit"
    assert not {"license_name", "license_link"} & again.keys()


def test_it_loads_from_where_it_was_pushed(parts: tuple[Record, ExperimentSpec]) -> None:
    card = render(*parts, reference="hf://lab/pop")
    assert 'net = zoo.load("hf://lab/pop")  # the first of 3; the last is "hf://lab/pop/2"' in card
    assert "zoo.load" not in render(*parts, reference="hf://lab/pop").replace('zoo.load("hf://lab/pop")', "")
    quoted = render(*parts, reference='x"\n```\n<script>')
    assert "\n<script>" not in quoted
    assert not problems(quoted, parts[0])


def test_the_paper_is_cited_as_text_and_for_a_bibliography(make: Make) -> None:
    paper = zoo.spec("dsa")
    assert isinstance(paper, PaperSpec)
    made = make(paper="dsa", citation=paper.citation())
    card = render(made.record, made.experiment)
    assert text(paper.citation()) in card
    assert "```bibtex\n@inproceedings{dsa2023,\n" in card
    assert "author = {Mitchell Ostrow and Adam Eisen and Leo Kozachkov and Ila Fiete}," in card
    for other in (
        {"paper": "dsa", "citation": "Others (2020)."},
        {"paper": "nowhere", "citation": "Us."},
        {},
    ):
        made = make(**other)
        assert "bibtex" not in render(made.record, made.experiment)


def test_the_picture_is_shown_where_there_is_one(make: Make) -> None:
    made = make()
    without = render(made.record, made.experiment)
    assert "![" not in without
    assert "`pip install 'neuroai-zoo[viz]'`" in without
    entry = {"portrait.png": {"sha256": "0" * 64, "size": 1}}
    record = made.record.updated(files={**dict(made.record.files), **entry})
    card = render(record, made.experiment)
    assert "\n\n![Portrait of tiny](portrait.png)\n\nStates of a few trials in" in card
    assert not problems(card, record)
    (missing,) = problems(card, made.record)
    assert "'portrait.png', which is no file of the checkpoint" in missing


def test_tags_that_people_added_are_kept(parts: tuple[Record, ExperimentSpec]) -> None:
    card = render(*parts).replace("- memory\n", "- memory\n- our-favourite\n")
    tags = ModelCard(render(*parts, card)).data.tags
    assert tags == ["neuroai-zoo", "elman", "flip-flop", "backprop", "memory", "our-favourite"]


def test_what_people_wrote_is_kept(parts: tuple[Record, ExperimentSpec]) -> None:
    record, experiment = parts
    first = render(record, experiment, "# Notes\n\nBy hand.\n")
    assert render(record, experiment, first) == first
    assert first.endswith("# Notes\n\nBy hand.\n")
    edited = first.replace(BEGIN, f"Above.\n\n{BEGIN}").replace(END, f"{END}\n\nBelow.")
    edited = edited.replace("library_name: neuroai-zoo", "library_name: zoo\nlanguage: en\ndate: 2026-01-02")
    newer = record.updated(title="Another title")
    again = render(newer, experiment, edited)
    assert "# Another title" in again
    assert "A tiny Elman network" not in again
    assert "Above.\n" in again[: again.index(BEGIN)]
    assert "Below." in again[again.index(END) :]
    assert "language: en" in again
    assert render(newer, experiment, again) == again


def test_windows_line_ends_are_kept(parts: tuple[Record, ExperimentSpec]) -> None:
    card = render(*parts, "---\r\nlanguage: en\r\n---\r\nBy hand.\r\nTwo.\r\n")
    assert card.endswith("By hand.\r\nTwo.\r\n")
    assert "language: en\n" in card


@pytest.mark.parametrize(
    "body", [BEGIN, END, f"{END} {BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{BEGIN}{END}"]
)
def test_marks_out_of_order_are_not_guessed_at(parts: tuple[Record, ExperimentSpec], body: str) -> None:
    with pytest.raises(CheckpointError, match="Restore the pair"):
        render(*parts, body)


@pytest.mark.parametrize("front", ["a: [", "- 1", "a: !!python/object/apply:os.system [x]", "[" * 2000])
def test_front_matter_that_is_no_mapping_is_refused(parts: tuple[Record, ExperimentSpec], front: str) -> None:
    with pytest.raises(CheckpointError, match="first two ---"):
        render(*parts, f"---\n{front}\n---\nhello\n")


EVIL = (
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "a | b | c",
    f"{END}<b>",
    f"{BEGIN}",
    "`code` **bold** ~~gone~~",
    "&lt;already&gt; &#60;b&#62;",
    "https://evil.example www.evil.example",
    "--- : {a: b} 'x' \"y\"",
)


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_that_a_user_supplies_is_markup(make: Make, evil: str) -> None:
    claim = {
        "claim": {**CLAIM, "metric": evil, "source": {"kind": "paper", "where": evil}},
        "measured": [None],
    }
    made = make(
        title=evil,
        citation=f"{evil}\n# {evil}\n\n    {evil}",
        tags=[evil],
        metrics={evil: [1.0]},
        claims=[{**claim, "holds": False, "note": f"{evil}\n| {evil} |"}],
        parents=[evil],
        code={"version": evil, "commit": evil, "dirty": True},
        environment={"packages": {evil: evil}, "platform": evil, "device": evil, "threads": 1},
    )
    card = render(made.record, made.experiment)
    assert render(made.record, made.experiment, card) == card
    front, block = card.split("\n---\n", 1)
    assert (block.count(BEGIN), block.count(END)) == (1, 1)
    assert yaml.safe_load(front)["tags"][-1] == evil
    assert not problems(card, made.record)
    block = re.sub("<!-- .*? -->", "", block)
    ours = re.sub("`pip install [^`]*`|```", "", block)
    assert not re.search(r"<\w|</|(?<!\\)[\[\]`]|https?:|www\.", ours)
    for line in block.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in (2, 3, 5), line
    headings = [line for line in block.splitlines() if line.startswith("#")]
    assert len(headings) == 7
    assert ModelCard(card).data.library_name == "neuroai-zoo"


@given(st.text(max_size=40))
def test_escaped_text_stays_on_one_line_and_opens_nothing(value: str) -> None:
    escaped = text(value)
    assert "\n" not in escaped
    assert escaped.isprintable()
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`*_\[\]<>#~]", escaped.replace("&#8203;", ""))


def test_it_is_plain_data(parts: tuple[Record, ExperimentSpec]) -> None:
    front: Any = yaml.safe_load(render(*parts).split("---\n")[1])
    json.dumps(front)
