"""The whole app: one stage an environment, `tools` first. No AWS call, no clock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate.configuration.project import Configuration
from lockgate.configuration.shipped import shipped
from lockgate_constructs.inline_policies import inline_policies

from .anchor import AnchorStack
from .artifacts import ArtifactsStack
from .attestation import AttestationStack
from .delivery import DeliveryStack
from .edge import EdgeStack
from .promotion import PromotionStack
from .release import ReleaseStack
from .training import TrainingStack

BUNDLE = ("environments", "lambdas", "lockgate")


@dataclass(frozen=True)
class Kinds:
    """The class of each stack: a team names a subclass of its own in the place of one."""

    artifacts: type[ArtifactsStack] = ArtifactsStack
    delivery: type[DeliveryStack] = DeliveryStack
    attestation: type[AttestationStack] = AttestationStack
    training: type[TrainingStack] = TrainingStack
    promotion: type[PromotionStack] = PromotionStack
    anchor: type[AnchorStack] = AnchorStack
    edge: type[EdgeStack] = EdgeStack
    release: type[ReleaseStack] = ReleaseStack


def compose(
    app: cdk.App,
    configuration: Configuration,
    root: Path,
    kinds: Kinds,
    also: Callable[[cdk.App], None] | None = None,
) -> None:
    """Add a stage for tools, one for the ledger's anchor and one for each environment to `app`.

    root: the project, whose environments and models' policies become, with this release's code, that of every
        function, and whose model/pipeline.json, or this release's, each pipeline.
    also: adds what a project has beside these, which is then held to the same.
    Raises ConfigError when the pipeline definition does not fit.
    """
    with functions_of(root) as code:
        _tools(app, configuration, root, code, kinds)
        _anchor(app, configuration, kinds)
        for environment in configuration.environments:
            _environment(app, configuration, environment, code, kinds)
    if also is not None:
        also(app)
    inline_policies(app)
    for stack in app.node.find_all():
        if isinstance(stack, cdk.Stack):
            owner = names.owned_by(configuration.tools.github.repository_id)
            said = stack.template_options.description or f"{stack.node.id}:"
            stack.template_options.description = f"{said} {owner}"


@contextmanager
def functions_of(root: Path) -> Iterator[Path]:
    """The folder with BUNDLE and the models' policies: the project, where it has the release's sources, else a copy."""
    if all((root / folder).is_dir() for folder in BUNDLE):
        yield root
        return
    with tempfile.TemporaryDirectory() as made:
        sources = [root / "environments", shipped("lambdas"), shipped("lockgate")]
        for folder in sources:
            shutil.copytree(folder, Path(made) / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        for policy in sorted(root.glob("model/*/policy.toml")):
            copied = Path(made) / policy.relative_to(root)
            copied.parent.mkdir(parents=True)
            shutil.copy(policy, copied)
        yield Path(made)


def bundle(root: Path) -> lambda_.Code:
    """BUNDLE and the policies of models and nothing else, so that the hash changes only when they do; one a stack."""
    return lambda_.Code.from_asset(str(root), exclude=_all_but_the_bundle(), ignore_mode=cdk.IgnoreMode.GIT)


def _all_but_the_bundle() -> list[str]:
    kept = [pattern for folder in BUNDLE for pattern in (f"!/{folder}", f"!/{folder}/**")]
    policies = ["!/model", "/model/*", "!/model/*/", "/model/*/*", "!/model/*/policy.toml"]
    # No function reads templates: a new word in a review must not deploy all functions again.
    return ["/*", *kept, *policies, "/lockgate/templates", "__pycache__", "*.pyc"]


def _stage(app: Construct, name: str, account: str, region: str) -> cdk.Stage:
    """A stage all of whose roles, whoever adds them, carry the environment's permissions boundary."""
    return cdk.Stage(
        app,
        name,
        env=cdk.Environment(account=account, region=region),
        permissions_boundary=cdk.PermissionsBoundary.from_name(names.boundary(name)),
    )


def _tools(app: Construct, configuration: Configuration, root: Path, code: Path, kinds: Kinds) -> None:
    tools = configuration.tools
    stage = _stage(app, "tools", tools.account, tools.region)
    artifacts = kinds.artifacts(stage, "artifacts", configuration=configuration, stack_name="lockgate-tools-artifacts")
    kinds.delivery(
        stage,
        "delivery",
        configuration=configuration,
        artifacts=artifacts,
        stack_name="lockgate-tools-delivery",
    )
    if artifacts.signing_key:
        kinds.attestation(
            stage,
            "attestation",
            configuration=configuration,
            artifacts=artifacts,
            signing_key=artifacts.signing_key,
            root=str(code),
            exclude=_all_but_the_bundle(),
            stack_name="lockgate-tools-attestation",
        )
    kinds.training(
        stage,
        "training",
        configuration=configuration,
        artifacts=artifacts,
        root=root,
        stack_name="lockgate-tools-training",
    )
    kinds.promotion(
        stage,
        "promotion",
        configuration=configuration,
        artifacts=artifacts,
        code=bundle(code),
        stack_name=names.PROMOTION_STACK,
    )


def _anchor(app: Construct, configuration: Configuration, kinds: Kinds) -> None:
    tools = configuration.tools
    if not tools.anchored:
        return
    stage = _stage(app, "anchor", tools.anchor_account, tools.region)
    kinds.anchor(stage, "anchor", tools=tools, stack_name=names.ANCHOR_STACK)


def _environment(
    app: Construct, configuration: Configuration, environment: Environment, code: Path, kinds: Kinds
) -> None:
    stage = _stage(app, environment.name, environment.account, environment.region)
    edge = kinds.edge(
        stage,
        "edge",
        configuration=configuration,
        environment=environment,
        code=bundle(code),
        stack_name=names.edge_stack(environment.name),
    )
    for model in configuration.models:
        kinds.release(
            stage,
            f"release-{model.name}",
            environment=environment,
            model=model,
            edge=edge,
            stack_name=names.release_stack(environment.name, model.name),
        )
