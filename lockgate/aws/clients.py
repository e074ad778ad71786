"""Clients of AWS services: one of each a process, made when first used."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


@cache
def client(service: str) -> Any:
    """A client with the account, region and endpoint of the environment it runs in."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "max_attempts": 5}
    return boto3.client(service, config=Config(retries=retries, connect_timeout=5, read_timeout=60))


def code(error: ClientError) -> str:
    """The error code that AWS answered."""
    return str(error.response["Error"]["Code"])
