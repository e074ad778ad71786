"""The whole app: one stage an environment, `tools` first. No AWS call, no clock."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate.configuration.project import Configuration
from lockgate_constructs.inline_policies import inline_policies
from stacks.anchor import AnchorStack
from stacks.artifacts import ArtifactsStack
from stacks.attestation import AttestationStack
from stacks.delivery import DeliveryStack
from stacks.edge import EdgeStack
from stacks.promotion import PromotionStack
from stacks.release import ReleaseStack
from stacks.training import TrainingStack

BUNDLE = ("environments", "lambdas", "lockgate")


def compose(app: Construct, configuration: Configuration, root: Path) -> None:
    """Add a stage for tools, one for the ledger's anchor and one for each environment to `app`.

    root: the project, of which BUNDLE and the models' policies become the code of every function, and
        model/pipeline.json each pipeline.
    Raises ConfigError when the pipeline definition does not fit.
    """
    _tools(app, configuration, root)
    _anchor(app, configuration)
    for environment in configuration.environments:
        _environment(app, configuration, environment, root)
    inline_policies(app)
    for stack in app.node.find_all():
        if isinstance(stack, cdk.Stack):
            owner = names.owned_by(configuration.tools.github.repository_id)
            stack.template_options.description = f"{stack.template_options.description} {owner}"


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


def _tools(app: Construct, configuration: Configuration, root: Path) -> None:
    tools = configuration.tools
    stage = _stage(app, "tools", tools.account, tools.region)
    artifacts = ArtifactsStack(stage, "artifacts", configuration=configuration, stack_name="lockgate-tools-artifacts")
    DeliveryStack(
        stage,
        "delivery",
        configuration=configuration,
        artifacts=artifacts,
        stack_name="lockgate-tools-delivery",
    )
    if artifacts.signing_key:
        AttestationStack(
            stage,
            "attestation",
            configuration=configuration,
            artifacts=artifacts,
            signing_key=artifacts.signing_key,
            root=str(root),
            exclude=_all_but_the_bundle(),
            stack_name="lockgate-tools-attestation",
        )
    TrainingStack(
        stage,
        "training",
        configuration=configuration,
        artifacts=artifacts,
        root=root,
        stack_name="lockgate-tools-training",
    )
    PromotionStack(
        stage,
        "promotion",
        configuration=configuration,
        artifacts=artifacts,
        code=bundle(root),
        stack_name=names.PROMOTION_STACK,
    )


def _anchor(app: Construct, configuration: Configuration) -> None:
    tools = configuration.tools
    if not tools.anchored:
        return
    stage = _stage(app, "anchor", tools.anchor_account, tools.region)
    AnchorStack(stage, "anchor", tools=tools, stack_name=names.ANCHOR_STACK)


def _environment(app: Construct, configuration: Configuration, environment: Environment, root: Path) -> None:
    stage = _stage(app, environment.name, environment.account, environment.region)
    edge = EdgeStack(
        stage,
        "edge",
        configuration=configuration,
        environment=environment,
        code=bundle(root),
        stack_name=names.edge_stack(environment.name),
    )
    for model in configuration.models:
        ReleaseStack(
            stage,
            f"release-{model.name}",
            environment=environment,
            model=model,
            edge=edge,
            stack_name=names.release_stack(environment.name, model.name),
        )
