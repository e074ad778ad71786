"""Which resource the emulator's IAM judges a request on, where it does not name the one that AWS names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from local.seams import wrap

# (headers, body, region, account) of a request: the ARN that it is about, or "" to leave it to the emulator.
Resource = Callable[[Mapping[str, str], bytes, str, str], str]


def judge_on(service: str, resource: Resource) -> None:
    """Let requests to a service be judged on what `resource` says of them."""
    wrap("core.iam_actions.extract_resource_arn", partial(_judged_on, service=service, resource=resource))


def _judged_on(others: Callable[..., Any], *, service: str, resource: Resource) -> Callable[..., str]:

    def arn(
        asked: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        named = resource(headers, body, region, account) if asked == service else ""
        return named or str(others(asked, method, path, headers, body, query, region, account))

    return arn
