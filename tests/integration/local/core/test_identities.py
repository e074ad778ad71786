"""Who exists before Lockgate arrives, and what a workflow run on GitHub may prove."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local.github import Push

HOST = "token.actions.githubusercontent.com"
RUN = Push(
    owner="acme",
    owner_id=11,
    repository="models",
    repository_id=22,
    ref="refs/heads/main",
    sha="a" * 40,
    actor="ada",
    actor_id=33,
)
TRUSTED = {
    "aud": "sts.amazonaws.com",
    "sub": "repo:acme@11/models@22:ref:refs/heads/main",
    "repository_id": "22",
    "ref": "refs/heads/main",
}


def token(environment: dict[str, str], audience: str = "sts.amazonaws.com") -> str:
    """The web identity token of a workflow run, asked for as the run would."""
    url = f"{environment['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={urllib.parse.quote(audience)}"
    bearer = {"Authorization": f"bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=bearer), timeout=5) as answer:  # noqa: S310
        value: str = json.load(answer)["value"]
    return value


@pytest.fixture(scope="module")
def provider(aws: Any) -> Iterator[str]:
    iam = aws.client("iam")
    arn = iam.create_open_id_connect_provider(Url=f"https://{HOST}", ClientIDList=["sts.amazonaws.com"])
    yield arn["OpenIDConnectProviderArn"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn["OpenIDConnectProviderArn"])


def assume(aws: Any, provider: str, role: str, trusted: dict[str, str], presented: str, profile: str = "ada") -> str:
    """The ARN of the session that `presented` gets of a new role that trusts `trusted`."""
    trust = {
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider},
        "Condition": {"StringEquals": {f"{HOST}:{claim}": value for claim, value in trusted.items()}},
    }
    settings = aws.session.settings
    config = Config(signature_version=UNSIGNED, proxies={})
    sts = boto3.client(
        "sts", endpoint_url=settings.endpoint, verify=str(settings.ca_bundle), region_name="us-east-1", config=config
    )
    arn: str = sts.assume_role_with_web_identity(
        RoleArn=aws.role(role, trust, profile=profile), RoleSessionName="run", WebIdentityToken=presented
    )["AssumedRoleUser"]["Arn"]
    return arn


def test_a_run_of_the_trusted_repository_and_branch_gets_the_role(aws: Any, provider: str) -> None:
    presented = token(aws.session.github(RUN))
    session = assume(aws, provider, "github-trusted", TRUSTED, presented)
    assert session == f"arn:aws:sts::{aws.tools}:assumed-role/github-trusted/run"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", "repo:acme@11/models@99:ref:refs/heads/main"),  # a recycled name has another id
        ("repository_id", "99"),
        ("ref", "refs/heads/other"),
    ],
)
def test_a_role_that_trusts_another_claim_is_refused(aws: Any, provider: str, claim: str, value: str) -> None:
    presented = token(aws.session.github(RUN))
    with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        assume(aws, provider, f"github-{claim}", {**TRUSTED, claim: value}, presented)


def test_a_claim_that_aws_offers_no_key_for_cannot_be_trusted_on(aws: Any, provider: str) -> None:
    presented = token(aws.session.github(RUN))
    with pytest.raises(ClientError, match="Not authorized"):
        assume(aws, provider, "github-sha", {**TRUSTED, "sha": RUN.sha}, presented)


def test_a_token_for_another_audience_is_refused(aws: Any, provider: str) -> None:
    presented = token(aws.session.github(RUN), "https://example.com")
    with pytest.raises(ClientError, match="Incorrect token audience"):
        assume(aws, provider, "github-audience", {}, presented)


def test_a_token_whose_claims_were_changed_is_refused(aws: Any, provider: str) -> None:
    head, body, signature = token(aws.session.github(replace(RUN, ref="refs/heads/other"))).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, **TRUSTED}).encode()).rstrip(b"=").decode()
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        assume(aws, provider, "github-forged", TRUSTED, f"{head}.{forged}.{signature}")


def test_without_the_provider_no_token_is_good(aws: Any) -> None:
    nobody = f"arn:aws:iam::{aws.dev}:oidc-provider/{HOST}"
    with pytest.raises(ClientError, match="No OpenIDConnect provider found"):
        assume(aws, nobody, "github-no-provider", TRUSTED, token(aws.session.github(RUN)), "dev")


def test_a_request_token_that_belongs_to_no_run_gets_nothing(aws: Any) -> None:
    environment = {**aws.session.github(RUN), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "../instance"}
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        token(environment)
    refused.value.close()


def test_a_run_sees_the_variables_of_its_push(aws: Any) -> None:
    environment = aws.session.github(RUN)
    assert environment["GITHUB_REPOSITORY"] == "acme/models"
    assert environment["GITHUB_SHA"] == RUN.sha
    assert environment["GITHUB_REF"] == "refs/heads/main"
    assert environment["GITHUB_ACTOR_ID"] == "33"


def test_each_account_has_an_administrator_who_is_not_its_root(aws: Any) -> None:
    for name, account in (("tools", aws.tools), ("dev", aws.dev)):
        assert aws.client("sts", name).get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/administrator"
        aws.client("s3", name).list_buckets()


def test_grace_may_do_nothing_herself(aws: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("s3", "grace-user").list_buckets()
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("iam", "grace-user").list_roles()


def test_an_approver_takes_the_role_under_their_own_name_only(aws: Any) -> None:
    arn = aws.role(
        "lockgate-approver",
        {
            "Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"},
            "Condition": {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
        },
    )
    as_grace = aws.client_of("sts", aws.assume(arn, "grace", "grace-user"))
    assert as_grace.get_caller_identity()["Arn"].endswith(":assumed-role/lockgate-approver/grace")
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.assume(arn, "grace", "ada")
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.assume(arn, "ada", "grace-user")
