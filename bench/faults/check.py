"""What must hold after any number of runs, whatever was injected; each breach is a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bench.faults.runs import Run
from bench.faults.world import Administrators
from lockgate import clock, names
from lockgate.aws.deployments import Deployments
from lockgate.aws.promotions import attempts
from lockgate.ledger.approval import approvers
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import ApprovalRequest, BreakGlass, Verdict
from lockgate.release.comparison import differences
from lockgate.release.reconcile import version_of

# What may not happen, as the report names it.
LOST = "lost"
DIFFERENT = "live and not what the ledger says"
UNJUSTIFIED = "served without a passing verdict or a break-glass"
REFUSED = "refused because of a fault"
SILENT = "stuck or dead without an alarm"
METRICS = {"FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut", "ABORTED": "ExecutionsAborted"}
BREACHES = (LOST, DIFFERENT, UNJUSTIFIED, REFUSED, SILENT)


def breaches(world: Administrators, runs: Sequence[Run], since: datetime) -> dict[str, list[str]]:
    """Every breach there is, of each kind: none, unless something is wrong."""
    chain = world.chain()  # raises LedgerError where a record is missing, changed or out of place
    return {
        LOST: [f"run {run.seed}: version {run.version}: {run.why}" for run in runs if run.outcome == "lost"],
        DIFFERENT: [said for environment in world.environments for said in _reality(world, chain, environment)],
        UNJUSTIFIED: [said for environment in world.environments for said in _served(world, chain, environment)],
        REFUSED: [said for run in runs if run.outcome == "refused" for said in refusals(chain, run)],
        SILENT: silent(world, runs, since),
    }


def refusals(chain: ReleaseChain, run: Run) -> list[str]:
    """What is promoted is a copy of a version that passes: what fails, or cannot be judged, does so by a fault."""
    bad = [each.entry for each in chain.of(Verdict, run.version) if each.entry.body.outcome != "passed"]
    said = [f"{entry.environment} {entry.body.outcome}: {entry.body.reasons}" for entry in bad]
    return [f"run {run.seed}: version {run.version}: {'; '.join(said) or 'no verdict refused it'}"]


def _reality(world: Administrators, chain: ReleaseChain, environment: str) -> list[str]:
    """Where the environment is not what the ledger says."""
    recorded = chain.live(environment)
    cloudformation, ecs = (world.client(service, environment) for service in ("cloudformation", "ecs"))
    cluster = names.cluster(environment)
    found = Deployments(cloudformation, ecs, environment, cluster, "").reality(world.model)
    said = differences(recorded.entry.body.release if recorded else None, found)
    return [f"{environment}: {sentence}" for sentence in said]


def _served(world: Administrators, chain: ReleaseChain, environment: str) -> list[str]:
    """Every task definition that ever was, and the verdict and approvals that let it through."""
    ecs = world.client("ecs", environment)
    found = []
    for status in ("ACTIVE", "INACTIVE"):
        family = names.release_stack(environment, world.model)
        pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status=status)
        for arn in [arn for page in pages for arn in page["taskDefinitionArns"]]:
            (container,) = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
            variables = {entry["name"]: entry["value"] for entry in container["environment"]}
            why = unjustified(chain, environment, variables, container["image"])
            found += [f"{environment}: {arn.rpartition('/')[2]}: {why}"] if why else []
    return found


def unjustified(chain: ReleaseChain, environment: str, variables: Mapping[str, str], image: str) -> str | None:
    """Why tasks of this release should never have run; None when they should."""
    name, version = variables["VERDICT_ID"], int(variables["RELEASE_VERSION"])
    if any(each.reference == name for each in chain.of(BreakGlass, version, environment)):
        return None
    verdict = next((each for each in chain.of(Verdict) if each.reference == name), None)
    if verdict is None:
        return f"{name} is no verdict"
    body = verdict.entry.body
    judged = (verdict.entry.environment, verdict.entry.version, body.outcome, body.model_sha256)
    if judged != (environment, version, "passed", variables["MODEL_DATA_SHA256"]):
        return f"{name} is about {judged}"
    if (body.image or "").rpartition("@")[2] != image.rpartition("@")[2]:
        return f"runs {image}, judged was {body.image}"
    requests = chain.of(ApprovalRequest, version, environment)
    given = max((len(approvers(chain, request)) for request in requests), default=0)
    return None if given >= body.approvals else f"{given} of {body.approvals} approvals"


def silent(world: Administrators, runs: Sequence[Run], since: datetime) -> list[str]:
    """Versions that came to a bad end of which no alarm would tell, and those that still run."""
    executions = attempts(world.client("stepfunctions"), world.machine, since=since)
    own = {run.version for run in runs}
    mine = [each for each in executions if version_of(world.model, each.name) in own]
    found = [f"{each.name} still runs" for each in mine if each.status == "RUNNING"]
    for status, metric in METRICS.items():
        died = sum(each.status == status for each in mine)
        counted = _sum(world, "AWS/States", metric, {"StateMachineArn": world.machine}, since) if died else 0
        if counted < died:
            found.append(f"{died} executions {status}, {metric} counts {counted}")
    if any(run.outcome == "stuck" for run in runs) and not _sum(world, "Lockgate", "Stuck", {}, since):
        found.append("versions are stuck, and the metric Lockgate/Stuck says nothing")
    return found


def _sum(world: Administrators, namespace: str, metric: str, dimensions: dict[str, str], since: datetime) -> float:
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
        EndTime=clock.now() + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))
