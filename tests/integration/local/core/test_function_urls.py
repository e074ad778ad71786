"""A Function URL with AWS_IAM hands over its caller, and refuses who may not call."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@pytest.fixture(scope="module")
def url(aws: Any) -> str:
    aws.function("caller", "def handler(event, context):\n    return event['requestContext']\n")
    made: str = aws.client("lambda").create_function_url_config(FunctionName="caller", AuthType="AWS_IAM")[
        "FunctionUrl"
    ]
    return made


def call(aws: Any, url: str, credentials: dict[str, str] | None) -> tuple[int, Any]:
    """Status and parsed answer of a POST to the URL by its public name, signed with `credentials` if any."""
    request = AWSRequest("POST", url, data=b"{}", headers={"content-type": "application/json"})
    if credentials:
        keys = [credentials.get(f"aws_{name}") for name in ("access_key_id", "secret_access_key", "session_token")]
        SigV4Auth(Credentials(*keys), "lambda", "us-east-1").add_auth(request)
    environment = aws.session.environment()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": environment["HTTPS_PROXY"]}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])),
    )
    sent = urllib.request.Request(url, data=b"{}", headers=dict(request.headers))  # noqa: S310 - our own URL
    try:
        with opener.open(sent, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_caller_of_a_role_session_is_handed_over(aws: Any, url: str) -> None:
    role = aws.role(
        "invoker",
        {"Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"}},
        {
            "Action": ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"],
            "Resource": f"arn:aws:lambda:*:{aws.tools}:*",
        },
    )
    credentials = aws.assume(role, "grace")
    status, context = call(aws, url, credentials)
    assert status == 200
    identity = context["authorizer"]["iam"]
    role_id = aws.client("iam").get_role(RoleName="invoker")["Role"]["RoleId"]
    assert identity == {
        "accessKey": credentials["aws_access_key_id"],
        "accountId": aws.tools,
        "callerId": f"{role_id}:grace",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:sts::{aws.tools}:assumed-role/invoker/grace",
        "userId": f"{role_id}:grace",
    }


def test_a_user_is_handed_over_by_arn(aws: Any, url: str) -> None:
    _, context = call(aws, url, aws.credentials("ada"))
    assert context["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{aws.tools}:user/ada"


def test_an_unsigned_call_is_refused(aws: Any, url: str) -> None:
    status, answer = call(aws, url, None)
    assert (status, answer) == (403, {"Message": "Forbidden"})


def test_a_caller_without_permission_is_refused(aws: Any, url: str) -> None:
    status, answer = call(aws, url, aws.credentials("grace-user"))
    assert status == 403
    assert "lambda:InvokeFunctionUrl" in answer["message"]


def test_another_accounts_administrator_is_refused_unless_the_function_allows_it(aws: Any, url: str) -> None:
    assert call(aws, url, aws.credentials("dev"))[0] == 403
    aws.client("lambda").add_permission(
        FunctionName="caller",
        StatementId="dev",
        Action="lambda:InvokeFunctionUrl",
        Principal=aws.dev,
        FunctionUrlAuthType="AWS_IAM",
    )
    status, context = call(aws, url, aws.credentials("dev"))
    assert status == 200
    assert context["authorizer"]["iam"]["accountId"] == aws.dev
