"""What a function raised is the name of its error, as on AWS: retries and catchers of a workflow ask for names.

The emulator calls everything that a handler raises Runtime.HandlerError, and ends the process that raised it. Here the
process says what it was and goes on, warm; one that died is Runtime.ExitError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.seams import wrap
from local.settings import Settings

RAISED = "raised-by-the-handler"
_DIED = ("Worker process died", "Worker returned no response")
_SAID = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
_SAYS = (
    '{"status": "ok", "result": {"'
    + RAISED
    + '": {"errorMessage": str(e), "errorType": type(e).__name__, "trace": traceback.format_exc()}}}'
)


def install(settings: Settings) -> None:
    """Patch the worker's script and what is made of its answer. `settings` is not needed; see local.server."""
    wrap("core.lambda_runtime._PYTHON_WORKER_SCRIPT", lambda script: script.replace(_SAID, _SAYS))
    wrap("services.lambda_svc._execute_function_warm", _named)


def _named(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        answer = original(function, event, request_id)
        body = answer.get("body")
        if not isinstance(body, dict):
            return answer
        if set(body) == {RAISED}:
            error = dict(body[RAISED])
            trace = str(error.pop("trace"))
            log = "\n".join(filter(None, [answer.get("log", ""), trace]))
            return {
                "body": {**error, "requestId": request_id, "stackTrace": trace.splitlines()},
                "error": True,
                "log": log,
            }
        if answer.get("error") and body.get("errorMessage") in _DIED:
            body["errorType"] = "Runtime.ExitError"
        return answer

    return execute
