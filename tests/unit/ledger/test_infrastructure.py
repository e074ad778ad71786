"""Whether stacks may be deployed: one approval, by enough persons, of exactly these stacks, for one deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from cli.commands.infrastructure import digest_of
from cli.commands.status import stacks
from lockgate.errors import NotFoundError
from lockgate.ledger.chain import StackChain
from lockgate.ledger.infrastructure import request_id, standing, unfinished
from lockgate.ledger.kinds import Body, StackApprovalRequest, StackDeployment
from tests import records

ONE, TWO, COMMIT = "1" * 64, "2" * 64, "c" * 40


def chain(*bodies: Body) -> StackChain:
    return records.stack_chain_of(*(records.entry(body, 0, "prod") for body in bodies))


def asked(assembly: str = ONE, approvals: int = 1) -> StackApprovalRequest:
    return records.stack_request(approvals, assembly=assembly)


def approved(request: int, person: str = "grace") -> Body:
    return records.stack_approval(f"infrastructure/{request}", person)


def rejected(request: int, reason: str = "") -> Body:
    return records.stack_rejection(f"infrastructure/{request}", reason=reason)


def deployed(assembly: str = ONE, outcome: Literal["succeeded", "failed"] = "succeeded") -> StackDeployment:
    reason = "UPDATE_ROLLBACK_COMPLETE" if outcome == "failed" else ""
    return records.stack_deployment(outcome, assembly=assembly, reason=reason)


def state(stacks: StackChain, assembly: str = ONE, approvals: int = 1) -> str:
    return standing(stacks, "prod", assembly, approvals).state


def test_where_nobody_is_asked_everything_may_be_deployed() -> None:
    assert state(chain(), approvals=0) == "approved"


def test_an_assembly_nobody_asked_for_is_unasked() -> None:
    assert state(chain()) == "unasked"
    assert state(chain(asked(TWO))) == "unasked"


def test_a_request_waits_until_enough_different_persons_approved() -> None:
    twice = chain(asked(approvals=2), approved(1), approved(1))
    assert state(twice, approvals=2) == "waiting"
    both = chain(asked(approvals=2), approved(1), approved(1, "olga"))
    assert state(both, approvals=2) == "approved"


def test_a_rejection_stays() -> None:
    assert state(chain(asked(), rejected(1))) == "rejected"


def test_an_approval_of_other_stacks_is_none_of_these() -> None:
    assert state(chain(asked(TWO), approved(1), asked(ONE))) == "waiting"
    assert state(chain(asked(ONE), approved(1), asked(TWO))) == "unasked"


def test_an_approval_is_for_one_deployment() -> None:
    after = chain(asked(ONE), approved(1), deployed(ONE), asked(TWO), approved(4), deployed(TWO))
    assert state(after) == "unasked"
    assert state(after, TWO) == "live"


def test_a_failed_deployment_may_be_tried_again_and_leaves_nothing_live() -> None:
    failed = chain(asked(), approved(1), deployed(outcome="failed"))
    assert state(failed) == "approved"
    unsure = chain(asked(TWO), approved(1), deployed(TWO), asked(ONE), deployed(ONE, "failed"))
    assert state(unsure, TWO) == "unasked", "the failed one may have changed some of its stacks"


def test_a_request_of_when_fewer_were_asked_counts_no_more() -> None:
    assert state(chain(asked(approvals=1), approved(1)), approvals=2) == "unasked"


def test_other_environments_approvals_do_not_count() -> None:
    assert standing(chain(asked(), approved(1)), "staging", ONE, 1).state == "unasked"


def test_a_request_has_a_new_name_after_each_deployment() -> None:
    before, after = chain(asked()), chain(asked(), approved(1), deployed())
    assert request_id(before, "prod", TWO) == request_id(before, "prod", TWO)
    assert request_id(before, "prod", TWO) != request_id(after, "prod", TWO)


NOTHING_LIVE = {"live_commit": None, "order": None}


def shown(chain: StackChain, author: str | None = "amelie") -> list[str]:
    """What `lockgate status` says of the one environment whose stacks are unfinished."""
    (entry,) = unfinished(chain)
    return [str(line) for line in stacks({**entry, "author": author, **NOTHING_LIVE})]


def test_stacks_that_wait_are_shown_with_who_asked_and_what_to_run() -> None:
    lines = shown(chain(asked(TWO), asked(ONE, approvals=2), approved(2)))
    assert lines == [
        f"waiting: stacks of prod: assembly {ONE}",
        f"  of commit {COMMIT}, pushed by amelie; run 17.1, since 2026-11-21T00:00:00Z",
        "  approved by grace: 1 of 2",
        f"  check: git checkout {COMMIT[:12]} && make synth && lockgate infrastructure digest prod",
        f'  lockgate approve {ONE} --env prod --reason "..."',
    ]


def test_stacks_that_wait_are_shown_with_how_their_commit_stands_to_what_is_deployed() -> None:
    (entry,) = unfinished(chain(asked()))
    lines = [str(line) for line in stacks({**entry, "author": "ada", "live_commit": "d" * 40, "order": "2 behind"})]
    assert f"  commit {COMMIT[:12]} to dddddddddddd, which is live there: 2 behind" in lines


def test_stacks_that_a_stranger_pushed_are_shown_as_a_strangers() -> None:
    assert "pushed by GitHub account 100, whom [persons] does not name" in shown(chain(asked()), None)[1]


def test_stacks_that_are_approved_wait_for_their_job() -> None:
    lines = shown(chain(asked(), approved(1)))
    assert lines[0].startswith("approved: ")
    assert lines[-1] == "  not deployed yet: run the job of the workflow `infrastructure` again"


def test_stacks_that_somebody_rejected_are_shown_with_the_reason() -> None:
    lines = shown(chain(asked(), rejected(1, "opens a port")))
    assert (lines[0], lines[-1]) == (f"rejected: stacks of prod: assembly {ONE}", "  opens a port")


def test_stacks_that_failed_to_deploy_are_shown_until_they_are_live() -> None:
    failed = (asked(), approved(1), deployed(outcome="failed"))
    lines = shown(chain(*failed))
    assert (lines[0], lines[-1]) == (f"failed: stacks of prod: assembly {ONE}", "  UPDATE_ROLLBACK_COMPLETE")
    assert shown(chain(deployed(outcome="failed")))[0].startswith("failed: "), "where nobody is asked"
    assert shown(chain(*failed, asked(TWO)))[0].startswith("waiting: ")
    assert unfinished(chain(*failed, deployed())) == []


def test_nothing_is_shown_of_stacks_that_are_live() -> None:
    assert unfinished(chain()) == []
    assert unfinished(chain(asked(), approved(1), deployed())) == []


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    folder = tmp_path / "assembly-prod"
    folder.mkdir()
    (tmp_path / "asset.1").mkdir()
    (tmp_path / "asset.1" / "code.py").write_text("answer = 42\n")
    (folder / "manifest.json").write_text("{}")
    (folder / "edge.template.json").write_text("{}")
    files = {"1": {"source": {"path": "../asset.1"}}, "2": {"source": {"path": "edge.template.json"}}}
    (folder / "edge.assets.json").write_text(json.dumps({"files": files}))
    return tmp_path


@pytest.mark.parametrize(
    "file", ["asset.1/code.py", "assembly-prod/edge.template.json", "assembly-prod/manifest.json", "asset.1/new.py"]
)
def test_the_digest_changes_with_every_file_that_is_deployed(assembly: Path, file: str) -> None:
    before = digest_of(assembly, "prod")
    (assembly / "other").write_text("not deployed")
    assert digest_of(assembly, "prod") == before
    (assembly / file).write_text("changed")
    assert digest_of(assembly, "prod") != before


def test_the_digest_of_what_is_not_there_is_refused(assembly: Path) -> None:
    with pytest.raises(NotFoundError, match=r"assembly-dev: found no manifest.json, expected what `make synth` writes"):
        digest_of(assembly, "dev")
