"""Rollback: only an operator, to what was live before, remembered first, and what was left behind stays away."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import rollback
from lockgate.aws.functions import FunctionError

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ROLE = "arn:aws:sts::123456789012:assumed-role/lockgate-prod-operator"
ASK = {"action": "rollback", "model": "income", "reason": " too slow ", "token": "rollback-0123456789"}
STATUS = {"action": "status", "model": "income", "token": "rollback-0123456789"}


@pytest.fixture
def deploy(
    world: World,
    sdk: Callable[[str], Any],
    scripted: type,
    use: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    class Lambda(scripted):  # type: ignore[misc]
        """The deploy function, which answers what the test wants."""

        service = "lambda"
        said: dict[str, Any]
        failed = False

        def Invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N802, N803
            assert FunctionName == "lockgate-prod-deploy"
            error = {"FunctionError": "Unhandled"} if self.failed else {}
            return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(self.said).encode()), **error}

        def asked(self) -> list[dict[str, Any]]:
            return [json.loads(request["Payload"]) for request in self.requests("Invoke")]

    made = Lambda(sdk)
    made.said = {"status": "IN_PROGRESS", "from": "2", "to": "1"}
    use("lambda", made.client)
    for name, value in {
        "ENVIRONMENT": "prod",
        "ACCOUNT": "123456789012",
        "DEPLOY_FUNCTION": "lockgate-prod-deploy",
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def ask(body: object = ASK, arn: str = f"{ROLE}/olga") -> tuple[int, dict[str, Any]]:
    event = {"requestContext": {"authorizer": {"iam": {"userArn": arn}}}, "body": json.dumps(body)}
    answer = rollback.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_rollback_names_who_signed_it_and_why(deploy: Any) -> None:
    assert ask() == (200, {"status": "IN_PROGRESS", "from": "2", "to": "1"})
    assert deploy.asked() == [{**ASK, "reason": "too slow", "person": "olga", "user_arn": f"{ROLE}/olga"}]


def test_asking_how_far_it_is_hands_on_nothing_but_the_token(deploy: Any) -> None:
    assert ask(STATUS)[0] == 200
    assert deploy.asked() == [STATUS]


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:user/olga",
        "arn:aws:sts::123456789012:assumed-role/lockgate-dev-operator/olga",
        "arn:aws:sts::999999999999:assumed-role/lockgate-prod-operator/olga",
    ],
)
def test_anybody_else_is_refused(deploy: Any, arn: str) -> None:
    status, body = ask(arn=arn)
    assert status == 403
    assert "lockgate-prod-operator/<person>" in body["message"]
    assert deploy.asked() == []


@pytest.mark.parametrize(
    "change",
    [
        {"action": "start"},
        {"reason": " "},
        {"token": "income-3-prod-0"},
        {"model": "../income"},
        {"release": {"version": "9"}},
        {"person": "amelie"},
    ],
    ids=str,
)
def test_nothing_but_a_rollback_or_a_restore_with_a_reason_goes_through(deploy: Any, change: dict[str, Any]) -> None:
    assert ask({**ASK, **change})[0] == 400
    assert deploy.asked() == []


def test_what_the_deploy_function_refuses_is_said_to_the_operator(deploy: Any) -> None:
    deploy.said = {"refused": "no release before it is left"}
    assert ask() == (409, {"message": "no release before it is left"})


def test_a_deploy_function_that_broke_is_a_failure_and_no_answer(deploy: Any) -> None:
    deploy.failed, deploy.said = True, {"errorType": "KeyError", "errorMessage": "'x'"}
    with pytest.raises(FunctionError, match=r"^lockgate-prod-deploy: 'x'$"):
        ask()
