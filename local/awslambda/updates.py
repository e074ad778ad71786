"""A function that is updated lets the calls that run end with the code and configuration they began with, as on AWS.

The emulator kills them: a `cdk deploy` beside a deployment would end the hook that the deployment waits for.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from local.seams import wrap
from local.settings import Settings

_updating: contextvars.ContextVar[bool] = contextvars.ContextVar("function_is_updated", default=False)


def install(settings: Settings) -> None:
    """Patch updates and workers. `settings` is not needed; every extension has this signature."""
    wrap("services.lambda_svc._update_code", _as_an_update)
    wrap("services.lambda_svc._update_config", _as_an_update)
    wrap("services.lambda_svc.invalidate_worker", _sparing_the_busy)
    wrap("services.lambda_svc.release_worker", _ending_the_retired)


def _as_an_update(original: Callable[..., Any]) -> Callable[..., Any]:
    def update(*args: Any, **options: Any) -> Any:
        token = _updating.set(True)
        try:
            return original(*args, **options)
        finally:
            _updating.reset(token)

    return update


def _sparing_the_busy(original: Callable[..., None]) -> Callable[..., None]:
    """Take a function's workers out of its pool; at an update those that work end when they are done."""
    from ministack.core import lambda_runtime
    from ministack.core.responses import get_account_id

    def invalidate(function: str, *args: Any, **options: Any) -> None:
        if _updating.get():
            with lambda_runtime._lock:
                for key, workers in lambda_runtime._workers.items():
                    account, _, name, _ = key.split(":")
                    if (account, name) == (get_account_id(), function):
                        for worker in [each for each in workers if each.in_use]:
                            worker.retired = True
                            workers.remove(worker)
        original(function, *args, **options)

    return invalidate


def _ending_the_retired(original: Callable[[Any], None]) -> Callable[[Any], None]:
    from ministack.core import lambda_runtime

    def release(worker: Any) -> None:
        original(worker)
        if getattr(worker, "retired", False):
            lambda_runtime.kill_workers([worker])

    return release
