"""The cards of registry/, made anew from the folders that they belong to; nothing is trained.

python scripts/cards.py --check  [NAME ...]    says which cards are out of date, and fails when there are any
python scripts/cards.py --write  [NAME ...]    writes those anew, and draws portraits where there are none
python scripts/cards.py --redraw [NAME ...]    draws all portraits anew as well
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from zoo.checkpoints.folder import CARD, PORTRAIT, RECORD, CheckpointFolder, describe, parse_json
from zoo.errors import ZooError
from zoo.hub.card import render
from zoo.hub.card_check import check_card
from zoo.placing import place
from zoo.specs.record import Record

REGISTRY = Path(__file__).resolve().parent.parent / "registry"
MODES = ("--check", "--write", "--redraw")


def main(arguments: list[str]) -> int:
    """The exit status: 1 where a card is out of date or cannot be made."""
    mode, names = (arguments[0], arguments[1:]) if arguments else ("", [])
    if mode not in MODES:
        print(__doc__, file=sys.stderr)
        return 2
    known = sorted(path.parent.name for path in REGISTRY.glob(f"*/{RECORD}"))
    if unknown := sorted(set(names) - set(known)):
        print(f"registry/ has no {', '.join(unknown)}; it has {', '.join(known)}.", file=sys.stderr)
        return 2
    try:
        changed = [name for name in names or known if update(REGISTRY / name, mode)]
    except ZooError as problem:
        print(problem, file=sys.stderr)
        return 1
    if mode == "--check" and changed:
        print(f"cards are out of date: {', '.join(changed)}. Run: scripts/cards --write", file=sys.stderr)
        return 1
    if changed:
        print(f"written: {', '.join(changed)}")
    return 0


def update(path: Path, mode: str) -> bool:
    """Whether the card of a folder is out of date; unless it is only checked, it is not afterwards."""
    folder = CheckpointFolder(path)
    listed = {RECORD, *folder.record.files, *({CARD} if folder.has(CARD) else ())}
    before = {file: folder.read(file) for file in (RECORD, CARD, PORTRAIT) if file in listed}
    draw = mode == "--redraw" or PORTRAIT not in folder.record.files
    if mode == "--check":
        return draw or card_of(folder, folder.record) != before.get(CARD)
    after = {**before, **(drawn(folder) if draw else {CARD: card_of(folder, folder.record)})}
    if after != before:
        place(path, {**folder.contents(), **after}, replace=True)
    return after != before


def card_of(folder: CheckpointFolder, record: Record) -> bytes:
    """The card as it is made today, with what people wrote on the one that is there."""
    existing = folder.read(CARD).decode("utf-8") if folder.has(CARD) else None
    card = render(record, folder.experiment, existing).encode()
    check_card(card, record)
    return card


def drawn(folder: CheckpointFolder) -> dict[str, bytes]:
    """The portrait, the record that lists it, in which all else is as it was, and the card that shows it."""
    from zoo.checkpoints.portrait import portrait_of

    picture = portrait_of(folder)
    if picture is None:
        raise ZooError(f"{folder.path} has no state that is finite, so it cannot be drawn. Train it anew.")
    document = parse_json(folder.read(RECORD))
    document["files"] = dict(sorted({**document["files"], PORTRAIT: describe(picture).plain()}.items()))
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    record = folder.record.updated(files={**folder.record.files, PORTRAIT: describe(picture)})
    return {PORTRAIT: picture, RECORD: f"{text}\n".encode(), CARD: card_of(folder, record)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
