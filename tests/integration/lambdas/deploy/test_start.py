"""What a start copies and pins, and what it refuses before anything changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lockgate.errors import NotFoundError, RefusedError
from lockgate.release.parameters import PARAMETERS

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


def test_start_copies_the_exact_version_and_pins_it_with_the_narrow_role(prod: EnvironmentAccount) -> None:
    prod.world.s3.put_object(Bucket="test-models", Key=prod.source["key"], Body=b"a newer version")
    assert prod.start() == {"status": "IN_PROGRESS", "deadline_minutes": 60}
    copy = prod.world.s3.get_object(Bucket="test-releases", Key=prod.model_key)
    assert copy["Body"].read() == b"the model 1"
    (request,) = prod.cloudformation.requests("UpdateStack")
    assert (request["RoleARN"], request["UsePreviousTemplate"], request["ClientRequestToken"]) == (
        prod.cloudformation.role,
        True,
        "income-1-prod",
    )
    sent = {entry["ParameterKey"]: entry for entry in request["Parameters"]}
    assert sent["BootstrapVersion"] == {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}
    wanted = {**prod.release_of("1"), "model_version_id": copy["VersionId"]}
    assert {name: sent[parameter]["ParameterValue"] for name, parameter in PARAMETERS.items()} == wanted


def test_the_service_is_protected_from_deletion_and_replacement_from_the_first_promotion_on(
    prod: EnvironmentAccount,
) -> None:
    prod.start()
    (request,) = prod.cloudformation.requests("UpdateStack")
    allow, deny = json.loads(request["StackPolicyBody"])["Statement"]
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == ("Allow", "Update:*", "*")
    assert (deny["Effect"], deny["Action"], deny["Principal"]) == ("Deny", ["Update:Delete", "Update:Replace"], "*")
    assert deny["Condition"] == {"StringEquals": {"ResourceType": ["AWS::ECS::Service"]}}


def test_the_same_start_again_while_it_runs_changes_nothing(prod: EnvironmentAccount) -> None:
    assert prod.start() == prod.start()
    assert len(prod.cloudformation.requests("UpdateStack")) == 1
    written = prod.world.s3.list_object_versions(Bucket="test-releases")["Versions"]
    assert sorted(entry["Key"] for entry in written) == [
        prod.model_key,
        "income/journal/0000000001.json",
        prod.rows_key,
    ]


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"])
def test_a_stack_that_cannot_be_updated_is_refused_with_what_to_do(prod: EnvironmentAccount, status: str) -> None:
    prod.cloudformation.status = status
    with pytest.raises(RefusedError, match=rf"found {status}.*continue its rollback, or delete it"):
        prod.start()


def test_a_missing_release_stack_says_to_deploy_the_environment_first(prod: EnvironmentAccount) -> None:
    prod.cloudformation.status = None
    with pytest.raises(NotFoundError, match=r"deploy the environment first \(cdk deploy 'prod/\*'\)"):
        prod.start()
    answer = prod.status()
    assert (answer["status"], answer["release"]) == ("FAILED", None)
    assert "deploy the environment first" in answer["reason"]
    assert prod.copies() == []


def test_a_stack_of_an_older_template_is_refused(prod: EnvironmentAccount) -> None:
    del prod.cloudformation.parameters["ReleaseVerdictId"]
    with pytest.raises(RefusedError, match="has no parameters ReleaseVerdictId"):
        prod.start()


def test_no_update_to_perform_although_the_stack_pins_something_else_is_refused(prod: EnvironmentAccount) -> None:
    prod.cloudformation.failure = prod.error("ValidationError", "No updates are to be performed.")
    with pytest.raises(RefusedError, match="no update to perform, yet it pins None"):
        prod.start()


def test_another_failure_of_aws_is_raised_for_a_retry(prod: EnvironmentAccount) -> None:
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError, match="Rate exceeded"):
        prod.start()


def test_bytes_that_are_not_the_release_never_become_visible(prod: EnvironmentAccount) -> None:
    put = prod.world.s3.put_object(Bucket="test-models", Key=prod.source["key"], Body=b"replaced")
    with pytest.raises(RefusedError, match="it was replaced"):
        prod.start(source={**prod.source, "version_id": put["VersionId"]})
    assert (prod.copies(), prod.cloudformation.requests("UpdateStack")) == ([], [])


def test_a_source_version_that_is_gone_is_refused(prod: EnvironmentAccount) -> None:
    prod.world.s3.delete_object(Bucket="test-models", Key=prod.source["key"], VersionId=prod.source["version_id"])
    with pytest.raises(RefusedError, match="is gone"):
        prod.start()
    assert prod.copies() == []


def test_recorded_rows_that_are_not_the_verdicts_are_refused_before_anything_changes(prod: EnvironmentAccount) -> None:
    prod.world.s3.put_object(Bucket="test-evidence", Key="income/exec1/replay.json", Body=b"kinder rows")
    with pytest.raises(RefusedError, match=r"recorded rows: s3://test-evidence/.* it was replaced"):
        prod.start()
    prod.world.s3.delete_object(Bucket="test-evidence", Key="income/exec1/replay.json")
    with pytest.raises(RefusedError, match=r"recorded rows: .* is gone"):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []
    assert prod.rows_key not in prod.copies()


def test_a_copy_that_holds_other_bytes_is_refused(prod: EnvironmentAccount) -> None:
    prod.world.s3.put_object(Bucket="test-releases", Key=prod.model_key, Body=b"something else")
    with pytest.raises(RefusedError, match=rf"s3://test-releases/{prod.model_key}: SHA-256 found"):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []


def test_a_bucket_without_versions_is_refused(prod: EnvironmentAccount) -> None:
    prod.world.s3.put_bucket_versioning(Bucket="test-releases", VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(RefusedError, match="is the bucket versioned"):
        prod.start()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"action": "stop"}, {}),
        ({"release": None}, {}),
        ({}, {"model_version_id": "mine"}),
        ({}, {"image": "r/lockgate-models:latest"}),
        ({}, {"commit": ""}),
        ({"model": "../income"}, {}),
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_changes_nothing(
    prod: EnvironmentAccount, change: dict[str, Any], fields: dict[str, str]
) -> None:
    with pytest.raises(RefusedError):
        prod.start(**{"release": {**prod.release_of("1"), **fields}, **change})
    assert prod.cloudformation.requests("UpdateStack") == []


def test_what_no_verdict_let_in_is_not_begun(prod: EnvironmentAccount) -> None:
    """Whoever may invoke the function writes its event: the ledger has to have what it names."""
    with pytest.raises(RefusedError, match="found no such record, expected what let version 1 into prod"):
        prod.start_unjudged()
    assert (prod.copies(), prod.cloudformation.requests("UpdateStack")) == ([], [])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": "failed"}, "found a verdict that is failed"),
        ({"outcome": "inconclusive"}, "found a verdict that is inconclusive"),
        ({"image": "another@sha256:" + "0" * 64}, "found a verdict about another image"),
        ({"model_sha256": "0" * 64}, "found a verdict about another model_sha256"),
        ({"policy_sha256": "0" * 64}, "found a verdict about another policy_sha256"),
        ({"approvals": 1}, "found approvals of 0 persons, expected 1"),
    ],
    ids=str,
)
def test_a_verdict_about_something_else_or_without_its_approvals_lets_nothing_in(
    prod: EnvironmentAccount, changes: dict[str, Any], why: str
) -> None:
    prod.let_in(**changes)
    with pytest.raises(RefusedError, match=why):
        prod.start_unjudged()
    assert (prod.copies(), prod.cloudformation.requests("UpdateStack")) == ([], [])


def test_approvals_are_read_and_one_person_counts_once(prod: EnvironmentAccount) -> None:
    prod.let_in(approvals=2)
    prod.approve(2, "bob")
    prod.approve(3, "bob")
    with pytest.raises(RefusedError, match="found approvals of 1 persons, expected 2"):
        prod.start_unjudged(approvals="income/2 income/3 income/4")
    prod.approve(4, "carol")
    assert prod.start_unjudged(approvals="income/2 income/3 income/4")["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("name", ["churn/1", "income/0", "income/x", "income/1/2", "income", "income/" + "9" * 40])
def test_a_reference_that_is_no_record_of_this_model_lets_nothing_in(prod: EnvironmentAccount, name: str) -> None:
    with pytest.raises(RefusedError, match="found no such record"):
        prod.start_unjudged(release={**prod.release_of("1"), "verdict_id": name})


def test_a_ledger_that_cannot_be_read_lets_nothing_in(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_BUCKET", "no-such-bucket")
    with pytest.raises(ClientError):
        prod.start_unjudged()
    assert prod.cloudformation.requests("UpdateStack") == []
