"""`lockgate doctor` in accounts of the embedded AWS that lack one thing after another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate import names
from lockgate.aws.account import look
from lockgate.doctor import ISSUER, LINKED_ROLES, AccountCheck, Wanted, diagnose

ROOT = Path(__file__).parents[4]
REGION = "us-east-1"


def missing(aws: Any, wanted: Wanted, profile: str) -> set[str]:
    found = diagnose(wanted, look(lambda service: aws.client(service, profile), wanted))
    return {finding.check for finding in found if finding.state == "missing"}


def doctor(aws: Any, environment: str, profile: str) -> tuple[int, dict[str, AccountCheck]]:
    """Exit code of the command, and its findings; a check with several lines keeps its last."""
    command = [sys.executable, "-m", "cli", "doctor", environment, "--json"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **aws.session.environment(profile)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, {entry["check"]: AccountCheck(**entry) for entry in json.loads(done.stdout)["findings"]}


def test_an_empty_account_lacks_everything_and_then_one_thing_less_after_another(aws: Any) -> None:
    wanted = Wanted("dev", aws.dev, REGION, f"arn:aws:acm:{REGION}:{aws.dev}:certificate/none", None)
    assert missing(aws, wanted, "dev") == {"bootstrap", "certificate", "service-linked role"}
    ssm, iam = aws.client("ssm", "dev"), aws.client("iam", "dev")
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="5", Type="String")
    assert "bootstrap" in missing(aws, wanted, "dev")
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True)
    assert missing(aws, wanted, "dev") == {"bootstrap policies", "certificate", "service-linked role"}
    role = f"cdk-hnb659fds-cfn-exec-role-{aws.dev}-{REGION}"
    aws.role(role, {"Principal": {"Service": "cloudformation.amazonaws.com"}}, profile="dev")
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert missing(aws, wanted, "dev") == {"certificate", "service-linked role"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    for service, name in LINKED_ROLES.items():  # the emulator's CreateServiceLinkedRole names two of them alike
        assert "service-linked role" in missing(aws, wanted, "dev")
        path = f"/aws-service-role/{service}/"
        iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=trust)
    assert missing(aws, wanted, "dev") == {"certificate"}
    arn = aws.client("acm", "dev").request_certificate(DomainName="models.example.com")["CertificateArn"]
    assert missing(aws, replace(wanted, certificate_arn=arn), "dev") == set()


def test_the_command_says_what_is_missing_and_its_exit_code_that_something_is(aws: Any) -> None:
    code, findings = doctor(aws, "dev", "dev")
    assert (code, findings["certificate"].state) == (1, "missing")
    assert "request or import one" in findings["certificate"].todo


def test_another_accounts_credentials_are_noticed(aws: Any) -> None:
    code, findings = doctor(aws, "dev", "tools")
    assert (code, list(findings)) == (1, ["account"])


def test_a_provider_that_is_there_has_to_be_named(aws: Any) -> None:
    iam, wanted = aws.client("iam", "tools"), Wanted("tools", aws.tools, REGION, None, None)
    assert "identity provider" not in missing(aws, wanted, "tools")
    made = iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"])
    arn = made["OpenIDConnectProviderArn"]
    try:
        assert "identity provider" in missing(aws, wanted, "tools")
        assert "identity provider" not in missing(aws, replace(wanted, provider_arn=arn), "tools")
    finally:
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert "identity provider" in missing(aws, replace(wanted, provider_arn=arn), "tools")


@pytest.mark.parametrize(("scan_type", "state"), [("BASIC", "ok"), ("ENHANCED", "note")])
def test_the_scan_type_of_the_whole_account_is_seen(aws: Any, scan_type: str, state: str) -> None:
    aws.client("ecr", "dev").put_registry_scanning_configuration(scanType=scan_type, rules=[])
    _, findings = doctor(aws, "dev", "dev")
    assert findings["image scans"].state == state


def test_the_stacks_of_another_lockgate_are_seen_and_bootstrap_takes_none_over(aws: Any) -> None:
    cloudformation = aws.client("cloudformation", "dev")
    template = {
        "Description": f"Lockgate: {names.owned_by('4242')}",
        "Resources": {"Q": {"Type": "AWS::SQS::Queue"}},
    }
    cloudformation.create_stack(StackName="lockgate-dev-edge", TemplateBody=json.dumps(template))
    try:
        _, findings = doctor(aws, "dev", "dev")
        assert findings["names"].state == "missing"
        assert "lockgate-dev-edge (repository 4242)" in findings["names"].found
        bootstrap = subprocess.run(
            [sys.executable, "-m", "cli", "bootstrap", "dev"],
            cwd=ROOT,
            env={**os.environ, **aws.session.environment("dev")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert bootstrap.returncode == 1
        assert "found stacks of another Lockgate in account" in bootstrap.stderr
        assert "lockgate-dev-edge (repository 4242)" in bootstrap.stderr
    finally:
        cloudformation.delete_stack(StackName="lockgate-dev-edge")
