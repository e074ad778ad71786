"""Make a model's folder from a file of rows: declaration, training, first policy.

Reads CSV or Parquet, a folder of parts, or a prefix of S3. It finds out what is predicted, what each column is, which
columns know the target, and how rows must be divided. It trains a first model on training rows alone, and proposes a
policy that the holdout can decide about.

It writes model/NAME/ and data/NAME/, both or neither, and never over what is there. What it cannot know stands in
model.toml as TODO, and synth refuses the model until somebody wrote it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.context import Context, find_root, json_argument
from cli.terminal import show, show_json, working
from lockgate.aws.downloads import download
from lockgate.aws.sessions import open_session
from lockgate.configuration.forms import DASHED_EXPECTED
from lockgate.configuration.model import LONGEST_NAME, NAME, OWNER, OWNER_EXPECTED, read_model
from lockgate.configuration.tools import read_tools
from lockgate.errors import RefusedError

if TYPE_CHECKING:
    from cli.profile.draft import Draft
    from cli.profile.proposal import PolicyProposal
    from cli.profile.written import Decided

EXAMPLE = "lockgate new churn --from customers.csv --target churned"
IGNORED = "# `lockgate snapshot` publishes the rows from here, and git never has them.\n*.parquet\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the model: its folder will be model/NAME/")
    parser.add_argument("--from", dest="source", required=True, metavar="FILE", help="CSV, Parquet, folder or s3://…")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what is predicted")
    parser.add_argument("--task", choices=("binary", "multiclass", "regression"), help="instead of what is inferred")
    parser.add_argument("--positive", metavar="CLASS", help="the class of two that is meant")
    parser.add_argument("--identifier", metavar="COLUMN", help="the column that names each row once")
    parser.add_argument("--entity", metavar="COLUMN", help="whose rows must lie on one side of a split, or none")
    parser.add_argument("--time", metavar="COLUMN", help="by which later rows judge, or none")
    parser.add_argument("--leave-out", metavar="COLUMN", nargs="+", default=[], help="columns that are not looked at")
    parser.add_argument("--keep", metavar="COLUMN", nargs="+", default=[], help="features that look like leaks or ids")
    parser.add_argument("--category", metavar="COLUMN", nargs="+", default=[], help="integers that name kinds")
    parser.add_argument("--owner", help="who answers for the model")
    parser.add_argument("--intended-use", help="what its predictions are for, and what not")
    parser.add_argument(
        "--protected", metavar="COLUMN", nargs="*", help="features that must not divide people, or none"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: what is not said stays undecided")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from cli.profile.draft import Choices, drafted  # what reads and trains is heavy
    from cli.profile.reading import read_rows
    from cli.profile.summary import facts, summary
    from cli.profile.written import Decided

    root = find_root(Path.cwd())
    name = arguments.name
    if not NAME.fullmatch(name):
        raise RefusedError(f"NAME: found {name!r}, expected {DASHED_EXPECTED.format(most=LONGEST_NAME)}")
    for folder in (f"model/{name}", f"data/{name}"):
        if (root / folder).exists():
            raise RefusedError(f"{folder}: found it there, expected no such folder: nothing is written over")
    protected = None if arguments.protected is None else tuple(arguments.protected)
    protected = () if protected == ("none",) else protected
    decided = Decided(arguments.owner, arguments.intended_use, protected)
    if decided.owner is not None and not OWNER.fullmatch(decided.owner):
        raise RefusedError(f"--owner: found {decided.owner!r}, expected {OWNER_EXPECTED}")
    asked = Choices(
        name=name,
        source=Path(arguments.source).name or arguments.source,
        target=arguments.target,
        task=arguments.task,
        positive=arguments.positive,
        identifier=arguments.identifier,
        entity=arguments.entity,
        time=arguments.time,
        keep=tuple(arguments.keep),
        codes=tuple(arguments.category),
    )
    with working("reading"), _local(root, arguments.source) as path:
        rows = read_rows(path, arguments.source, arguments.leave_out)
    with working("looking at columns"):
        draft = drafted(rows, asked, decided)
    if not arguments.yes and not arguments.json and sys.stdin.isatty():
        draft = _decided_by_hand(draft)
    with _staged(root, name, arguments.dry_run) as stage:
        with working("first run"):
            draft, policy = _written(stage, draft)
        if not arguments.dry_run:
            _moved(stage, root, name)
    if arguments.json:
        show_json({**facts(draft, policy), "written": not arguments.dry_run})
        return 0
    show(*summary(draft, policy, arguments.dry_run))
    return 0


@contextmanager
def _local(root: Path, source: str) -> Iterator[Path]:
    """The file or folder of the rows, downloaded where it lies in S3."""
    if not source.startswith("s3://"):
        path = Path(source).expanduser()
        if not path.exists():
            raise RefusedError(f"--from {source}: found no such file or folder, expected CSV or Parquet")
        yield path
        return
    Context.join_embedded_aws()
    s3 = open_session(read_tools(root / "environments" / "tools.toml").region).client("s3")
    with tempfile.TemporaryDirectory() as folder:
        download(s3, source, Path(folder))
        yield Path(folder)


def _decided_by_hand(draft: Draft) -> Draft:
    """Ask on the terminal for what no file says; an empty answer leaves it undecided."""
    decided = draft.declaration.decided
    names = [column.name for column in draft.declaration.features]
    show("Some things no file says. An empty answer leaves one undecided.")
    if decided.owner is None:
        decided = replace(decided, owner=_answer("Who answers for the model (a team or a person)?", OWNER.fullmatch))
    if decided.intended_use is None:
        decided = replace(decided, intended_use=_answer("What are its predictions for, and what not?", bool))
    if decided.protected is None:

        def known(said: str) -> bool:
            return said == "none" or all(each.strip() in names for each in said.split(","))

        said = _answer("Which features must not divide people (names with commas, or none)?", known)
        if said:
            listed = () if said == "none" else tuple(each.strip() for each in said.split(","))
            decided = replace(decided, protected=listed)
    return replace(draft, declaration=replace(draft.declaration, decided=decided))


def _answer(question: str, fits: Any) -> str | None:
    while True:
        show(question)
        said = input("> ").strip()
        if not said:
            return None
        if fits(said):
            return said
        show("  that is none: try again, or press Enter")


@contextmanager
def _staged(root: Path, name: str, dry_run: bool) -> Iterator[Path]:
    """A folder beside the project's own files, so that what is ready can be moved; it is gone afterwards."""
    parent = None if dry_run else root / ".lockgate"
    if parent:
        parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"new-{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(stage: Path, draft: Draft) -> tuple[Draft, PolicyProposal]:
    """Write all files into the stage, read them as every other command would, and train once."""
    import pyarrow.parquet

    from cli.commands.snapshot import validated
    from cli.profile.draft import with_bins
    from cli.profile.first_run import first_run, recipe
    from cli.profile.proposal import policy_toml, proposed, with_cap
    from cli.profile.written import model_toml

    draft = with_bins(draft)
    said = draft.declaration
    folder, data = stage / "model" / said.name, stage / "data" / said.name
    folder.mkdir(parents=True)
    data.mkdir(parents=True)
    (data / ".gitignore").write_text(IGNORED)
    for part, table in (("train", draft.train), ("holdout", draft.holdout)):
        pyarrow.parquet.write_table(table, data / f"{part}.parquet", compression="zstd")
    (folder / "train.py").write_text(draft.train_py)
    (folder / "model.toml").write_text(model_toml(replace(said, decided=_filled(said.decided))))
    model = read_model(folder)
    validated(draft.train, draft.holdout, model)
    result = first_run(recipe(folder), model, draft.train)
    target = with_cap(said.target, result)
    policy = proposed(result, target, said.decided.protected or (), draft.holdout.num_rows)
    draft = replace(draft, declaration=replace(said, target=target))
    (folder / "model.toml").write_text(model_toml(draft.declaration))
    (folder / "policy.toml").write_text(policy_toml(said.name, policy))
    return draft, policy


def _filled(decided: Decided) -> Decided:
    """With words where nobody decided, so that the file can be read before it is written."""
    return replace(
        decided,
        owner=decided.owner or "undecided",
        intended_use=decided.intended_use or "undecided",
        protected=decided.protected or (),
    )


def _moved(stage: Path, root: Path, name: str) -> None:
    """Both folders, or neither."""
    (root / "data").mkdir(exist_ok=True)
    (root / "model").mkdir(exist_ok=True)
    (stage / "data" / name).rename(root / "data" / name)
    try:
        (stage / "model" / name).rename(root / "model" / name)
    except OSError:
        shutil.rmtree(root / "data" / name)
        raise
