"""A call that names another account's resource is answered there, if that resource's own policy allows it.

The emulator looks for every resource in the caller's account. S3 and SQS find the owner by themselves, but S3 asks a
bucket's policy about the caller's account and not about the caller; functions, keys and image repositories are here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from local import recorded
from local.iam import roles
from local.seams import wrap
from local.settings import Settings

_ACCOUNT_OF_FUNCTION = re.compile(r"/functions/arn:aws:lambda:([a-z0-9-]+):(\d{12}):")
_ACCOUNT_OF_KEY = re.compile(r"arn:aws:kms:([a-z0-9-]+):(\d{12}):")
_ACCOUNT = re.compile(r"\d{12}")

Handler = Callable[..., Awaitable[Any]]


def install(settings: Settings) -> None:
    """Patch the policy lookup and the three services."""
    wrap("services.s3._foreign_bucket_allows", _asked_about_the_caller)
    wrap("core.iam_actions.extract_resource_arn", _of_the_named_registry)
    wrap("core.iam_evaluator._resource_policy", _in_the_owners_account)
    for service in ("lambda", "kms", "ecr"):
        answered = partial(_answered_by_the_owner, service=service, settings=settings)
        wrap(f"app.SERVICE_HANDLERS[{service}]", answered)
    recorded.note("kms", "S3, SQS and SNS do not ask for the caller's permission on the key that encrypts")


def _asked_about_the_caller(original: Callable[..., bool]) -> Callable[..., bool]:
    """Another account's object takes the caller's own permission and the bucket's, which may name the role."""
    from ministack.core.iam_actions import _s3_action, s3_service_context
    from ministack.core.responses import get_region, request_scope
    from ministack.core.router import extract_access_key_id
    from ministack.services import s3

    def allows(
        owner: str, bucket: str, key: str, method: str, query: dict[str, Any], caller: str, headers: Any = None
    ) -> bool:
        access_key = extract_access_key_id(headers or {}, query) if caller else ""
        if not access_key:
            return original(owner, bucket, key, method, query, caller, headers)
        path = f"/{bucket}/{key}" if key else f"/{bucket}"
        action = f"s3:{_s3_action(method, path, query) or ('GetObject' if method in ('GET', 'HEAD') else 'PutObject')}"
        with request_scope(owner, get_region()):
            keys = s3_service_context(action, query, path, headers or {})
        policy = s3._bucket_policies.get_scoped(owner, None, bucket) or ""
        return roles.allowed(access_key, action, f"arn:aws:s3:::{path[1:]}", policy, owner, keys, account=caller)

    return allows


def _in_the_owners_account(original: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """The policy of the resource an ARN names; a resource of another account without one allows nobody."""
    from ministack.core.iam_evaluator import _RESOURCE_POLICY_LOOKUPS
    from ministack.core.responses import get_account_id, get_region, request_scope

    def lookup(service: str, resource_arn: str) -> Any:
        parts = resource_arn.split(":")
        owner = parts[4] if len(parts) > 5 else ""
        if service not in _RESOURCE_POLICY_LOOKUPS or not _ACCOUNT.fullmatch(owner) or owner == get_account_id():
            return original(service, resource_arn)
        with request_scope(owner, parts[3] or get_region()):
            return original(service, resource_arn) or ("", owner)

    return lookup


def _of_the_named_registry(original: Callable[..., str]) -> Callable[..., str]:
    """Let a request on another account's registry be about that account's repository."""

    def arn(service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any) -> str:
        found = original(service, method, path, headers, body, *rest)
        owner = owner_named(service, path, body) if service == "ecr" else None
        return re.sub(r"\d{12}", owner[0], found, count=1) if owner else found

    return arn


def owner_named(service: str, path: str, body: bytes) -> tuple[str, str] | None:
    """Account and region (or an empty one) of the resource that a request names by ARN or registry."""
    if service == "lambda":
        found = _ACCOUNT_OF_FUNCTION.search(unquote(path))
        return (found[2], found[1]) if found else None
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return None
    if service == "ecr":
        registry = request.get("registryId", "")
        return (registry, "") if registry else None
    found = _ACCOUNT_OF_KEY.match(str(request.get("KeyId", "")))
    return (found[2], found[1]) if found else None


def _answered_by_the_owner(original: Handler, *, service: str, settings: Settings) -> Handler:
    from ministack.core.responses import get_account_id, request_scope

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        owner = owner_named(service, path, body)
        if owner is None or owner[0] == get_account_id():
            return await original(method, path, headers, body, query)
        with request_scope(owner[0], owner[1] or settings.region):
            return await original(method, path, headers, body, query)

    return handle
