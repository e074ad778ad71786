"""The endpoint at which ECS tells a task of itself, version 4, over HTTP: the part that is asked for, `/task`."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.settings import HOST

VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
_server: ThreadingHTTPServer | None = None
_tasks: dict[str, Mapping[str, Any]] = {}  # by the path that a task's containers are told


def install() -> None:
    """Begin to listen, on a port that is free."""
    global _server
    _server = ThreadingHTTPServer((HOST, 0), _Handler)
    threading.Thread(target=_server.serve_forever, name="ecs-metadata", daemon=True).start()


def told(task: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, str]:
    """The variable that each container of a task gets."""
    if _server is None:
        raise RuntimeError("nothing listens: local.ecs.services was not installed")
    path = _path(task["taskArn"])
    _tasks[path] = {
        "Cluster": task["clusterArn"],
        "TaskARN": task["taskArn"],
        "Family": definition["family"],
        "Revision": str(definition["revision"]),
    }
    return {VARIABLE: f"http://{HOST}:{_server.server_port}{path}"}


def forget(task_arn: str) -> None:
    _tasks.pop(_path(task_arn), None)


def _path(task_arn: str) -> str:
    return f"/v4/{task_arn.rpartition('/')[2]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, asked = self.path.rpartition("/")
        facts = _tasks.get(path) if asked == "task" else None
        body = json.dumps(facts or {"error": f"nothing is known of {self.path}"}).encode()
        self.send_response(200 if facts else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
