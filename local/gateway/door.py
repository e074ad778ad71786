"""Who may come in at all: what the emulator leaves open, and AWS does not.

The emulator takes an account id as the root's key and checks no signature for it, treats a request without
credentials as root's on S3, and a strange Authorization header as root's everywhere. None of these gets in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.seams import wrap
from local.settings import Settings

# Anybody could reset the emulator or change its settings through these.
_CONTROL = ("/_ministack/reset", "/_ministack/config", "/_localstack/")


def install(settings: Settings) -> None:
    """Patch the evaluator's entry points. `settings` is not needed; every extension has this signature."""
    wrap("core.iam_evaluator.enforce", _guarded)
    wrap("core.iam_evaluator.check_credentials", _known)


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    from ministack.core import iam_evaluator

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        unsigned_is_fine = iam_action == "lambda:InvokeFunctionUrl" or iam_evaluator._served_unsigned(
            service, iam_action
        )
        if access_key_id or unsigned_is_fine:
            return _root_refused(access_key_id) or original(
                access_key_id, iam_action, service, region, resource_arn, service_context
            )
        if service == "s3" and _public(iam_action, region, resource_arn, service_context or {}):
            return None
        return _unsigned_refused(service, iam_action, resource_arn)

    return enforce


def _known(original: Callable[..., Any]) -> Callable[..., Any]:
    def check(access_key_id: str, service: str | None = None) -> Any:
        if not access_key_id:
            return _unsigned_refused(service or "", "", "*")
        return _root_refused(access_key_id) or original(access_key_id, service)

    return check


def _root_refused(access_key_id: str) -> Any:
    """The refusal of a key that the emulator takes for an account's root, or None."""
    from ministack.core import iam_evaluator

    if not access_key_id or not iam_evaluator.is_root_access_key(access_key_id):
        return None
    unknown = iam_evaluator._unknown_access_key()
    return iam_evaluator.AuthError(unknown.code, unknown.message)


def _unsigned_refused(service: str, iam_action: str, resource_arn: str) -> Any:
    from ministack.core import iam_actions, iam_evaluator

    message = iam_actions.anonymous_denial_message(service, iam_action, resource_arn)
    return iam_evaluator.AuthError("MissingAuthenticationToken", message)


def _public(iam_action: str, region: str, resource_arn: str, keys: dict[str, Any]) -> bool:
    """Whether the bucket's own policy lets everybody do this."""
    from ministack.core import iam_evaluator
    from ministack.services import s3

    bucket = resource_arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    owner = s3._bucket_owner_account(bucket)
    if owner is None:
        return False
    policy = s3._bucket_policies.get_scoped(owner, None, bucket)
    context = iam_evaluator.EvalContext(
        principal_arn="anonymous",
        principal_type="Anonymous",
        principal_account="anonymous",
        action=iam_action,
        resource_arn=resource_arn,
        region=region,
        service_context={name.lower(): value for name, value in keys.items()},
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, context).decision == "Allow")


def without_control(app: Any) -> Any:
    """The gateway without the emulator's own control paths."""

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_CONTROL):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return guarded
