"""Whose workflow run may take which role: the trusts that synth writes, on the embedded AWS, against wrong tokens."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local import github
from lockgate import names
from lockgate.configuration.project import read_configuration

ROOT = Path(__file__).parents[4]
CONFIGURATION = read_configuration(ROOT)
TRUSTED = CONFIGURATION.tools.github
NAME = TRUSTED.subject.removeprefix("repo:").partition(":ref:")[0]
OTHER_FORM = replace(TRUSTED, subject_form="names" if TRUSTED.subject_form == "ids" else "ids")
REF = f"refs/heads/{TRUSTED.branch}"
BRANCH = f"ref:{REF}"
# role: the end of the subject of the one job that it is for
ROLES = {
    names.REVIEW_ROLE: BRANCH,
    names.DELIVERY_ROLE: BRANCH,
    **{names.infrastructure_role(stage): f"environment:{stage}" for stage in CONFIGURATION.stages},
}


@pytest.fixture(scope="module")
def arns(aws: Any, assembly: Path) -> Iterator[Mapping[str, str]]:
    """Roles with the trust policies of all synthesized roles that a web identity may take, and GitHub as a provider."""
    trusts = {
        resource["Properties"]["RoleName"]: resource["Properties"]["AssumeRolePolicyDocument"]
        for file in assembly.rglob("*.template.json")
        for resource in json.loads(file.read_text())["Resources"].values()
        if "sts:AssumeRoleWithWebIdentity" in json.dumps(resource.get("Properties", {}))
    }
    iam = aws.client("iam")
    provider = iam.create_open_id_connect_provider(Url=github.ISSUER, ClientIDList=["sts.amazonaws.com"])
    arn = provider["OpenIDConnectProviderArn"]
    made = {}
    for name, trust in trusts.items():
        (statement,) = trust["Statement"]
        statement["Principal"] = {"Federated": arn}
        role = iam.create_role(RoleName=f"{name}-of-test", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        made[name] = role["Arn"]
    yield made
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def job(role: str) -> dict[str, Any]:
    """The claims of the one job that a role is for."""
    kind, _, value = ROLES[role].partition(":")
    return {
        "sub": f"repo:{NAME}:{ROLES[role]}",
        "repository": f"{TRUSTED.owner}/{TRUSTED.repository}",
        "repository_id": TRUSTED.repository_id,
        "repository_owner": TRUSTED.owner,
        "repository_owner_id": TRUSTED.owner_id,
        "ref": REF,
        "event_name": "push",
        "actor": "ada",
        "actor_id": "3003",
        **({"environment": value} if kind == "environment" else {}),
    }


@pytest.fixture
def token(aws: Any) -> Callable[..., str]:
    """The token that GitHub's stand-in gives to a run with these claims."""

    def ask(claims: Mapping[str, Any], audience: str = "sts.amazonaws.com") -> str:
        settings = aws.session.settings
        file = settings.state / "github" / "wrong0token.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(claims))
        url = f"http://127.0.0.1:{settings.github_port}/token?audience={urllib.parse.quote(audience)}"
        request = urllib.request.Request(url, headers={"Authorization": "bearer wrong0token"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            value: str = json.load(answer)["value"]
        return value

    return ask


@pytest.fixture(scope="module")
def sts(aws: Any) -> Any:
    settings = aws.session.settings
    config = Config(signature_version=UNSIGNED, proxies={})
    return boto3.client(
        "sts", endpoint_url=settings.endpoint, verify=str(settings.ca_bundle), region_name="us-east-1", config=config
    )


def assume(sts: Any, arn: str, token: str, session: str = "3003") -> str:
    given = sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName=session, WebIdentityToken=token)
    return str(given["AssumedRoleUser"]["Arn"])


def test_these_are_all_roles_that_a_web_identity_may_take(arns: Mapping[str, str]) -> None:
    assert set(arns) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_the_job_that_a_role_is_for_takes_it(
    sts: Any, arns: Mapping[str, str], token: Callable[..., str], role: str
) -> None:
    assert assume(sts, arns[role], token(job(role))).endswith(f"assumed-role/{role}-of-test/3003")


@pytest.mark.parametrize("session", ["3004", "ada", "run-1", "33", "30033"])
@pytest.mark.parametrize("role", ROLES)
def test_a_run_cannot_act_in_the_name_of_another_account(
    sts: Any, arns: Mapping[str, str], token: Callable[..., str], role: str, session: str
) -> None:
    with pytest.raises(ClientError, match="Not authorized"):
        assume(sts, arns[role], token(job(role)), session)


@pytest.mark.parametrize("role", ROLES)
def test_a_run_of_nobodys_is_refused(sts: Any, arns: Mapping[str, str], token: Callable[..., str], role: str) -> None:
    with pytest.raises(ClientError, match="Not authorized"):
        assume(sts, arns[role], token({**job(role), "actor_id": None}))


def subject(owner: str, repository: str, end: str) -> str:
    return f"repo:{owner}/{repository}:{end}"


def wrong(role: str) -> dict[str, dict[str, Any]]:
    """Claims of runs that are not the job of a role, as what differs from its own."""
    end, owner, repository = ROLES[role], f"{TRUSTED.owner}@{TRUSTED.owner_id}", TRUSTED.repository
    other_form = f"{OTHER_FORM.subject.removesuffix(BRANCH)}{end}"
    found: dict[str, dict[str, Any]] = {
        "a fork": {
            "sub": subject("stranger@9", f"{repository}@78", end),
            "repository": f"stranger/{repository}",
            "repository_id": "78",
            "repository_owner": "stranger",
            "repository_owner_id": "9",
        },
        "another repository of the owner": {"sub": subject(owner, "other@77", end), "repository_id": "77"},
        "a recycled repository name": {"sub": subject(owner, f"{repository}@79", end), "repository_id": "79"},
        "a recycled repository name, in the old form": {
            "sub": subject(TRUSTED.owner, repository, end),
            "repository_id": "79",
        },
        "a recycled owner's name": {
            "sub": subject(f"{TRUSTED.owner}@80", f"{repository}@81", end),
            "repository_id": "81",
        },
        "the form of the subject that is not chosen": {"sub": other_form},
        "another branch": {"sub": f"repo:{NAME}:ref:refs/heads/feature", "ref": "refs/heads/feature"},
        "a branch that begins like it": {"sub": f"repo:{NAME}:{BRANCH}-2", "ref": f"{REF}-2"},
        "a tag of the branch's name": {
            "sub": f"repo:{NAME}:ref:refs/tags/{TRUSTED.branch}",
            "ref": f"refs/tags/{TRUSTED.branch}",
        },
        "a pull request": {
            "sub": f"repo:{NAME}:pull_request",
            "ref": "refs/pull/7/merge",
            "event_name": "pull_request",
        },
        "a run in an environment that no role is for": {
            "sub": f"repo:{NAME}:environment:production",
            "environment": "production",
        },
        "the right subject with another repository's id": {"repository_id": "82"},
        "the right subject with another ref": {"ref": "refs/heads/feature"},
        "the right subject in a pull request": {"ref": "refs/pull/7/merge", "event_name": "pull_request"},
    }
    found |= {
        f"the job of {other}": {"sub": f"repo:{NAME}:{others}"} for other, others in ROLES.items() if others != end
    }
    return found


@pytest.mark.parametrize(("role", "who"), [(role, who) for role in ROLES for who in wrong(role)])
def test_a_token_of_somebody_else_is_refused(
    sts: Any, arns: Mapping[str, str], token: Callable[..., str], role: str, who: str
) -> None:
    with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        assume(sts, arns[role], token({**job(role), **wrong(role)[who]}))


@pytest.mark.parametrize("audience", ["https://github.com/your-org", "sts.amazonaws.com.example.com", "vault"])
@pytest.mark.parametrize("role", ROLES)
def test_a_token_for_another_audience_is_refused(
    sts: Any, arns: Mapping[str, str], token: Callable[..., str], role: str, audience: str
) -> None:
    with pytest.raises(ClientError, match="Incorrect token audience"):
        assume(sts, arns[role], token(job(role), audience))


@pytest.mark.parametrize("role", ROLES)
def test_a_token_that_another_issuer_signed_is_refused(sts: Any, arns: Mapping[str, str], role: str) -> None:
    forged = github.GitHubIssuer().token(job(role), "sts.amazonaws.com")
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        assume(sts, arns[role], forged)
