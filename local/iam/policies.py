"""What AWS fills in or resolves when it evaluates a policy, and the emulator does not.

- `aws:PrincipalArn` of a role session is the role's ARN, not the session's.
- Policy variables (`${aws:username}`, `${aws:PrincipalTag/team}`) in Resource and Condition, of trust policies too.
- `s3:if-none-match`, `s3:if-match` and `s3:ObjectCreationOperation` of a write to S3.
- `cloudformation:RoleArn`, `:TemplateUrl` and `:ChangeSetName`, and `iam:PassRole` on the role a stack is given.
- `cloudwatch:namespace` of a metric that is put.
- A function's own policy is found in the account that its ARN names.
- Sessions of roles begin while those that expired are dropped, from whatever thread.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from local.cloudformation import stack_roles
from local.iam import roles
from local.seams import rebind, wrap
from local.settings import Settings

_VARIABLE = re.compile(r"\$\{([^}$]+)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}
_ROLE_TAKING = frozenset({"CreateStack", "UpdateStack", "CreateChangeSet", "DeleteStack"})
_STACK_KEYS = {"RoleARN": "RoleArn", "TemplateURL": "TemplateUrl", "ChangeSetName": "ChangeSetName"}


def install(settings: Settings) -> None:
    """Patch the evaluator. `settings` is not needed; every extension has this signature."""
    rebind("services.sts._evict_expired_sessions", evict_expired_sessions)
    wrap("core.iam_evaluator._resolve_condition_key", _with_role_arn)
    wrap("core.iam_evaluator._conditions_met", _with_variables_in_conditions)
    wrap("core.iam_evaluator._first_match", _with_variables_in_resources)
    wrap("core.iam_actions._s3_object_context", _with_preconditions)
    wrap("core.iam_actions.request_tag_context", _with_service_keys)
    wrap("services.lambda_svc.function_policy_for_arn", _in_its_own_account)
    wrap("app.SERVICE_HANDLERS[cloudformation]", _with_passed_role)


def evict_expired_sessions() -> None:
    """As the emulator's own, on a copy: it fails for whoever assumes a role while another thread's session begins."""
    from ministack.services import sts

    for key, session in list(sts._sessions.items()):
        if sts._session_expired(session):
            sts._sessions.pop(key, None)


def _with_role_arn(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    from ministack.services import iam

    def resolve(key: str, context: Any) -> Any:
        arn = context.principal_arn
        if key.lower() == "aws:principalarn" and ":assumed-role/" in arn:
            account, name = arn.split(":")[4], arn.split("/")[1]
            role = iam._roles.get_scoped(account, None, name)
            return role["Arn"] if role else f"arn:aws:iam::{account}:role/{name}"
        return original(key, context)

    return resolve


def _filled(value: Any, context: Any) -> Any:
    """`value` with its policy variables replaced; None if one of them has no value in this request."""
    from ministack.core import iam_evaluator

    missing = False

    def replace(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = (part.strip() for part in match[1].partition(","))
        if name in _LITERALS:
            return _LITERALS[name]
        found = iam_evaluator._resolve_condition_key(name, context)
        if found is None or isinstance(found, list):
            missing = missing or not default
            return default.strip("'")
        return str(found)

    text = _VARIABLE.sub(replace, value)
    return None if missing else text


def _with_variables_in_conditions(original: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def met(conditions: Any, context: Any) -> bool:
        if "${" not in str(conditions):
            return original(conditions, context)
        filled: dict[str, dict[str, list[str]]] = {}
        for operator, keys in conditions.items():
            for key, expected in keys.items():
                listed = expected if isinstance(expected, list) else [str(expected)]
                values = [text for item in listed if (text := _filled(str(item), context)) is not None]
                filled.setdefault(operator, {})[key] = values
        return original(filled, context)

    return met


def _with_variables_in_resources(original: Callable[[Any, Any, str], Any]) -> Callable[[Any, Any, str], Any]:
    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        filled = [
            dataclasses.replace(
                statement,
                resources=_filled_list(statement.resources, context),
                not_resources=_filled_list(statement.not_resources, context),
            )
            if "${" in f"{statement.resources}{statement.not_resources}"
            else statement
            for statement in statements
        ]
        return original(context, filled, effect)

    return first_match


def _filled_list(resources: list[str], context: Any) -> list[str]:
    # A resource whose variable has no value matches nothing, which is not the same as no resource element.
    return [_filled(resource, context) or "no-such-resource" for resource in resources]


def _with_preconditions(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def context(action: str, query: dict[str, Any], path: str, headers: dict[str, str]) -> dict[str, Any]:
        keys = original(action, query, path, headers)
        if action != "s3:PutObject":
            return keys
        for name in ("if-none-match", "if-match"):
            if name in headers:
                keys[f"s3:{name}"] = headers[name]
        # Starting an upload and uploading its parts create no object yet; a plain put and the completion do.
        part_of_upload = "uploads" in query or "partNumber" in query
        keys["s3:ObjectCreationOperation"] = str(not part_of_upload).lower()
        return keys

    return context


def _with_service_keys(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        keys = original(service, action, body, params)
        if service == "cloudformation":
            sent = _parameters(body, params)
            keys.update({f"cloudformation:{key}": sent[name] for name, key in _STACK_KEYS.items() if name in sent})
        if action == "cloudwatch:PutMetricData":
            sent = json.loads(body) if body[:1] == b"{" else _parameters(body, params)
            keys["cloudwatch:namespace"] = str(sent.get("Namespace", ""))
        return keys

    return context


def _parameters(body: bytes, params: dict[str, Any]) -> dict[str, str]:
    """The parameters of a query-protocol request, from its body and its URL."""
    sent = {**params, **parse_qs(body.decode("utf-8", errors="replace"))}
    return {name: value[0] if isinstance(value, list) else value for name, value in sent.items()}


def _in_its_own_account(original: Callable[[str], Any]) -> Callable[[str], Any]:
    from ministack.core.responses import request_scope

    def policy(resource_arn: str) -> Any:
        _, _, _, region, account, *_ = resource_arn.split(":")
        with request_scope(account, region):
            return original(resource_arn)

    return policy


Handled = tuple[int, dict[str, Any], Any]


def _with_passed_role(original: Callable[..., Awaitable[Handled]]) -> Callable[..., Awaitable[Handled]]:
    from ministack.core.iam_actions import access_denied_response
    from ministack.core.iam_evaluator import caller_arn
    from ministack.core.responses import error_response_xml, get_account_id
    from ministack.core.router import extract_access_key_id

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Handled:
        sent = _parameters(body, query_params)
        role = sent.get("RoleARN")
        access_key = extract_access_key_id(headers, query_params)
        # Calls from inside the emulator (nested stacks, Step Functions) carry no key; they were checked before.
        if role and access_key and sent.get("Action") in _ROLE_TAKING:
            passed = {"iam:PassedToService": "cloudformation.amazonaws.com"}
            if not roles.allowed(access_key, "iam:PassRole", role, owner=get_account_id(), keys=passed):
                denied: Handled = access_denied_response(
                    "cloudformation", "iam:PassRole", caller_arn(), "", headers=headers, resource_arn=role
                )
                return denied
            try:
                roles.assume(role, "cloudformation.amazonaws.com", "AWSCloudFormation")
            except roles.RoleRefusedError:
                message = f"Role {role} is invalid or cannot be assumed"
                refused: Handled = error_response_xml("ValidationError", message, 400)
                return refused
            stack_roles.remember(get_account_id(), sent.get("StackName", ""), role)
        return await original(method, path, headers, body, query_params)

    return handle
