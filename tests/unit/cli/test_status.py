"""What `lockgate status` shows of an environment, whatever of it cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands import status
from lockgate.aws.deployed_policies import deployed_policies
from lockgate.errors import LedgerError
from lockgate.release.comparison import Reality
from lockgate.release.parameters import PARAMETERS
from lockgate.release.stack import Stack
from tests import records

LIVE = Reality(records.release(1), "UPDATE_COMPLETE", "task:1", "task:1")
CHAIN = records.chain_of(records.entry(records.deployment(), 1, "prod"), model="a")


def half_pinned() -> Reality:
    """What a stack says of itself that somebody updated by hand and not whole."""
    stack = Stack("lockgate-prod-release-b", "UPDATE_COMPLETE", "", {PARAMETERS["version"]: "2"}, ())
    return Reality(stack.release, stack.status, None, None)


def broken_journal() -> Any:
    raise LedgerError("journal of b: fact 2 is missing")


def asked(monkeypatch: pytest.MonkeyPatch, reality: Any = lambda: LIVE, journal: Any = lambda: ()) -> dict[str, Any]:
    """What is found of two models in prod, where only that of b is odd."""
    look = SimpleNamespace(
        reality=lambda model: reality() if model == "b" else LIVE,
        journal=lambda model: journal() if model == "b" else (),
    )
    monkeypatch.setattr(status, "look_at", lambda *_: look)
    context: Any = SimpleNamespace(client=lambda service: None)
    environment: Any = SimpleNamespace(name="prod")
    found = status._asked(context, environment, {"a": CHAIN, "b": CHAIN})
    assert (found["a"]["live"]["version"], found["a"]["differences"]) == (1, [])
    return found["b"]


def test_one_half_pinned_stack_hides_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, reality=half_pinned)
    assert (found["live"], found["asked"], found["recorded"]["version"]) == (None, False, 1)
    (said,) = found["differences"]
    assert said.startswith("its stack could not be read: release: commit, package_arn, ")
    assert status._row("prod", "b", found)[2] == "not known"


def test_a_journal_that_cannot_be_read_does_not_hide_what_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, journal=broken_journal)
    assert found["live"]["version"] == 1
    assert found["differences"] == ["its journal could not be read: journal of b: fact 2 is missing"]


def test_what_is_pinned_while_no_service_runs_is_not_said_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Reality(records.release(1), "UPDATE_COMPLETE", "task:1", None)
    found = asked(monkeypatch, reality=lambda: gone)
    assert (found["live"], found["pinned"]["version"]) == (None, 1)
    assert status._row("prod", "b", found)[2] == "nothing: version 1 is pinned, no service runs"
    assert "its service was deleted" in found["differences"][0]


class Templates:
    """CloudFormation that has a template of the stack of the gate."""

    def __init__(self, **metadata: Any) -> None:
        self.metadata = metadata

    def get_template(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == "lockgate-tools-promotion"
        return {"TemplateBody": {"Metadata": self.metadata} if self.metadata else {}}


@pytest.mark.parametrize(
    ("deployed", "promotable"),
    [("d" * 64, False), ("e" * 64, True)],
    ids=["the policy of the refusal is deployed", "another one is"],
)
def test_a_promotion_is_refused_by_the_policy_that_is_deployed_and_not_by_the_checkouts(
    deployed: str, promotable: bool
) -> None:
    configured = [SimpleNamespace(name="dev")]
    for checkout in ("d" * 64, "e" * 64):
        context: Any = SimpleNamespace(
            configuration=SimpleNamespace(
                environments=configured,
                policies={"a": None},
                policy=lambda environment, model, digest=checkout: SimpleNamespace(sha256=digest),
            ),
            deployed_policies=deployed_policies(Templates(**{"lockgate:policies": {"dev": {"a": deployed}}})),
        )
        refused = records.chain_of(records.entry(records.verdict(outcome="failed"), 2, "dev"), model="a")
        assert (status.why_not(context, refused, 2) == "") is promotable


def test_where_an_older_lockgate_is_deployed_its_policies_are_not_known() -> None:
    assert deployed_policies(Templates()) == {}
