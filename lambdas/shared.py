"""What every handler needs: its settings, the reviewed configuration, the clock, the log and the ledger."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lockgate.aws.clients import client
from lockgate.aws.ledger import LedgerStore
from lockgate.config import NAME, Environment, Tools, read_environment, read_tools
from lockgate.errors import ConfigError, RefusedError

ROOT = Path(__file__).resolve().parents[1]
Settings = TypeVar("Settings")

logger = logging.getLogger("lockgate")
logger.setLevel(logging.INFO)


def settings(kind: type[Settings]) -> Settings:
    """Environment variables as `kind`, a dataclass of str and int: field ledger_bucket is LEDGER_BUCKET.

    Raises ConfigError for one that is missing, empty or not a number.
    """
    values: dict[str, str | int] = {}
    for field, wanted in get_type_hints(kind).items():
        text = os.environ.get(field.upper(), "")
        try:
            values[field] = wanted(text)
        except ValueError:
            raise ConfigError("environment variables", field.upper(), text, "a whole number") from None
        if not text:
            raise ConfigError("environment variables", field.upper(), "nothing", "a value from the stack")
    return kind(**values)


def tools() -> Tools:
    return read_tools(ROOT / "environments" / "tools.toml")


def environment(name: str) -> Environment:
    """The reviewed configuration of an environment that releases walk through. Raises RefusedError."""
    known = tools().promotion
    if name not in known:
        raise RefusedError(f"environment: found {name!r}, expected one of {', '.join(known)}")
    return read_environment(ROOT / "environments" / f"{name}.toml")


def model_and_version(event: dict[str, Any]) -> tuple[str, int]:
    """The model's name and the package version of an event. Raises RefusedError."""
    model, version = str(event.get("model", "")), str(event.get("version", ""))
    if not NAME.fullmatch(model):
        raise RefusedError(f"model: found {model!r}, expected a model's name")
    if not version.isascii() or not version.isdigit() or version.startswith("0"):
        raise RefusedError(f"version: found {version!r}, expected a package version such as 7")
    return model, int(version)


def now() -> datetime:
    """The one clock of the handlers: UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC, milliseconds, as records have it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log(message: str, **facts: object) -> None:
    """One JSON line."""
    logger.info(json.dumps({"message": message, **facts}, default=str))


@cache
def ledger(bucket: str) -> LedgerStore:
    """One store a container, so that records already read are not read again."""
    return LedgerStore(client("s3"), bucket)
