"""Try a model on training rows, before a commit, in under a minute.

Runs the real steps on a sample on this machine and prints a card: metrics with intervals by cross-validation, beside
the champion's recipe fitted anew in the same folds, groups, engine, size, what the gate would say by the model's
policy, and what would fail later. It is no verdict. No file of a holdout is read, and no AWS is asked.

Without a name it tries the models that this branch changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.context import find_root, json_argument
from cli.git import models_of
from cli.terminal import progress, show, show_json, working
from cli.trial import recipes
from cli.trial.card import as_lines, as_markdown
from cli.trial.run import Judges, tried

EXAMPLE = "lockgate try employment"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="*", help="names of folders below model/ (those that this branch changes)")
    parser.add_argument("--rows", type=_rows, help="how many training rows to try (what fits in a minute)")
    parser.add_argument(
        "--against", metavar="REF", help="the commit whose recipe is the champion's (where this branch left main's)"
    )
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write the card for a comment too")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    root = find_root(Path.cwd())
    judges = Judges.read(root)
    base = recipes.base_commit(root, arguments.against, judges.tools.github.branch)
    cards = []
    for name in arguments.model or _changed(root, base):
        with working(f"trying {name}"):
            cards.append(tried(root, judges, name, arguments.rows, base))
    if arguments.markdown:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(as_markdown(cards), encoding="utf-8")
    if arguments.json:
        show_json({"cards": [card.as_dict() for card in cards]})
    elif not cards:
        progress(f"this branch changes no model against {(base or 'nothing')[:12]}: name one to try it")
    for card in cards if not arguments.json else ():
        show(*as_lines(card), "")
    return 1 if any(card.fails for card in cards) else 0


def _changed(root: Path, base: str | None) -> tuple[str, ...]:
    names = tuple(sorted(file.parent.name for file in (root / "model").glob("*/model.toml")))
    if base is None:
        return names
    return recipes.changed_models(recipes.changed_files(root, base), names, {*names, *models_of(root, base)})


def _rows(text: str) -> int:
    if not text.isdigit() or int(text) < 50:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of rows, 50 at least")
    return int(text)
