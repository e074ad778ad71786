"""What must hold after any number of runs, whatever was injected; each breach is a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.faults.runs import DIED, Run
from bench.faults.world import World
from lockgate import names
from lockgate.approval import approvers, newest_request, referred
from lockgate.aws.deployments import Deployments
from lockgate.aws.promotions import attempts
from lockgate.comparison import differences
from lockgate.ledger import Record, live
from lockgate.reconcile import version_of


def breaches(world: World, runs: Sequence[Run], since: datetime) -> list[str]:
    """Every breach there is: none, unless something was lost."""
    chain = world.chain()  # raises LedgerError where a record is missing, changed or out of place
    found = [f"run {run.seed}: version {run.version} is lost: {run.why}" for run in runs if run.outcome == "lost"]
    for environment in world.environments:
        found += _reality(world, chain, environment)
        found += _served(world, chain, environment)
    return found + _silent(world, runs, since)


def _reality(world: World, chain: Sequence[Record], environment: str) -> list[str]:
    """Where the environment is not what the ledger says."""
    recorded = live(chain, environment)
    cloudformation, ecs = (world.client(service, environment) for service in ("cloudformation", "ecs"))
    cluster = names.cluster(environment)
    found = Deployments(cloudformation, ecs, environment, cluster, "").reality(world.model)
    said = differences(recorded.entry.body["release"] if recorded else None, found)
    return [f"{environment}: {sentence}" for sentence in said]


def _served(world: World, chain: Sequence[Record], environment: str) -> list[str]:
    """Every task definition that ever was, and the verdict and approvals that let it through."""
    ecs = world.client("ecs", environment)
    found = []
    for status in ("ACTIVE", "INACTIVE"):
        family = names.release_stack(environment, world.model)
        pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status=status)
        for arn in [arn for page in pages for arn in page["taskDefinitionArns"]]:
            (container,) = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
            variables = {entry["name"]: entry["value"] for entry in container["environment"]}
            why = _unjustified(world, chain, environment, variables, container["image"])
            found += [f"{environment}: {arn.rpartition('/')[2]}: {why}"] if why else []
    return found


def _unjustified(
    world: World, chain: Sequence[Record], environment: str, variables: dict[str, str], image: str
) -> str | None:
    """Why tasks of this release should never have run; None when they should."""
    verdict = referred(chain, variables["VERDICT_ID"])
    if verdict is not None and verdict.entry.kind == "break-glass" and _is(verdict, variables, environment):
        return None
    if verdict is None or verdict.entry.kind != "verdict":
        return f"{variables['VERDICT_ID']} is no verdict"
    body = verdict.entry.body
    judged = (verdict.entry.environment, str(verdict.entry.version), body["outcome"], body["model_sha256"])
    if judged != (environment, variables["RELEASE_VERSION"], "passed", variables["MODEL_DATA_SHA256"]):
        return f"{variables['VERDICT_ID']} is about {judged}"
    if body["image"].rpartition("@")[2] != image.rpartition("@")[2]:
        return f"runs {image}, judged was {body['image']}"
    request = newest_request(chain, verdict.entry.version, environment)
    given = len(approvers(chain, request)) if request else 0
    earlier = sum(1 for record in chain if record.entry.kind == "approval" and _about(record, verdict))
    return None if max(given, earlier) >= body["approvals"] else f"{given} of {body['approvals']} approvals"


def _is(record: Record, variables: dict[str, str], environment: str) -> bool:
    return (record.entry.environment, str(record.entry.version)) == (environment, variables["RELEASE_VERSION"])


def _about(record: Record, verdict: Record) -> bool:
    where = (verdict.entry.version, verdict.entry.environment)
    return (record.entry.version, record.entry.environment) == where


def _silent(world: World, runs: Sequence[Run], since: datetime) -> list[str]:
    """Versions that came to a bad end of which no alarm would tell, and those that still run."""
    executions = attempts(world.client("stepfunctions"), world.machine, since=since)
    own = {run.version for run in runs}
    mine = [each for each in executions if version_of(world.model, each.name) in own]
    found = [f"{each.name} still runs" for each in mine if each.status == "RUNNING"]
    died = [each for each in mine if each.status in DIED]
    counted = _sum(world, "AWS/States", "ExecutionsFailed", {"StateMachineArn": world.machine}, since)
    if counted < len(died):
        found.append(f"{len(died)} executions failed, the metric counts {counted}")
    if any(run.outcome == "stuck" for run in runs) and not _sum(world, "Lockgate", "Stuck", {}, since):
        found.append("versions are stuck, and the metric Lockgate/Stuck says nothing")
    return found


def _sum(world: World, namespace: str, metric: str, dimensions: dict[str, str], since: datetime) -> float:
    """The sum of a metric that some alarm looks at; 0 when none does."""
    cloudwatch = world.client("cloudwatch")
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    alarms = cloudwatch.describe_alarms_for_metric(Namespace=namespace, MetricName=metric, Dimensions=named)
    if not [alarm for alarm in alarms["MetricAlarms"] if alarm["AlarmActions"]]:
        return 0.0
    points: list[dict[str, Any]] = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=named,
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))
