"""The one place for physical names: what one account must know of another, and where objects lie in buckets.

Everything else is named by CloudFormation.
"""

from __future__ import annotations

import re

PIPELINE_ROLE = "lockgate-pipeline"
TRAINING_ROLE = "lockgate-training"
EVALUATION_ROLE = "lockgate-evaluation"
DELIVERY_ROLE = "lockgate-delivery"
REVIEW_ROLE = "lockgate-review"
PROMOTION_ROLE = "lockgate-promotion"
APPROVER_ROLE = "lockgate-approver"
BREAK_GLASS_ROLE = "lockgate-break-glass"
DECIDE_ROLE = "lockgate-decide"
CONTROLLER_ROLE = "lockgate-controller"
ANCHOR_ROLE = "lockgate-anchor"
BREAK_GLASS_WRITER_ROLE = "lockgate-break-glass-function"  # the person's role has the plain name
ATTESTATION_ROLE = "lockgate-attestation"
LEDGER_WRITER_ROLES = ("lockgate-gate", DECIDE_ROLE, BREAK_GLASS_WRITER_ROLE, CONTROLLER_ROLE)

METRIC_NAMESPACE = "Lockgate"
STUCK = "Stuck"  # versions that the reconciler could not resume
SCAN_UNFINISHED = "ScanUnfinished"  # decisions without the scan of the image that they ask for
PREDICTION_DISTANCE = "PredictionDistance"  # dimensions Environment, Model, Release, TaskDefinition

MODELS_REPOSITORY = "lockgate-models"
EVALUATOR_REPOSITORY = "lockgate-evaluator"
IMAGE_PROJECT = "lockgate-image"
EVALUATOR_PROJECT = "lockgate-evaluator"
ATTESTATION_PROJECT = "lockgate-attestation"
PROMOTION_STATE_MACHINE = "lockgate-promotion"
PROMOTION_STACK = "lockgate-tools-promotion"
POLICIES = "lockgate:policies"  # of its template's metadata
GATE_FUNCTION = "lockgate-gate"
DECIDE_FUNCTION = "lockgate-decide"
CONTROLLER_FUNCTION = "lockgate-controller"
ANCHOR_FUNCTION = "lockgate-anchor"
ANCHOR_STACK = "lockgate-anchor"
BREAK_GLASS_FUNCTION = "lockgate-break-glass"
INFRASTRUCTURE_CHAIN = "infrastructure"  # of the ledger; no model may have this name


def bucket(purpose: str, account: str, region: str) -> str:
    """Bucket of the tools environment: source, data, labels, models, evidence, ledger, logs."""
    return f"lockgate-{purpose}-{account}-{region}"


def anchor_bucket(account: str, region: str) -> str:
    """Bucket of the anchor account, with the heads of the ledger's chains under the keys of their records."""
    return f"lockgate-anchor-{account}-{region}"


def releases_bucket(environment: str, account: str, region: str) -> str:
    """Bucket of an environment that holds its own copies of released model data."""
    return f"lockgate-{environment}-releases-{account}-{region}"


def releases_repository(environment: str) -> str:
    """Image repository of an environment that holds its own copies of released images."""
    return f"lockgate-{environment}-releases"


def infrastructure_role(environment: str) -> str:
    """Role of the tools account with which a workflow run changes the infrastructure of an environment, or of tools."""
    return f"lockgate-{environment}-infrastructure"


def boundary(environment: str) -> str:
    """The policy that no role of an environment, or of tools, can do more than; `lockgate bootstrap` makes it."""
    return f"lockgate-{environment}-boundary"


def cdk_role(purpose: str, account: str, region: str) -> str:
    """ARN of a role that `cdk bootstrap` makes: deploy, file-publishing, cfn-exec."""
    return role_arn(account, f"cdk-hnb659fds-{purpose}-role-{account}-{region}")


def promote_role(environment: str) -> str:
    """Role of an environment that the promotion workflow assumes to call the deploy function."""
    return f"lockgate-{environment}-promote"


def operator_role(environment: str) -> str:
    """Role of an environment's operators: it may ask for a rollback or a restore, and nothing else."""
    return f"lockgate-{environment}-operator"


def reader_role(environment: str) -> str:
    """Role with which the tools account looks at what an environment serves and remembers."""
    return f"lockgate-{environment}-reader"


def deploy_role(environment: str) -> str:
    """Role of an environment's deploy function: it alone may update release stacks."""
    return f"lockgate-{environment}-deploy"


def execution_role(environment: str) -> str:
    """Role with which an environment's tasks are started: it pulls the environment's copy of the image."""
    return f"lockgate-{environment}-execution"


def cluster(environment: str) -> str:
    """ECS cluster of an environment; its services bear the names of their models."""
    return f"lockgate-{environment}"


def deploy_function(environment: str) -> str:
    return f"lockgate-{environment}-deploy"


def replay_function(environment: str) -> str:
    """Asks new tasks for what evaluation recorded, before they get traffic."""
    return f"lockgate-{environment}-replay"


def watch_function(environment: str) -> str:
    """Compares a canary's errors with those of the release beside it."""
    return f"lockgate-{environment}-watch"


def release_cloudformation_role(environment: str) -> str:
    """The narrow role with which CloudFormation changes a release stack during a promotion."""
    return f"lockgate-{environment}-release-cfn"


# What every stack's description ends with: names of stacks are fixed, so two Lockgates in an account would share them.
STACKS = "lockgate-"
_OWNER = re.compile(r"\[GitHub repository ([0-9]+)\]\Z")


def owned_by(repository_id: str) -> str:
    """The end of the description of each stack: the repository whose Lockgate it is."""
    return f"[GitHub repository {repository_id}]"


def owner_of(description: str) -> str:
    """The id of the repository whose Lockgate made a stack with this description; "" where it says none, as in 0.1."""
    found = _OWNER.search(description)
    return found[1] if found else ""


def edge_stack(environment: str) -> str:
    return f"lockgate-{environment}-edge"


ANY = "*"  # for a model's name: rights and patterns are for all models, since AWS limits how much they may say


def release_stack(environment: str, model: str) -> str:
    return f"lockgate-{environment}-release-{model}"


def pipeline(model: str) -> str:
    return f"lockgate-{model}"


def package_group(model: str) -> str:
    return f"lockgate-{model}"


def model_of_package_group(group: str) -> str:
    return group.removeprefix("lockgate-")


def state_machine_arn(account: str, region: str) -> str:
    return f"arn:aws:states:{region}:{account}:stateMachine:{PROMOTION_STATE_MACHINE}"


def package_arn(account: str, region: str, model: str, version: int) -> str:
    return f"arn:aws:sagemaker:{region}:{account}:model-package/{package_group(model)}/{version}"


def promotion_execution(model: str, version: int, attempt: int = 1) -> str:
    """Name of an execution of the promotion workflow; it is the lock that starts each attempt once.

    Names of models have no capital letters, so that no model's first attempt has the name of another's second.
    """
    return f"{model}-{version}" if attempt == 1 else f"{model}-{version}-R{attempt}"


def break_glass_execution(model: str, version: int, sequence: int) -> str:
    """Name of the execution that the break-glass with this number in the ledger starts."""
    return f"{model}-{version}-break-glass-{sequence}"


def waiver_execution(model: str, version: int, sequence: int) -> str:
    """Name of the execution that a waiver started, by the waiver's number in the ledger."""
    return f"{model}-{version}-waiver-{sequence}"


def repository_uri(account: str, region: str, repository: str) -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{repository}"


def project_arn(account: str, region: str, project: str) -> str:
    return f"arn:aws:codebuild:{region}:{account}:project/{project}"


def role_arn(account: str, role: str) -> str:
    return f"arn:aws:iam::{account}:role/{role}"


def policy_arn(account: str, policy: str) -> str:
    return f"arn:aws:iam::{account}:policy/{policy}"


def function_arn(account: str, region: str, function: str) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{function}"


# Keys in buckets


def source_key(commit: str) -> str:
    """In the source bucket: the archive of a commit."""
    return f"commits/{commit}.zip"


def evaluator_source_key(commit: str) -> str:
    """In the source bucket: the archive from which the evaluator is built; the delivery role cannot write here."""
    return f"evaluator/{commit}.zip"


def snapshot_prefix(model: str, snapshot: str) -> str:
    """In the data bucket: manifest.json, train/train.parquet, holdout/features.parquet."""
    return f"snapshots/{model}/{snapshot}"


COLUMNS = "columns"


def columns_key(model: str, snapshot: str, digest: str) -> str:
    """In the data bucket: an empty object that says with which declared columns a snapshot was published."""
    return f"{snapshot_prefix(model, snapshot)}/{COLUMNS}/{digest}"


def identities_key(model: str, snapshot: str, part: str) -> str:
    """In the data bucket: digests of which rows a snapshot's part ("train" or "holdout") has."""
    return f"identities/{model}/{snapshot}/{part}"


def champion_prefix(model: str) -> str:
    """In the data bucket: notes of what the last environment serves, for whoever starts an evaluation."""
    return f"champions/{model}/"


def champion_key(model: str, sequence: int) -> str:
    """The note that a deployment's record, with this number in the ledger, made; the last key is the champion."""
    return f"{champion_prefix(model)}{sequence:010d}.json"


def chosen_prefix(model: str) -> str:
    """In the data bucket: notes of which snapshot persons chose for training, for whoever delivers."""
    return f"chosen-snapshots/{model}/"


def chosen_key(model: str, sequence: int, snapshot: str) -> str:
    """The note that the record of a choice, with this number in the ledger, made; the last key is the newest."""
    return f"{chosen_prefix(model)}{sequence:010d}/{snapshot}"


def labels_key(model: str, snapshot: str) -> str:
    """In the labels bucket: the holdout's labels, which no commit may read."""
    return f"{model}/{snapshot}/labels.parquet"


def ledger_key(model: str, sequence: int) -> str:
    return f"{model}/{sequence:010d}.json"


def ledger_place(key: str) -> int:
    """The number that a record's key says; 0 for what is no record's key."""
    number = key.rpartition("/")[2].removesuffix(".json")
    return int(number) if number.isascii() and number.isdigit() else 0


def replay_uri(evidence_uri: str) -> str:
    """The rows that the evaluator recorded, beside the evidence (s3://) that has their digest."""
    return f"{evidence_uri.rpartition('/')[0]}/replay.json"


def released_model_key(model: str, sha256: str) -> str:
    """In an environment's releases bucket: the copy of the model data that a release pins."""
    return f"{model}/{sha256}/model.tar.gz"


def replay_key(model: str, sha256: str) -> str:
    """In an environment's releases bucket: the rows that new tasks must answer as evaluation did."""
    return f"{model}/replays/{sha256}.json"


def findings_prefix(model: str) -> str:
    """In an environment's releases bucket: what lifecycle hooks found in each deployment."""
    return f"{model}/findings/"


def journal_prefix(model: str) -> str:
    """In an environment's releases bucket: what it remembers of its releases."""
    return f"{model}/journal/"


def journal_key(model: str, sequence: int) -> str:
    """One fact of it, in their order."""
    return f"{journal_prefix(model)}{sequence:010d}.json"
