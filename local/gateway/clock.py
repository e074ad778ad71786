"""What of the emulator hangs on the clock, who counts as working, and the route by which tests move the clock.

The route is `POST /_lockgate/clock` on the gateway, with {"hold": true or false} or {"advance": seconds} or nothing; it
answers the clock's state. It is loopback's, like everything here, and asks for no credentials.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from local import clock
from local.clock import CLOCK
from local.seams import rebind, wrap
from local.settings import Settings

ROUTE = "/_lockgate/clock"
_MINUTE = 60
_log = logging.getLogger("clock")


def install(settings: Settings) -> None:
    """Patch the services whose waits and times are the clock's."""
    CLOCK.write_to(settings.clock_file)
    for service in ("cloudwatch", "cloudwatch_logs", "ecr", "ecs", "eventbridge", "scheduler", "sqs"):
        rebind(f"services.{service}.time", clock.TIME)
    for service in ("ecs", "s3", "stepfunctions"):
        rebind(f"services.{service}.now_iso", clock.now_iso)
    rebind("services.stepfunctions.time", clock.TIME_AND_WAITS)
    rebind("services.stepfunctions.threading", clock.THREADING)
    rebind("services.stepfunctions._sleep_until", _wait_until)
    rebind("services.eventbridge.threading", clock.THREADING)
    rebind("services.sns._threading", clock.THREADING)
    rebind("services.lambda_svc.time", clock.TIME_AND_WAITS)
    # Its loops look after containers and queues, and never end.
    rebind("services.lambda_svc.threading", clock.Threading(for_ever=("_loop", "_poll_loop")))
    wrap("services.lambda_svc._execute_function", _working)
    wrap("services.lambda_svc._execute_function_with_config_scope", _working)
    wrap("services.cloudformation.changesets._create_stack_task_in_region", _under_way)
    wrap("services.cloudformation.handlers._create_stack_task_in_region", _under_way)
    rebind("services.eventbridge.start_scheduler", _nothing)
    rebind("services.scheduler.start_scheduler", _nothing)
    clock.Thread(target=_schedules, name="schedules", daemon=True).start()


def _nothing() -> None:
    """The emulator's own schedulers do not start."""


def _schedules() -> None:
    """Rules and schedules that are due, each minute; AWS knows no finer ones."""
    from ministack.services import eventbridge, scheduler

    while True:  # after that minute's alarms
        CLOCK.wait_until((CLOCK.now() // _MINUTE + 1) * _MINUTE, drives=False, turn=2)
        for tick in (eventbridge._tick_scheduled_rules, scheduler._tick_schedules):
            try:
                tick()
            except Exception:
                _log.exception("schedules")


def _wait_until(moment: str) -> None:
    CLOCK.wait_until(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp())


def _working(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(function: dict[str, Any], *args: Any, **options: Any) -> Any:
        name = (function.get("config") or function).get("FunctionName", "")
        with CLOCK.work(f"function {name}"):
            return original(function, *args, **options)

    return execute


def _under_way(original: Callable[..., None]) -> Callable[..., None]:
    """A stack works from the begin of an operation to its end; while it waits for a deployment, the deployment does."""

    def create(operation: Coroutine[Any, Any, Any], stack: Any, *more: Any) -> None:
        async def run() -> None:
            with CLOCK.work(f"stack {(stack or {}).get('StackName', '')}"):
                await operation

        original(run(), stack, *more)

    return create


def counted(app: Any) -> Any:
    """The gateway, where each request counts as work, and with the route to the clock."""

    async def gateway(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        if scope["path"] == ROUTE:
            return await _move(receive, send)
        with CLOCK.work(f"{scope['method']} {scope['path']}", client=True):
            return await app(scope, receive, send)

    return gateway


async def _move(receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    wanted = json.loads(body or b"{}")
    if "hold" in wanted:
        (CLOCK.hold if wanted["hold"] else CLOCK.release)()
    if "advance" in wanted:
        # A thread of its own, since others may wait for as long as what it lets happen takes.
        loop, moved = asyncio.get_running_loop(), asyncio.Event()

        def advance() -> None:
            CLOCK.advance(float(wanted["advance"]))
            loop.call_soon_threadsafe(moved.set)

        threading.Thread(target=advance, name="advance", daemon=True).start()
        await moved.wait()
    answer = json.dumps(CLOCK.state()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
