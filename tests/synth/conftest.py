"""Apps synthesized once for the whole suite, from projects made for the occasion; the context is cdk.json's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Once

PROJECT = Path(__file__).parents[2]
CONTEXT: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text())["context"]

TOOLS = """\
account = "111111111111"
region = "us-east-1"
promotion = ["dev", "staging", "prod"]

[github]
owner = "your-org"
owner_id = "1001"
repository = "your-models"
repository_id = "2002"
branch = "main"

[persons.ada]
github = ["3003"]
users = ["ada"]

[persons.grace]
users = ["grace"]

[images]
base = "python:3.13-slim@sha256:{evaluator}"
builder = "moby/buildkit:v1@sha256:{evaluator}"

[evaluator]
image_digest = "sha256:{evaluator}"

[training]
instance_type = "ml.m5.large"

[ledger]
retention_days = 3
anchor_account = "555555555555"
"""
ENVIRONMENT = """\
account = "{account}"
region = "us-east-1"
approvals = {approvals}

[service]
certificate_arn = "arn:aws:acm:us-east-1:{account}:certificate/00000000-0000-4000-8000-000000000000"
vpc_cidr = "{cidr}"
cpu = 512
memory = 1024
tasks = {tasks}

[deployment]
{steps}
deadline_minutes = 60
replay_difference = 1e-9
false_alarm_rate = 0.001
errors_per_minute = 5
latency_p99_ms = 500
unhealthy_minutes = 2
"""
POLICY = """\
assurance = "budget"

[budget]
false_promotion_rate = 0.05
scope = "policy"
decisions = 100
feedback = "every-verdict"

[[rule]]
name = "ranking"
kind = "limit"
metric = "roc_auc"
floor = 0.80
"""
STEPS = {
    "at once": 'strategy = "blue-green"\nbake_minutes = 0',
    "canary": 'strategy = "canary"\npercent = 10\nstep_minutes = 10\nbake_minutes = 5',
}
# name: (account, approvals, vpc_cidr, tasks)
ENVIRONMENTS = {
    "dev": ("222222222222", 0, "10.20.0.0/20", 1),
    "staging": ("333333333333", 0, "10.30.0.0/20", 1),
    "prod": ("444444444444", 1, "10.40.0.0/20", 2),
}
MODEL = """\
description = "a model of tests"
identifier = "row"
target = "label"
owner = "team"
intended_use = "tests"
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
    """A project in `root` with the real handlers, small models, and every placeholder once."""
    for folder in ("lambdas", "lockgate"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environments = root / "environments"
    environments.mkdir()
    (environments / "tools.toml").write_text(TOOLS.format(evaluator="e" * 64))
    for name, (account, approvals, cidr, tasks) in ENVIRONMENTS.items():
        steps = STEPS["at once" if name == "dev" else "canary"]
        text = ENVIRONMENT.format(account=account, approvals=approvals, cidr=cidr, tasks=tasks, steps=steps)
        (environments / f"{name}.toml").write_text(text)
    for model in models:
        (root / "model" / model).mkdir(parents=True)
        (root / "model" / model / "model.toml").write_text(MODEL)
        (root / "model" / model / "policy.toml").write_text(POLICY)
        (root / "model" / model / "train.py").write_text("def train(rows, target, model): ...\n")
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

    def statements(self, stack: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Every statement of a role's or a managed policy, with its `stack/logical id`."""
        for name, resource in self.resources("AWS::IAM::", stack):
            properties = resource["Properties"]
            documents = [properties.get("PolicyDocument")]
            documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            for document in filter(None, documents):
                for statement in document["Statement"]:
                    yield name, statement

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
    from stacks import app

    return app.build(root, context=CONTEXT, outdir=str(directory))


def read(directory: Path) -> Synthesized:
    """A cloud assembly from its files."""
    stacks = {}
    for manifest in directory.rglob("manifest.json"):
        for artifact in json.loads(manifest.read_text())["artifacts"].values():
            if artifact["type"] == "aws:cloudformation:stack":
                said = artifact["properties"]
                stacks[said["stackName"]] = json.loads((manifest.parent / said["templateFile"]).read_text())
    return Synthesized(directory, stacks)


@pytest.fixture(scope="session")
def synthesized(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Two models, three environments."""

    def synth(directory: Path) -> None:
        build(make_project(tmp_path_factory.mktemp("project") / "root"), directory).synth()

    return read(once("assembly-of-two-models", synth))


@pytest.fixture(scope="session", autouse=True)
def as_the_command_line_runs_it() -> Iterator[None]:
    """What `cdk` hands to app.py, without validation: test_synth.py asks for that itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDK_VALIDATION", "false")
        patch.setenv("CDK_CONTEXT_JSON", json.dumps(CONTEXT))
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own, with app.py, that a test may spoil."""
    root = make_project(tmp_path / "root", ("alpha",))
    shutil.copy(PROJECT / "app.py", root)
    return root


@pytest.fixture(scope="session")
def new_app() -> Callable[[Path, Path], Any]:
    """Makes the app of a project with an output folder."""
    return build


@pytest.fixture(scope="session", name="make_project")
def make_project_fixture() -> Callable[..., Path]:
    return make_project
