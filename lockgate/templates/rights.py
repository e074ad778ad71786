"""The policies of an account, read from its templates: for CloudFormation's role, and the boundary of every other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate.errors import NotFoundError
from lockgate.templates import boundary, execution_rights
from lockgate.templates.execution_rights import Statement, Template

EXECUTION = "lockgate-execution"
LONGEST = 6000  # characters of a managed policy; AWS takes 6144


def documents(configuration: Configuration, assembly: Path, account: str) -> dict[str, dict[str, Any]]:
    """Policy documents of an account by name: lockgate-execution-<n>, and the boundary of each environment in it."""
    stages, tools = configuration.stages, configuration.tools
    mine = [name for name, found in stages.items() if found == account]
    templates = {name: _templates(assembly, name) for name in mine}
    every = [template for found in templates.values() for template in found]
    execution = pack(execution_rights.statements(every, account, tools.region, [names.boundary(name) for name in mine]))
    found = {f"{EXECUTION}-{number}": document for number, document in enumerate(execution, start=1)}
    anchor = names.anchor_bucket(tools.anchor_account, tools.region)
    kept = [f"arn:aws:s3:::{anchor}", f"arn:aws:s3:::{anchor}/*"]
    kept.append(f"arn:aws:kms:{tools.region}:{tools.anchor_account}:key/*")
    for name in mine:
        others = set(stages.values()) - {account, tools.account}
        found[names.boundary(name)] = document(boundary.statements(templates[name], name, others, kept))
    return found


def _templates(assembly: Path, environment: str) -> list[Template]:
    folder = assembly / f"assembly-{environment}"
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.template.json"))]
    if not found:
        raise NotFoundError(f"{folder}: found no templates, expected what `make synth` writes")
    return found


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def pack(statements: Iterable[Statement]) -> list[dict[str, Any]]:
    """As few documents as hold the statements in order, none too long for a managed policy."""
    packed: list[list[Statement]] = [[]]
    for statement in statements:
        if len(json.dumps(document([*packed[-1], statement]), separators=(",", ":"))) > LONGEST:
            packed.append([])
        packed[-1].append(statement)
    return [document(each) for each in packed]
