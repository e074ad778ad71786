"""Only lockgate.aws calls AWS: handlers and commands make clients and hand them on, and never call a method of one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import Session

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "lambdas")
SDK = ("boto3", "botocore")
# What a client has beside the operations of its service.
BESIDE = {
    "get_paginator",
    "get_waiter",
    "can_paginate",
    "generate_presigned_url",
    "get_caller_identity",
    "get_credentials",
}
# Calls that are still where they do not belong; this list may only shrink.
LEFT = {}


def files(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@cache
def methods() -> frozenset[str]:
    """Every method of every client that the code makes, as the SDK names them."""
    services = {
        service
        for file in files(*FOLDERS, "lockgate/aws")
        for service in re.findall(r"client\(\"([a-z0-9]+)\"", file.read_text())
    }
    assert services > {"s3", "lambda", "stepfunctions", "sagemaker"}
    session = Session()
    operations = {name for service in services for name in session.get_service_model(service).operation_names}
    return frozenset({*map(xform_name, operations), *BESIDE})


def calls(text: str) -> Iterator[str]:
    """What a module imports of the SDK, and which methods of a client it calls."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names if alias.name.partition(".")[0] in SDK)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in SDK:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods():
            yield node.func.attr


def test_no_handler_and_no_command_calls_a_method_of_a_client() -> None:
    found = {str(file.relative_to(ROOT)): set(calls(file.read_text())) for file in files(*FOLDERS)}
    assert {name: said for name, said in found.items() if said} == LEFT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import boto3.session", ["boto3"]),
        ("def f():\n    from botocore.config import Config", ["botocore"]),
        ("client('s3').get_object(Bucket='b')", ["get_object"]),
        ("for page in sagemaker.get_paginator('x').paginate(): ...", ["get_paginator"]),
        ("registry.describe(arn)\nclients.client('s3')\nfrom lockgate.aws import clients", []),
    ],
)
def test_what_counts_as_a_call(text: str, said: list[str]) -> None:
    assert list(calls(text)) == said


def test_the_promotion_workflow_is_started_in_one_place() -> None:
    places = [
        str(file.relative_to(ROOT))
        for file in files(*FOLDERS, "lockgate", "runtime")
        if "start_execution" in set(calls(file.read_text())) and str(file.relative_to(ROOT)) not in LEFT
    ]
    assert places == ["lockgate/aws/promotions.py"]
