"""What a review reads of a cloud assembly: templates, and in functions' code the files that hold policies."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.errors import NotFoundError


@dataclass(frozen=True)
class ReviewedAssembly:
    """Templates by stack name, the accounts they go to, and the tables of the files that gates take policies from.

    environments: of environments/<name>.toml, by name. policies: of model/<name>/policy.toml, by name.
    """

    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_assembly(folder: Path) -> ReviewedAssembly:
    """The assembly that `cdk synth` wrote to `folder`, with those of its stages. Raises NotFoundError."""
    assembly = ReviewedAssembly()
    _read(folder, assembly)
    if not assembly.templates:
        raise NotFoundError(f"{folder}: found no stack, expected the folder that `cdk synth --output` wrote")
    return assembly


def _read(folder: Path, assembly: ReviewedAssembly) -> None:
    artifacts = _json(folder / "manifest.json").get("artifacts", {})
    for artifact in artifacts.values():
        properties = artifact.get("properties", {})
        if artifact["type"] == "cdk:cloud-assembly":
            _read(folder / properties["directoryName"], assembly)
        elif artifact["type"] == "aws:cloudformation:stack":
            assembly.templates[properties["stackName"]] = _json(folder / properties["templateFile"])
            assembly.accounts.update(re.findall(r"[0-9]{12}", artifact["environment"]))
        elif artifact["type"] == "cdk:asset-manifest":
            for asset in _json(folder / properties["file"]).get("files", {}).values():
                code = folder / asset["source"]["path"]
                for file in sorted((code / "environments").glob("*.toml")):
                    assembly.environments[file.stem] = tomllib.loads(file.read_text())
                for file in sorted((code / "model").glob("*/policy.toml")):
                    assembly.policies[file.parent.name] = tomllib.loads(file.read_text())


def _json(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{file}: no such file, expected a cloud assembly (`cdk synth --output FOLDER`)") from None
    except ValueError as error:
        raise NotFoundError(f"{file}: is not JSON ({error}), expected a cloud assembly") from error
    return content
