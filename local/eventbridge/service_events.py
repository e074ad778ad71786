"""Events that AWS services put on the default bus of an account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.clock import CLOCK


def emit(
    source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str], account: str, region: str
) -> None:
    """Put one event on the account's default bus, in the background: a target never delays the service."""
    from ministack.core.concurrency import spawn_background
    from ministack.core.responses import request_scope
    from ministack.services import eventbridge

    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, default=str),
        "Resources": list(resources),
    }

    def put() -> None:
        with request_scope(account, region):
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    spawn_background(CLOCK.counted(put, f"event {detail_type}"), thread_name="aws-event")
