"""What `lockgate follow` says of each kind of record, and which of them is an end."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest

from cli.commands import follow
from cli.commands.follow import DONE, REFUSED, WAITING, WayEnded, _line, ending_of
from lockgate.errors import LockgateError, NotFoundError
from lockgate.ledger import kinds
from tests import records

WAITS = "waits for an approval"


def said(body: kinds.Body) -> str:
    (record,) = records.chain_of(records.entry(body, 2))
    return str(_line(record))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (records.verdict(), "passed; for readers of the ledger: lockgate explain 2 --model income"),
        (records.verdict(outcome="error"), "refused; for readers of the ledger: lockgate explain 2 --model income"),
        (records.verdict(feedback="none"), "decided; for readers of the ledger: lockgate explain 2 --model income"),
        (
            records.verdict(feedback="numbers", assurance="simple"),
            "passed under simple assurance; ranking passed: of 9 rows",
        ),
        (records.request(), WAITS),
        (records.approval(reason=""), "approval by grace: no reason given"),
        (records.rejection(reason="unfair"), "rejection by grace: unfair"),
        (records.deployment("failed"), "deployment failed"),
        (records.waiver("fair", reason="holiday data"), "fair waived by grace: holiday data"),
        (records.holdout("3" * 64), "fresh holdout recorded by grace"),
        (records.snapshot_choice(), f"snapshot {'6' * 16} chosen for training by grace: why"),
        (records.rollback(2, 1, person="olga"), "rolled back from version 2 to 1 by olga: why"),
        (records.restore(1, person="olga"), "version 1 restored by olga: why"),
        (records.break_glass("ada"), "break-glass by ada: why"),
        (records.acknowledgement("income/1"), "break-glass acknowledged by grace: why"),
        (records.retirement("dev"), "model retired by grace: why"),
    ],
    ids=lambda each: each.KIND if isinstance(each, kinds.Body) else "",
)
def test_each_kind_of_record_is_said_in_words_of_its_own(body: kinds.Body, line: str) -> None:
    assert said(body) == line


def test_nothing_but_a_request_waits_for_an_approval() -> None:
    assert {body.KIND for body in records.ALL if said(body) == WAITS} == {"approval-request"}


LIVE = records.entry(records.deployment(version=2), 2, "prod", "live")
NEWER = records.entry(records.deployment(version=3), 3, "prod", "newer")


def entry(body: kinds.Body, environment: str = "prod") -> records.Entry[kinds.Body]:
    return records.entry(body, 2, environment, "last")


@pytest.mark.parametrize(
    ("entries", "ending"),
    [
        ([], None),
        ([entry(records.verdict())], None),
        ([entry(records.verdict(outcome="failed"))], REFUSED),
        ([entry(records.verdict(outcome="failed")), records.entry(records.waiver(), 2)], None),
        ([entry(records.rejection())], REFUSED),
        ([entry(records.deployment(version=2), "dev")], None),
        ([LIVE], DONE),
        ([LIVE, entry(records.acknowledgement("income/0"))], DONE),
        ([LIVE, NEWER], WayEnded(0, "was live until version 3")),
        ([LIVE, entry(records.rollback(2, 1))], WayEnded(3, "rolled back from in prod, which serves version 1 since")),
        ([LIVE, entry(records.rollback(2, 1), "dev")], None),
    ],
)
def test_how_the_way_of_a_version_ended_is_said_by_its_newest_record(
    entries: list[records.Entry[kinds.Body]], ending: WayEnded | None
) -> None:
    assert ending_of(records.chain_of(*entries), 2, "prod") == ending


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"alpha": DONE, "beta": REFUSED}, 3),
        ({"alpha": WAITING, "beta": DONE}, 4),
        ({"alpha": DONE, "beta": LockgateError("training of beta: Failed")}, 1),
        ({"alpha": DONE, "beta": NotFoundError("no training of beta")}, 0),
        ({"alpha": NotFoundError("no training of alpha"), "beta": WAITING}, 4),
    ],
    ids=["one is refused", "one waits", "one fails", "one was not delivered", "the other was not delivered"],
)
def test_every_model_of_a_commit_is_followed_and_the_worst_end_is_the_exit_code(
    ended: dict[str, WayEnded | LockgateError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def one(context: object, model: str, commit: str, deadline: float, *, json: bool) -> tuple[dict[str, object], int]:
        asked.append(model)
        found = ended[model]
        if isinstance(found, LockgateError):
            raise found
        return {"model": model}, found.code

    context = SimpleNamespace(root=None, models=lambda chosen: tuple(ended))
    monkeypatch.setattr(follow, "open_context", lambda: context)
    monkeypatch.setattr(follow, "commit_of", lambda root, revision: "c" * 40)
    monkeypatch.setattr(follow, "_follow", one)
    given = argparse.Namespace(revision="HEAD", model=None, timeout=1.0, json=False)
    assert follow.run(given) == code
    assert asked == list(ended)


def test_where_no_model_has_a_training_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> tuple[dict[str, object], int]:
        raise NotFoundError("no training")

    context = SimpleNamespace(root=None, models=lambda chosen: ("alpha", "beta"))
    monkeypatch.setattr(follow, "open_context", lambda: context)
    monkeypatch.setattr(follow, "commit_of", lambda root, revision: "c" * 40)
    monkeypatch.setattr(follow, "_follow", none)
    with pytest.raises(NotFoundError, match="no training"):
        follow.run(argparse.Namespace(revision="HEAD", model=None, timeout=1.0, json=False))
