"""Apps synthesized once a session, from projects made for the occasion; the context is cdk.json's."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

os.environ["CDK_VALIDATION"] = "false"
PROJECT = Path(__file__).parents[2]

MODEL = """\
description = "a model of tests"
identifier = "row"
target = "label"
protected = []

[data]
train = "data/train.parquet"
holdout = "data/holdout.parquet"

[parameters]

[[feature]]
name = "age"
type = "integer"
minimum = 0
maximum = 120
"""
PLACEHOLDERS = (
    "Model PackageGroup EvaluatorImage DataBucket LabelsBucket ModelsBucket EvidenceBucket TrainingRole "
    "EvaluationRole InstanceType KmsKey"
)


def make_project(root: Path, models: tuple[str, ...] = ("alpha", "beta")) -> Path:
    """A project in `root` with the real environments and handlers, small models, and every placeholder once."""
    for folder in ("environments", "lambdas", "lockgate"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for model in models:
        (root / "model" / model).mkdir(parents=True)
        (root / "model" / model / "model.toml").write_text(MODEL)
        (root / "model" / model / "train.py").write_text("")
    definition = {"Version": "2020-12-01", "Steps": [{name: f"<{{{{{name}}}}}>"} for name in PLACEHOLDERS.split()]}
    (root / "model" / "pipeline.json").write_text(json.dumps(definition))
    return root


@dataclass
class Synthesized:
    """The templates of an app by stack name, and where its cloud assembly is."""

    directory: Path
    stacks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def resources(self, kind: str = "", stack: str = "") -> list[tuple[str, dict[str, Any]]]:
        """(`stack/logical id`, resource) of one type, or of all, in one stack, or in all."""
        return [
            (f"{name}/{logical_id}", resource)
            for name, template in self.stacks.items()
            if name.startswith(stack)
            for logical_id, resource in template.get("Resources", {}).items()
            if resource["Type"].startswith(kind)
        ]

    def only(self, kind: str, stack: str = "", **properties: object) -> dict[str, Any]:
        """Properties of the one resource of a type that has these property values."""
        found = [
            resource["Properties"]
            for _, resource in self.resources(kind, stack)
            if all(resource["Properties"].get(name) == value for name, value in properties.items())
        ]
        assert len(found) == 1, f"{kind} {properties}: found {len(found)}"
        return found[0]


def build(root: Path, directory: Path) -> Any:
    """The app of a project, with the context that the CDK command line would read from cdk.json."""
    import app

    app.use_node_from_python()
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return app.build(root, context=context, outdir=str(directory))


def synthesize(root: Path, directory: Path) -> Synthesized:
    stages = build(root, directory).synth().nested_assemblies
    return Synthesized(
        directory, {stack.stack_name: stack.template for stage in stages for stack in stage.nested_assembly.stacks}
    )


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Two models, three environments."""
    root = make_project(tmp_path_factory.mktemp("project") / "root")
    return synthesize(root, tmp_path_factory.mktemp("assembly"))
