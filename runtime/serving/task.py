"""Which task definition a task runs, as ECS tells it (task metadata endpoint, version 4)."""

from __future__ import annotations

import contextlib
import http.client
import json
from urllib.parse import urlsplit

from lockgate.errors import RefusedError

ENDPOINT = "ECS_CONTAINER_METADATA_URI_V4"  # which ECS sets in every container
SECONDS = 30.0


def task_definition(endpoint: str) -> str:
    """Its family:revision, another in each promotion. Raises RefusedError.

    endpoint: URL of the container's own metadata, without a slash at the end.
    """
    try:
        place = urlsplit(endpoint)
        to_agent = http.client.HTTPConnection(place.hostname or "", place.port, timeout=SECONDS)
        with contextlib.closing(to_agent) as connection:
            connection.request("GET", f"{place.path}/task")
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != http.client.OK:
            raise ValueError(f"HTTP {answer.status}")
        facts = json.loads(body)
        return f"{facts['Family']}:{facts['Revision']}"
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        said = f"{type(error).__name__}: {error}"
        raise RefusedError(f"{endpoint}/task: found {said}, expected Family and Revision of this task") from error
