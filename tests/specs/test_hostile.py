"""Ten thousand bad documents: each gives a valid spec or an error of ours, soon and briefly."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from zoo import paths
from zoo.errors import ZooError
from zoo.specs import reading
from zoo.specs.base import Spec
from zoo.specs.loading import parse

DOCUMENTS = 10_000
SECONDS_EACH = 2.0
MESSAGE = 20_000

VALID = sorted(paths.shipped("specs").glob("*/[!_]*.yaml"))
TEXTS = [path.read_text() for path in VALID]
TREES = [reading.read(text).data for text in TEXTS]

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

NUMBERS = [0, -1, 1, 2**63 - 1, 10**9, 10**30, 0.0, -0.5, 1e300, 1e-300, float("nan"), float("inf")]
WORDS = ["1e999", "-1e999", ".nan", ".inf", "1e-400", "007", "0x10", "1_000", "12:30:00", "inf", "nan", "yes"]
WORDS += [
    "<<",
    "*a",
    "~",
    "null",
    "'",
    '"',
    "[",
    "{",
    "}",
    "]",
    "???",
    "#",
    "!x",
    "!!python/object/apply:os.system",
]
WORDS += [
    "${name}",
    "${model}",
    "${a.b}",
    "${oc.env:HOME}",
    "${${name}}",
    "${",
    "\\${x}",
    "${.x}",
    "kind",
    "🧠",
]
WORDS += ["1" * 5000, "&a x", "!x y", "- ", "? ", "% x", "--- x", "a: b: c", "|\n x", ">\n"]
WORDS += ["\0", "\x1b[2J", "\u2028", "\ufeff"]
NAMES = ["kind", "hidden", "steps", "splits", "grid", "members", "model.hidden", "train.seed", "init", "spec"]
NAMES += ["gru", "adam", "backprop", "test", "flip-flop"]
MARKS = "\t\n :{}[],&*!|>'\"%@`#-?\\$\0é\ud800"
BYTES = b" \n:-{}[]'\"&*!|>%@`#ab01.,?${}"


class Hostile:
    """A generator of documents that somebody could send."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.ways: list[Callable[[], str | bytes]] = [
            *[self.edited_text] * 4,
            *[self.edited_tree] * 8,
            self.other_encoding,
            self.noise,
            self.bomb,
            self.header,
        ]

    def document(self) -> str | bytes:
        return self.r.choice(self.ways)()

    # Values -------------------------------------------------------------------------------------

    def word(self) -> str:
        return self.r.choice(WORDS)

    def value(self, depth: int = 0) -> Any:
        r = self.r
        if depth > 3 or r.random() < 0.6:
            return r.choice([*NUMBERS, *NAMES, None, True, False, "", "a" * 5000, self.word()])
        if r.random() < 0.5:
            return [self.value(depth + 1) for _ in range(r.randrange(4))]
        return {self.key(): self.value(depth + 1) for _ in range(r.randrange(4))}

    def key(self) -> Any:
        return self.r.choice(
            [*NAMES, *NAMES, "", " ", 1, 1.5, None, True, "x" * 300, "a\nb", "${name}", "<<", "é"]
        )

    # Ways to be bad -----------------------------------------------------------------------------

    def edited_text(self) -> str:
        text = self.r.choice(TEXTS)
        for _ in range(self.r.randrange(1, 4)):
            at, to = sorted(self.r.randrange(len(text) + 1) for _ in range(2))
            to = min(to, at + self.r.randrange(30))
            between = self.r.choice(
                [text[to:at], text[at:to] * 2, self.word(), text[at:to] + self.r.choice(MARKS)]
            )
            text = text[:at] + between + text[to:]
        return text

    def edited_tree(self) -> str:
        tree = json.loads(json.dumps(self.r.choice(TREES)))
        for _ in range(self.r.randrange(1, 4)):
            node: Any = tree
            while isinstance(node, dict | list) and node:
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                key = self.r.choice(keys)
                if not isinstance(node[key], dict | list) or not node[key] or self.r.random() < 0.3:
                    break
                node = node[key]
            if not node:
                continue
            change = self.r.random()
            if change < 0.5:
                node[key] = self.value()
            elif change < 0.7:
                del node[key]
            elif isinstance(node, dict):
                node[self.key()] = self.value()
            else:
                node.append(self.value())
        style = {"allow_unicode": self.r.random() < 0.5, "default_flow_style": self.r.choice([None, True])}
        return str(yaml.dump(tree, Dumper=DUMPER, **style))

    def other_encoding(self) -> bytes:
        encoding = self.r.choice(
            ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "utf-7"]
        )
        data = bytearray((self.r.choice(TEXTS) + "# é\n").encode(encoding, errors="replace"))
        if self.r.random() < 0.5:
            data[self.r.randrange(len(data))] = self.r.randrange(256)
        return bytes(data)

    def noise(self) -> bytes:
        length = self.r.randrange(300)
        return self.r.choice([self.r.randbytes(length), bytes(self.r.choices(BYTES, k=length))])

    def bomb(self) -> str:
        n = self.r.randrange(1, 200)
        base = self.r.choice(TEXTS)
        return (
            base
            + "\n"
            + self.r.choice(
                [
                    lambda: "title: " + "[" * n + "]" * n,
                    lambda: "model: " + "{a: " * n + "1" + "}" * n,
                    lambda: "".join("  " * k + "a:\n" for k in range(n)),
                    lambda: (
                        "a0: &a0 [x, x]\n"
                        + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, n))
                    ),
                    lambda: "a0: x\n" + "".join(f"a{k}: '${{a{k - 1}}}${{a{k - 1}}}'\n" for k in range(1, n)),
                    lambda: (
                        "a0: [1, 2]\n"
                        + "".join(f"a{k}: ['${{a{k - 1}}}', '${{a{k - 1}}}']\n" for k in range(1, n))
                    ),
                    lambda: "".join(f"a{k}: ${{a{(k + 1) % n}}}\n" for k in range(n)),
                    lambda: f"population: {{members: {10**n}}}",
                    lambda: f"population: {{members: 9, grid: {{train.steps: {list(range(n * 9))}}}}}",
                    lambda: "population: {grid: {" + ", ".join(f"p{k}: [1, 2, 3]" for k in range(n)) + "}}",
                    lambda: (
                        "population: {grid: {train.seed: [1], train.steps: [x], name: [a], population: [1]}}"
                    ),
                    lambda: "tags: [" + "a, " * n * 10 + "]",
                    lambda: "groups: {" + ", ".join(f"k{k}: [x]" for k in range(n)) + "}",
                    lambda: "description: '" + "${name}" * n + "'",
                    lambda: f"train: {{seed: {'9' * n}}}",
                    lambda: (
                        "task: {kind: flip-flop, splits: {"
                        + ", ".join(f"s{k}: {{steps: {k}}}" for k in range(n))
                        + "}}"
                    ),
                    lambda: "x" * n * 100 + ": 1",
                    lambda: "---\n" * n,
                ]
            )()
            + "\n"
        )

    def header(self) -> str:
        text = self.r.choice(TEXTS)
        odd = [
            "study/1",
            "paper/1",
            "experiment/0",
            "experiment/99",
            "record/1",
            "'1'",
            "[1]",
            "null",
            "/",
            "💥/1",
        ]
        old = next(line for line in text.splitlines() if line.startswith("spec:"))
        return text.replace(old, f"spec: {self.r.choice(odd)}")

    def overrides(self) -> list[str]:
        if self.r.random() < 0.8:
            return []
        start = self.r.choice(
            ["model", "train", "task.splits", "claims.0", "population.grid", "", "x", "learner.optimizer"]
        )
        return [f"{start}.{self.key()}={self.word()}", f"{start}={self.value()}"][: self.r.randrange(1, 3)]


def attempt(document: str | bytes, overrides: list[str], base: Path) -> str:
    """``valid`` or the message of the error."""
    try:
        spec = parse(document, overrides, base=base)
    except ZooError as problem:
        message = str(problem)
    else:
        assert isinstance(spec, Spec)
        assert len(spec.digest()) == 64
        message = "valid"
    assert 0 < len(message) < MESSAGE
    return message


def test_ten_thousand_documents(tmp_path: Path) -> None:
    for fragment in paths.shipped("specs").glob("*/_*.yaml"):
        (tmp_path / fragment.name).write_bytes(fragment.read_bytes())
    hostile = Hostile(20260101)
    valid, worst = 0, (0.0, b"")
    for _ in range(DOCUMENTS):
        document, overrides = hostile.document(), hostile.overrides()
        begun = time.process_time()
        try:
            valid += attempt(document, overrides, tmp_path) == "valid"
        except Exception as problem:
            raise AssertionError(f"{overrides} {document[:3000]!r}") from problem
        took = time.process_time() - begun
        worst = max(worst, (took, repr((overrides, document[:200])).encode()))
    assert worst[0] < SECONDS_EACH, worst
    assert 200 < valid < DOCUMENTS // 2  # the edits are neither all harmless nor all fatal


N = 49_000
HEAD = "spec: experiment/1\nname: x\nmodel: {kind: gru}\ntask: {kind: flip-flop}\nlearner: {kind: backprop}\n"


@pytest.mark.parametrize(
    "document",
    [
        "[" * 999_000,
        "- " * 400_000,
        "{a: " * 200_000,
        "? " * 400_000,
        "%" * 900_000,
        "a: " + "a:" * 400_000,
        HEAD + "tags: [" + "1," * (2 * N) + "]",
        HEAD + "".join(f"k{k}: 1\n" for k in range(N)),
        HEAD + "description: " + "x " * 400_000,
        HEAD + "description: '" + "${name}" * 100_000 + "'",
        HEAD + "title: ${name}\n" + "".join(f"k{k}: 1\n" for k in range(N // 2)),
        HEAD + "title: ${name}\ndescription: '" + "$" * 400_000 + "{" * 400_000 + "'",
        HEAD + "title: ${name}\ndescription: '" + "\\" * 900_000 + "${name}'",
        HEAD + "title: ${name}\ndescription: '" + "}{:.'''" * 100_000 + "'",
        HEAD + "population: {members: 100000}",
        HEAD + f"population: {{grid: {{train.steps: {list(range(4096))}}}}}",
        HEAD + "population: {grid: {" + ", ".join(f"p{k}: [1]" for k in range(N // 4)) + "}}",
        HEAD.replace(
            "flip-flop}", "flip-flop, splits: {" + "".join(f"s{k}: {{}}, " for k in range(N // 4)) + "}}"
        ),
        HEAD.replace(
            "flip-flop}", "flip-flop, splits: {" + "".join(f"s{k}: {{x: 1}}, " for k in range(N // 4)) + "}}"
        ),
        "spec: study/1\nname: x\ncheckpoints: [a]\ncomparisons:\n"
        + "".join(f"  k{k}: {{kind: cka}}\n" for k in range(N // 4)),
        "spec: study/1\nname: x\ncheckpoints: [a]\ncomparisons:\n"
        + "".join(f"  k{k}: {{kind: ckb}}\n" for k in range(N // 4)),
    ],
    ids=lambda document: document.removeprefix(HEAD)[:25],
)
def test_large_documents_are_judged_in_time(document: str, tmp_path: Path) -> None:
    begun = time.process_time()
    attempt(document, [], tmp_path)
    assert time.process_time() - begun < 5.0
