"""Function URLs with AWS_IAM: the caller that AWS hands to the function, and host names that belong to nobody."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

from local.seams import wrap
from local.settings import Settings

_caller: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("function_url_caller", default=None)


def install(settings: Settings) -> None:
    """Patch the Function URL path. `settings` is not needed; every extension has this signature."""
    wrap("services.lambda_svc._build_function_url_event", _with_authorizer)
    wrap("services.lambda_svc.handle_function_url_request", _with_caller)


def _with_caller(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Remember who signed the request; IAM has allowed it by then."""
    from ministack.core.iam_evaluator import resolve_caller_identity
    from ministack.core.router import extract_access_key_id

    async def handle(
        url_id: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], **more: Any
    ) -> Any:
        token = _caller.set(resolve_caller_identity(extract_access_key_id(headers, query)))
        try:
            return await original(url_id, method, path, headers, body, query, **more)
        finally:
            _caller.reset(token)

    return handle


def _with_authorizer(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def build(*positional: Any, anonymous: bool, **named: Any) -> dict[str, Any]:
        event = original(*positional, anonymous=anonymous, **named)
        caller = _caller.get()
        if not anonymous and caller is not None:
            event["requestContext"]["authentication"] = None
            event["requestContext"]["authorizer"] = {"iam": authorizer(caller)}
        return event

    return build


def authorizer(caller: dict[str, Any]) -> dict[str, Any]:
    """`requestContext.authorizer.iam` of AWS for a caller that the emulator resolved from its access key."""
    return {
        "accessKey": caller["accessKey"],
        "accountId": caller["accountId"],
        "callerId": caller["userId"],
        "cognitoIdentity": None,
        "principalOrgId": caller.get("principalOrgId"),
        "userArn": caller["userArn"],
        "userId": caller["userId"],
    }
