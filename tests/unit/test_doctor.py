"""What an account lacks before its first deploy is named, with what to do; what it has is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lockgate import names
from lockgate.doctor import AUDIENCE, LINKED_ROLES, AccountState, Certificate, Wanted, diagnose

ACCOUNT, REGION = "222222222222", "us-east-1"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
DEV = Wanted("dev", ACCOUNT, REGION, CERTIFICATE, None)
TOOLS = Wanted("tools", ACCOUNT, REGION, None, None)
READY = AccountState(
    account=ACCOUNT,
    bootstrap=30,
    trusted=[ACCOUNT],
    execution_policies=["DeployLockgate"],
    providers={},
    provider_is_ours=False,
    scan_type="BASIC",
    certificate=Certificate("ISSUED", 300),
    linked_services=list(LINKED_ROLES),
    concurrency=1000,
)


def states(wanted: Wanted, **changes: Any) -> dict[str, str]:
    """Check -> state, of what is not ok."""
    found = diagnose(wanted, replace(READY, **changes))
    assert all(finding.todo for finding in found if finding.state != "ok")
    return {finding.check: finding.state for finding in found if finding.state != "ok"}


@pytest.mark.parametrize("wanted", [DEV, TOOLS], ids=["dev", "tools"])
def test_an_account_that_has_everything_is_ready(wanted: Wanted) -> None:
    assert states(wanted) == {}


def test_credentials_of_another_account_end_the_examination() -> None:
    (finding,) = diagnose(DEV, replace(READY, account="999999999999", bootstrap=None))
    assert finding.found == f"999999999999, expected {ACCOUNT}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bootstrap": None}, {"bootstrap": "missing"}),
        ({"bootstrap": 5}, {"bootstrap": "missing"}),
        ({"trusted": [ACCOUNT, "111111111111"]}, {"bootstrap trust": "note"}),
        ({"execution_policies": ["AdministratorAccess"]}, {"bootstrap policies": "note"}),
        ({"execution_policies": []}, {"bootstrap policies": "missing"}),
        ({"certificate": None}, {"certificate": "missing"}),
        ({"certificate": Certificate("PENDING_VALIDATION", None)}, {"certificate": "missing"}),
        ({"certificate": Certificate("ISSUED", 29)}, {"certificate": "note"}),
        ({"certificate": Certificate("ISSUED", 30)}, {}),
        ({"linked_services": []}, {"service-linked role": "missing"}),
        ({"scan_type": "ENHANCED"}, {"image scans": "note"}),
        ({"concurrency": 10}, {"quota of Lambda": "note"}),
    ],
)
def test_what_an_environment_lacks_is_said(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert states(DEV, **changes) == expected


def test_every_linked_role_has_a_line_of_its_own() -> None:
    found = diagnose(DEV, replace(READY, linked_services=["ecs.amazonaws.com"]))
    todo = [finding.todo for finding in found if finding.state == "missing"]
    assert [line.rpartition(" ")[2] for line in todo] == [
        "elasticloadbalancing.amazonaws.com",
        "ecs.application-autoscaling.amazonaws.com",
    ]


def test_tools_need_neither_certificate_nor_linked_roles() -> None:
    assert states(TOOLS, certificate=None, linked_services=[]) == {}


@pytest.mark.parametrize(
    ("configured", "providers", "ours", "state"),
    [
        (None, {}, False, None),
        (None, {PROVIDER: [AUDIENCE]}, True, None),
        (None, {PROVIDER: [AUDIENCE]}, False, "missing"),
        (PROVIDER, {PROVIDER: [AUDIENCE]}, False, None),
        (PROVIDER, {}, False, "missing"),
        (PROVIDER, {PROVIDER: ["another"]}, False, "missing"),
    ],
    ids=["none yet", "our own", "another's, not named", "named", "named, not there", "without our audience"],
)
def test_an_account_has_one_identity_provider_of_github(
    configured: str | None, providers: dict[str, list[str]], ours: bool, state: str | None
) -> None:
    wanted = replace(TOOLS, provider_arn=configured)
    said = states(wanted, providers=providers, provider_is_ours=ours)
    assert said == ({"identity provider": state} if state else {})


def test_stacks_of_another_lockgate_are_missing_ground_and_ours_or_unmarked_ones_are_not() -> None:
    wanted = replace(TOOLS, repository_id="17")
    owners = {"lockgate-tools-artifacts": "17", "lockgate-tools-delivery": ""}
    assert states(wanted, owners=owners) == {}
    assert states(wanted, owners={**owners, "lockgate-tools-training": "99"}) == {"names": "missing"}


def test_a_stack_says_whose_it_is() -> None:
    assert names.owner_of(f"Lockgate: heads of the ledger {names.owned_by('17')}") == "17"
    assert names.owner_of("Lockgate: heads of the ledger") == ""
