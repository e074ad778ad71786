"""Whose workflow run may deliver: the trust that synth writes, on the embedded AWS, against every wrong token."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import app
from local import github
from lockgate import names
from lockgate.config import read_tools

ROOT = Path(__file__).parents[3]
TRUSTED = read_tools(ROOT / "environments" / "tools.toml").github
NAME = TRUSTED.subject.removeprefix("repo:").partition(":ref:")[0]
OTHER_FORM = replace(TRUSTED, subject_form="names" if TRUSTED.subject_form == "ids" else "ids")
REF = f"refs/heads/{TRUSTED.branch}"


@pytest.fixture(scope="module")
def delivery_role(aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A role with the trust policy of the synthesized delivery role, and GitHub as a provider."""
    app.use_node_from_python()
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    assembly = app.build(ROOT, context=context, outdir=str(tmp_path_factory.mktemp("out"))).synth()
    (trust,) = (
        resource["Properties"]["AssumeRolePolicyDocument"]
        for stage in assembly.nested_assemblies
        for stack in stage.nested_assembly.stacks
        for resource in stack.template["Resources"].values()
        if resource.get("Properties", {}).get("RoleName") == names.DELIVERY_ROLE
    )
    iam = aws.client("iam")
    provider = iam.create_open_id_connect_provider(Url=github.ISSUER, ClientIDList=["sts.amazonaws.com"])
    arn = provider["OpenIDConnectProviderArn"]
    (statement,) = trust["Statement"]
    statement["Principal"] = {"Federated": arn}
    yield iam.create_role(RoleName="delivery-of-test", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def claims_of_a_push() -> dict[str, Any]:
    return {
        "sub": f"repo:{NAME}:ref:{REF}",
        "repository": f"{TRUSTED.owner}/{TRUSTED.repository}",
        "repository_id": TRUSTED.repository_id,
        "repository_owner": TRUSTED.owner,
        "repository_owner_id": TRUSTED.owner_id,
        "ref": REF,
        "event_name": "push",
        "actor": "ada",
        "actor_id": "3003",
    }


@pytest.fixture
def token(aws: Any) -> Callable[..., str]:
    """The token that GitHub's stand-in gives to a run with these claims instead of a good push's."""

    def ask(audience: str = "sts.amazonaws.com", **claims: Any) -> str:
        settings = aws.session.settings
        file = settings.state / "github" / "wrong0token.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({**claims_of_a_push(), **claims}))
        url = f"http://127.0.0.1:{settings.github_port}/token?audience={urllib.parse.quote(audience)}"
        request = urllib.request.Request(url, headers={"Authorization": "bearer wrong0token"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            value: str = json.load(answer)["value"]
        return value

    return ask


def assume(aws: Any, role: str, token: str, session: str = "3003") -> str:
    settings = aws.session.settings
    config = Config(signature_version=UNSIGNED, proxies={})
    sts = boto3.client(
        "sts", endpoint_url=settings.endpoint, verify=str(settings.ca_bundle), region_name="us-east-1", config=config
    )
    given = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName=session, WebIdentityToken=token)
    return str(given["AssumedRoleUser"]["Arn"])


def test_a_push_to_the_branch_delivers(aws: Any, delivery_role: str, token: Callable[..., str]) -> None:
    assert assume(aws, delivery_role, token()).endswith("assumed-role/delivery-of-test/3003")


@pytest.mark.parametrize("session", ["3004", "ada", "run-1", "33", "30033"])
def test_a_run_cannot_act_in_the_name_of_another_account(
    aws: Any, delivery_role: str, token: Callable[..., str], session: str
) -> None:
    with pytest.raises(ClientError, match="Not authorized"):
        assume(aws, delivery_role, token(), session)


def test_a_run_of_nobodys_is_refused(aws: Any, delivery_role: str, token: Callable[..., str]) -> None:
    with pytest.raises(ClientError, match="Not authorized"):
        assume(aws, delivery_role, token(actor_id=None))


OTHER = f"{TRUSTED.owner}@{TRUSTED.owner_id}/other@77"
WRONG: dict[str, dict[str, Any]] = {
    "a fork": {
        "sub": f"repo:stranger@9/{TRUSTED.repository}@78:ref:{REF}",
        "repository": f"stranger/{TRUSTED.repository}",
        "repository_id": "78",
    },
    "another repository of the owner": {"sub": f"repo:{OTHER}:ref:{REF}", "repository_id": "77"},
    "a recycled repository name": {
        "sub": f"repo:{TRUSTED.owner}@{TRUSTED.owner_id}/{TRUSTED.repository}@79:ref:{REF}",
        "repository_id": "79",
    },
    "a recycled owner's name": {
        "sub": f"repo:{TRUSTED.owner}@80/{TRUSTED.repository}@81:ref:{REF}",
        "repository_id": "81",
    },
    "the form of the subject that is not chosen": {"sub": OTHER_FORM.subject},
    "another branch": {"sub": f"repo:{NAME}:ref:refs/heads/feature", "ref": "refs/heads/feature"},
    "a branch that begins like it": {"sub": f"repo:{NAME}:ref:{REF}-2", "ref": f"{REF}-2"},
    "a tag of the branch's name": {
        "sub": f"repo:{NAME}:ref:refs/tags/{TRUSTED.branch}",
        "ref": f"refs/tags/{TRUSTED.branch}",
    },
    "a pull request": {
        "sub": f"repo:{NAME}:pull_request",
        "ref": "refs/pull/7/merge",
        "event_name": "pull_request",
    },
    "a run in an environment": {"sub": f"repo:{NAME}:environment:production", "environment": "production"},
    "the right subject with another repository's id": {"repository_id": "82"},
    "the right subject with another ref": {"ref": "refs/heads/feature"},
}


@pytest.mark.parametrize("who", WRONG)
def test_a_token_of_somebody_else_is_refused(aws: Any, delivery_role: str, token: Callable[..., str], who: str) -> None:
    with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        assume(aws, delivery_role, token(**WRONG[who]))


@pytest.mark.parametrize("audience", ["https://github.com/your-org", "sts.amazonaws.com.example.com", "vault"])
def test_a_token_for_another_audience_is_refused(
    aws: Any, delivery_role: str, token: Callable[..., str], audience: str
) -> None:
    with pytest.raises(ClientError, match="Incorrect token audience"):
        assume(aws, delivery_role, token(audience))


def test_a_token_that_another_issuer_signed_is_refused(aws: Any, delivery_role: str) -> None:
    forged = github.Issuer().token(claims_of_a_push(), "sts.amazonaws.com")
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        assume(aws, delivery_role, forged)
