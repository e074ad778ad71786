"""Step Functions tasks act as a role: the state machine's, or the one a task names in `Credentials`, in its account.

The emulator runs every task with full rights in the machine's own account. Here the machine's role is assumed for
states.amazonaws.com, a task's role with the machine's (trust and permission both needed), and a call of a Lambda
function, as of any service whose request names a resource, needs that role's permission. A function that fails fails
its task also where the task waits for a token.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from local import recorded
from local.iam import roles
from local.iam.resources import judge_on
from local.seams import wrap
from local.settings import Settings

METRICS = {
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
    "SUCCEEDED": "ExecutionsSucceeded",
}
_INTEGRATION = "arn:aws:states:::"
# Optimized integrations whose service is spelt as in IAM, as `service:action`; startExecution checks its target itself.
_NAMESPACES = {"sfn": "states", "eventbridge": "events", "cloudwatchlogs": "logs", "cloudwatch": "monitoring"}


@dataclass(frozen=True)
class Identity:
    """Whom a task acts as."""

    access_key: str
    account: str
    region: str
    machine: str


# The state machine of each task token: it is answered with permission on its machine, also when nobody waits any more.
_machines: dict[str, str] = {}
_identity: contextvars.ContextVar[Identity] = contextvars.ContextVar("task_identity")
# The context object of the task that runs, and the token that it waits with, if it waits with one.
_context: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("task_context")
_token: contextvars.ContextVar[str] = contextvars.ContextVar("task_token", default="")


def install(settings: Settings) -> None:
    """Patch the task state. `settings` is not needed; every extension has this signature."""
    wrap("services.stepfunctions._execute_task", _as_role)
    wrap("services.stepfunctions._invoke_resource", _authorized)
    wrap("services.stepfunctions._invoke_with_callback", lambda original: _remembered(_authorized(original)))
    wrap("services.stepfunctions._call_lambda", _failing_its_task)
    wrap("services.stepfunctions._emit_execution_status_event", _with_metrics)
    judge_on("states", _machine_of_token)


def _with_metrics(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Count executions as AWS does when their status changes: alarms look at these."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    def emit(execution: Any) -> None:
        original(execution)
        if metric := METRICS.get(execution["status"]):
            machine = execution["stateMachineArn"]
            with request_scope(machine.split(":")[4], machine.split(":")[3]):
                cloudwatch.record_metric("AWS/States", metric, 1, "Count", {"StateMachineArn": machine})

    return emit


def _as_role(original: Callable[..., Any]) -> Callable[..., Any]:
    """Settle the task's identity before it runs; without one the task fails as on AWS, where Catch sees it."""
    from ministack.services import stepfunctions

    def execute(state: dict[str, Any], raw_input: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        try:
            identity = _settle(state, raw_input, execution, context)
        except roles.RoleRefusedError as error:
            failure = stepfunctions._ExecutionError("States.TaskFailed", str(error))
            catcher = stepfunctions._find_matching_catcher(state.get("Catch", []), failure.error)
            if catcher is None:
                raise failure from error
            language = stepfunctions._state_query_language(state, context)
            caught = {"Error": failure.error, "Cause": failure.cause}
            return stepfunctions._apply_catcher(catcher, raw_input, context, language, caught), catcher["Next"]
        token, running = _identity.set(identity), _context.set(context)
        try:
            return original(state, raw_input, execution, context)
        finally:
            _identity.reset(token)
            _context.reset(running)

    return execute


def _settle(state: dict[str, Any], raw_input: Any, execution: dict[str, Any], context: dict[str, Any]) -> Identity:
    from ministack.services import stepfunctions

    machine_arn = execution["stateMachineArn"]
    machine = stepfunctions._state_machines[machine_arn]
    _, _, _, region, account, *_ = machine_arn.split(":")
    own = roles.assume(machine["roleArn"], "states.amazonaws.com", execution["name"], {"aws:SourceArn": machine_arn})
    identity = Identity(own["AWS_ACCESS_KEY_ID"], account, region, machine_arn)
    if "Credentials" not in state:
        return identity
    if stepfunctions._state_query_language(state, context) == "JSONata":
        credentials = stepfunctions._apply_jsonata_template(state["Credentials"], raw_input, context)
    else:
        credentials = stepfunctions._resolve_params_obj(state["Credentials"], raw_input, context)
    return _assume(identity, machine["roleArn"], credentials["RoleArn"], execution["name"])


def _assume(identity: Identity, own_role: str, role_arn: str, session: str) -> Identity:
    """The identity of the task's role, through the emulator's own AssumeRole; RoleRefusedError if it is denied."""
    from ministack.core.responses import request_scope
    from ministack.services import iam, sts

    refused = f"The role {own_role} is not authorized to assume the task state's role, {role_arn}."
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name)
    trust = json.dumps(role["AssumeRolePolicyDocument"]) if role else ""
    if not role or not roles.allowed(identity.access_key, "sts:AssumeRole", role_arn, _text(trust), account):
        raise roles.RoleRefusedError(refused)
    wanted = {"Action": "AssumeRole", "RoleArn": role_arn, "RoleSessionName": session[:64]}
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={identity.access_key}/-/-/sts/aws4_request"}
    with request_scope(identity.account, identity.region):
        status, _, body = asyncio.run(sts.handle_request("POST", "/", headers, urlencode(wanted).encode(), {}))
    if status != 200:
        raise roles.RoleRefusedError(refused)
    key = ElementTree.fromstring(body).findtext(".//{*}AccessKeyId") or ""  # noqa: S314 - our own process wrote it
    return Identity(key, account, identity.region, identity.machine)


def _text(document: str) -> str:
    """A policy as one JSON document: the emulator keeps some as text and some parsed."""
    parsed = json.loads(document)
    return parsed if isinstance(parsed, str) else document


def _remembered(original: Callable[..., Any]) -> Callable[..., Any]:
    from ministack.core.responses import new_uuid
    from ministack.services import stepfunctions

    def invoke(resource: str, sent: Any, token: str, *more: Any) -> Any:
        _machines[token] = _identity.get().machine
        waits = _token.set(token)
        try:
            return original(resource, sent, token, *more)
        except stepfunctions._ExecutionError:
            _context.get()["Task"] = {"Token": new_uuid()}  # a retry waits with a token of its own
            raise
        finally:
            _token.reset(waits)

    return invoke


def _failing_its_task(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function that fails fails the task that would have waited for its token; the emulator waits on, for days."""
    from ministack.services import stepfunctions

    def call(function: str, event: Any) -> Any:
        try:
            return original(function, event)
        except stepfunctions._ExecutionError as error:
            waits = stepfunctions._task_tokens.get(_token.get())
            if waits is not None and not waits["event"].is_set():
                waits["error"] = {"Error": error.error, "Cause": error.cause}
                waits["event"].set()
            raise

    return call


def _machine_of_token(headers: Mapping[str, str], body: bytes, region: str, account: str) -> str:
    return _machines.get(json.loads(body or b"{}").get("taskToken") or "", "")


def _authorized(original: Callable[..., Any]) -> Callable[..., Any]:
    from ministack.core.responses import request_scope

    def invoke(resource: str, sent: Any, *more: Any) -> Any:
        identity = _identity.get()
        with request_scope(identity.account, identity.region):
            _check(identity, resource, sent)
            return original(resource, sent, *more)

    return invoke


def _check(identity: Identity, resource: str, sent: Any) -> None:
    """Raise AWS's failure of the task if the role may not do what the task does."""
    from ministack.services import lambda_svc, stepfunctions, sts

    service, action, arn = _asked(identity, resource, sent)
    if arn == "*":
        recorded.note("states", f"the role's permission for {service}:{action} is not checked")
        return
    policy, owner = "", ""
    if service == "lambda":
        found, owner = lambda_svc.function_policy_for_arn(arn) or ({}, arn.split(":")[4])
        policy = json.dumps(found)
    if roles.allowed(identity.access_key, f"{service}:{action}", arn, policy, owner):
        return
    caller = sts._sessions[identity.access_key]["Arn"]
    error = "Lambda.AWSLambdaException" if service == "lambda" else f"{service.capitalize()}.AccessDeniedException"
    cause = (
        f"User: {caller} is not authorized to perform: {service}:{action} on resource: {arn} because no "
        f"identity-based policy allows the {service}:{action} action"
    )
    raise stepfunctions._ExecutionError(error, cause)


def _asked(identity: Identity, resource: str, sent: Any) -> tuple[str, str, str]:
    """IAM service, action and resource ARN of a task; `*` where the request names none that we can tell."""
    from ministack.core import iam_actions

    if not resource.startswith(_INTEGRATION):
        service = resource.split(":")[2]
        return (service, "InvokeFunction", resource) if service == "lambda" else (service, "activity", "*")
    names = resource.removeprefix(_INTEGRATION).removeprefix("aws-sdk:").partition(".")[0].split(":")
    service, action = _NAMESPACES.get(names[0], names[0]), names[1][0].upper() + names[1][1:]
    if (service, action) == ("lambda", "Invoke"):
        function = str(sent.get("FunctionName", ""))
        if not function.startswith("arn:"):
            function = f"arn:aws:lambda:{identity.region}:{identity.account}:function:{function}"
        return service, "InvokeFunction", function
    if (service, action) == ("states", "StartExecution"):
        return service, action, sent["StateMachineArn"]
    arn = iam_actions.extract_resource_arn(
        service, "POST", "/", {}, json.dumps(sent).encode(), {}, identity.region, identity.account
    )
    return iam_actions.SERVICE_TO_IAM_NAMESPACE.get(service, service), action, arn
