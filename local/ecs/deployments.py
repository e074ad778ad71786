"""The ECS service scheduler: keeps the desired count, and carries each deployment to COMPLETED or FAILED.

One thread per service. A deployment starts its tasks beside the old ones, waits until every one is healthy in its
target group, shifts test and production traffic, bakes, and only then ends the old tasks; at each stage it calls the
service's lifecycle hooks. A task that keeps ending, a target that is not healthy in time, a hook, an alarm that was not
in ALARM before, somebody who stops it or a newer deployment ends it: traffic goes back, the old tasks stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, ecs

from local.clock import CLOCK, Thread
from local.ecs import hooks
from local.ecs import tasks as ecs_tasks
from local.ecs.hooks import HookError
from local.ecs.records import ScheduledService, ServiceDeployment, deployment_arn, revision_arn
from local.ecs.traffic import refusal, routes, traffic_steps
from local.elbv2 import load_balancers, targets
from local.eventbridge.service_events import emit
from local.iam.roles import RoleRefusedError
from local.settings import HOST

_log = logging.getLogger("ecs")

# As on AWS, where CloudFormation gives a service three hours, and nothing else ends a deployment that hangs.
HEALTHY_WITHIN = 3 * 3600.0
_MOST_FAILURES = 3
# A task that failed is replaced after so long, twice as long after each further failure.
_REPLACED, _REPLACED_AT_LAST = 6.0, 600.0
_LIVE = ecs._PRE_STOP_STATUSES


class DeploymentError(Exception):
    """A deployment cannot go on; the message is the end of its rolloutStateReason."""


_services: dict[str, ScheduledService] = {}


def reconcile(cluster: str, key: str) -> None:
    """Called by the emulator after every change of a service: let its scheduler look again."""
    _wake()
    record = ecs._services.get(key)
    if record is None or record["status"] != "ACTIVE":
        return
    known = _services.get(record["serviceArn"])
    if known is None or known.record is not record:
        service = ScheduledService(key, record, get_account_id(), get_region())
        _services[record["serviceArn"]] = service
        _begin(service, record["deployments"][0])
        Thread(target=_schedule, args=(service,), name=f"service {record['serviceName']}", daemon=True).start()
    elif (newest := ecs._primary_deployment(record)) and newest["id"] not in known.releases:
        _begin(known, newest)
    _wake()


def task_failed(task: Mapping[str, Any]) -> None:
    """Count the end of a task that nobody asked for against its deployment, and hold its replacement back."""
    for service in list(_services.values()):
        release = service.releases.get(task.get("_deployment_id") or "")
        if release is not None:
            release.failures += 1
            release.record["failedTasks"] = release.failures
            release.last_failure = task["stoppedReason"]
            release.retry_at = CLOCK.now() + min(_REPLACED * 2**release.failures, _REPLACED_AT_LAST)
    _wake()


def releases_of(service_arn: str) -> list[ServiceDeployment]:
    """Every deployment of a service, newest first."""
    service = _services.get(service_arn)
    return list(reversed(service.releases.values())) if service else []


def settled(service_arn: str) -> ServiceDeployment | None:
    """Wait until the newest deployment of a service has ended, and return it; None if the service is gone."""
    service = _services[service_arn]
    while True:
        seen = targets.changes.count
        if not service.active:
            return None
        newest = releases_of(service_arn)[0]
        if newest.finished is not None:
            return newest
        targets.changes.wait(seen)


def _begin(service: ScheduledService, record: dict[str, Any]) -> None:
    service.releases[record["id"]] = ServiceDeployment(record)
    record["rolloutState"] = "IN_PROGRESS"
    record["rolloutStateReason"] = f"ECS deployment {record['id']} in progress."
    _announce(service, record, "INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS")


def _wake() -> None:
    targets.changes.happened()


def _schedule(service: ScheduledService) -> None:
    with request_scope(service.account, service.region):
        while service.active:
            seen = targets.changes.count
            newest = list(service.releases.values())[-1]
            if newest.finished is None:
                _deploy(service, newest)
                continue
            if service.live is not None:
                _tend(service, service.live)
            retry_at = service.live.retry_at if service.live else 0.0
            targets.changes.wait(seen, retry_at if retry_at > CLOCK.now() else None, drives=True)
        _end_tasks_except(service, None, "Service deleted")


def _deploy(service: ScheduledService, release: ServiceDeployment) -> None:
    configuration = service.record.get("deploymentConfiguration") or {}
    shifted = False
    try:
        release.ignored = frozenset(_in_alarm(service.record))  # before anybody is told that it has begun
        release.status = "IN_PROGRESS"
        if service.live is not None:
            _stage(service, release, "RECONCILE_SERVICE")
        _stage(service, release, "PRE_SCALE_UP")
        if complaint := refusal(service.record):
            raise DeploymentError(complaint)
        release.routes = routes(service.record, first=service.live is None)
        release.stage = "SCALE_UP"
        _until(
            service,
            release,
            lambda: _all_healthy(service, release),
            HEALTHY_WITHIN,
            "tasks did not become healthy",
            lambda: _steady_at(service, release),
        )
        _stage(service, release, "POST_SCALE_UP")
        shifted = True
        for route in release.routes:
            route.shift_test(100)
        _stage(service, release, "TEST_TRAFFIC_SHIFT", test=100)
        _stage(service, release, "POST_TEST_TRAFFIC_SHIFT")
        for percent, minutes in traffic_steps(configuration, first=service.live is None):
            _stage(service, release, "PRE_PRODUCTION_TRAFFIC_SHIFT", production=release.production)
            for route in release.routes:
                route.shift_production(percent)
            release.production = percent
            _stage(service, release, "PRODUCTION_TRAFFIC_SHIFT", production=percent)
            if percent == 100:
                _stage(service, release, "POST_PRODUCTION_TRAFFIC_SHIFT")
            release.stage = "BAKE_TIME"
            _bake(service, release, minutes * 60)
    except (DeploymentError, HookError, RoleRefusedError, KeyError) as error:
        if shifted and service.live is not None:
            for route in release.routes:
                route.shift_test(0)
                route.shift_production(0)
        _fail(service, release, str(error))
    except Exception as error:
        # The end of a thread: without it a stack would wait for ever for a deployment that nobody carries on.
        _log.exception("deployment %s", release.id)
        _fail(service, release, f"{type(error).__name__}: {error}")
    else:
        _complete(service, release)


def _stage(
    service: ScheduledService,
    release: ServiceDeployment,
    stage: str,
    *,
    test: int | None = None,
    production: int | None = None,
) -> None:
    """Come to a stage and call its hooks; `test` and `production` are the percents that the event tells."""
    release.stage = stage
    execution = {
        "serviceArn": service.record["serviceArn"],
        "targetServiceRevisionArn": revision_arn(service.record, release),
        "testTrafficWeights": _weights(service, release, test),
        "productionTrafficWeights": _weights(service, release, production),
    }

    def wait(condition: Callable[[], bool], within: float, complaint: str, due: float | None) -> None:
        _until(service, release, condition, within, complaint, lambda: due)

    hooks.run(service.record, stage, execution, deployment_arn(service.record, release), wait)


def _weights(service: ScheduledService, release: ServiceDeployment, percent: int | None) -> dict[str, int]:
    if percent is None:
        return {}
    weights = {revision_arn(service.record, release): percent}
    if service.live is not None:
        weights[revision_arn(service.record, service.live)] = 100 - percent
    return weights


def stop(service_arn: str, deployment: str, stop_type: str) -> bool:
    """StopServiceDeployment: end a deployment that runs, back to what served before. False when it does not run."""
    service = _services.get(service_arn)
    for release in service.releases.values() if service else ():
        if service and deployment_arn(service.record, release) == deployment and release.finished is None:
            release.stopped = f"it was stopped by StopServiceDeployment ({stop_type})"
            _wake()
            return True
    return False


def _complete(service: ScheduledService, release: ServiceDeployment) -> None:
    release.stage = "CLEAN_UP"
    service.live = release
    record = release.record
    record["rolloutState"], record["updatedAt"] = "COMPLETED", ecs._iso()
    record["rolloutStateReason"] = f"ECS deployment {release.id} completed."
    _end_tasks_except(service, release, "Scaling activity initiated by deployment")
    service.record["deployments"] = [
        each for each in service.record["deployments"] if each is record or not service.ended(each["id"])
    ]
    service.say(f"(deployment {release.id}) deployment completed.")
    service.say("has reached a steady state.")
    _finish(service, release, "SUCCESSFUL", "INFO", "SERVICE_DEPLOYMENT_COMPLETED")


def _fail(service: ScheduledService, release: ServiceDeployment, reason: str) -> None:
    """Leave what served before; on AWS too the service then points at its last completed deployment."""
    record = release.record
    record["rolloutState"], record["updatedAt"] = "FAILED", ecs._iso()
    record["rolloutStateReason"] = f"ECS deployment {release.id} failed: {reason}"
    _end_tasks_except(service, service.live, "Deployment failed")
    if service.live is not None and ecs._primary_deployment(service.record) is record:
        record["status"], record["desiredCount"] = "ACTIVE", 0
        service.live.record["status"] = "PRIMARY"
        service.record["deployments"].remove(service.live.record)
        service.record["deployments"].insert(0, service.live.record)
        service.record["taskDefinition"] = service.live.record["taskDefinition"]
    service.say(f"(deployment {release.id}) deployment failed: {reason}")
    if release.stopped:
        status = "STOPPED" if service.live is None else "ROLLBACK_SUCCESSFUL"
    else:
        status = "ROLLBACK_SUCCESSFUL" if service.live is not None else "ROLLBACK_FAILED"
    _finish(service, release, status, "ERROR", "SERVICE_DEPLOYMENT_FAILED")


def _finish(service: ScheduledService, release: ServiceDeployment, status: str, event_type: str, event: str) -> None:
    release.status, release.finished = status, CLOCK.now()
    _announce(service, release.record, event_type, event)
    _wake()


def _announce(service: ScheduledService, record: Mapping[str, Any], event_type: str, event: str) -> None:
    detail = {
        "eventType": event_type,
        "eventName": event,
        "deploymentId": record["id"],
        "updatedAt": record["updatedAt"],
        "reason": record["rolloutStateReason"],
    }
    emit(
        "aws.ecs",
        "ECS Deployment State Change",
        detail,
        [service.record["serviceArn"]],
        service.account,
        service.region,
    )


def _bake(service: ScheduledService, release: ServiceDeployment, seconds: float) -> None:
    """Keep both task sets for `seconds`; the new one has to stay healthy all the time."""
    until = CLOCK.now() + seconds

    def over() -> bool:
        if not _all_healthy(service, release) and release.failures:
            raise DeploymentError(f"a task ended during the bake time: {release.last_failure}")
        return CLOCK.now() >= until

    _until(service, release, over, seconds + HEALTHY_WITHIN, "tasks did not stay healthy", lambda: until)


def _until(
    service: ScheduledService,
    release: ServiceDeployment,
    reached: Callable[[], bool],
    within: float,
    complaint: str,
    due: Callable[[], float | None],
) -> None:
    """Tend both task sets until `reached`, which may change at `due`, or with what happens to tasks, targets, alarms.

    Raises DeploymentError when something speaks against going on.
    """
    deadline = CLOCK.now() + within
    while True:
        seen = targets.changes.count
        if not service.active:
            raise DeploymentError("the service was deleted.")
        if ecs._primary_deployment(service.record) is not release.record:
            raise DeploymentError("a newer deployment took its place.")
        if release.failures >= _MOST_FAILURES:
            raise DeploymentError(f"tasks failed to start: {release.last_failure}")
        if release.stopped:
            raise DeploymentError(release.stopped)
        release.triggered = tuple(name for name in _in_alarm(service.record) if name not in release.ignored)
        if release.triggered:
            raise DeploymentError(f"alarms in ALARM state: {', '.join(release.triggered)}")
        for each in (service.live, release):
            if each is not None:
                _tend(service, each)
        if reached():
            return
        now = CLOCK.now()
        if now >= deadline:
            raise DeploymentError(f"{complaint} within {within:.0f} s: {_worst(release)}")
        moments = (due(), release.retry_at, service.live.retry_at if service.live else None)
        next_look = min((moment for moment in moments if moment and moment > now), default=deadline)
        targets.changes.wait(seen, min(next_look, deadline), drives=True)


def _tend(service: ScheduledService, release: ServiceDeployment) -> None:
    """Start missing tasks, end surplus ones, register those that run, replace those that turned unhealthy."""
    tasks = _tasks(service, release)
    desired = int(service.record["desiredCount"])
    missing = desired - len(tasks)
    if missing > 0 and CLOCK.now() >= release.retry_at:
        ecs._run_task(
            {
                "cluster": service.cluster,
                "taskDefinition": release.record["taskDefinition"],
                "count": missing,
                "group": f"service:{service.record['serviceName']}",
                "startedBy": release.id,
                "launchType": service.record.get("launchType"),
                "capacityProviderStrategy": service.record.get("capacityProviderStrategy"),
                "networkConfiguration": service.record.get("networkConfiguration"),
                "_deploymentId": release.id,
            }
        )
    for task in tasks[desired:] if missing < 0 else ():
        _stop(service, task, "Scaling activity initiated by service scheduler")
    for task in tasks:
        running = ecs_tasks.of(task["taskArn"])
        if task["lastStatus"] == "RUNNING" and running is not None:
            _register(release, running)
            if release is service.live and any(target.state == "unhealthy" for target in running.targets):
                _stop(service, task, "Task failed ELB health checks")
                service.say(f"task {task['taskArn'].rsplit('/', 1)[-1]} failed ELB health checks")


def _register(release: ServiceDeployment, running: ecs_tasks.Running) -> None:
    for route in release.routes:
        port = running.ports.get((route.container, route.port))
        if port is not None and not any(target.group == route.new for target in running.targets):
            running.targets.append(load_balancers.register(route.new, HOST, port))


def _tasks(service: ScheduledService, release: ServiceDeployment) -> list[dict[str, Any]]:
    """Tasks of a release that have not stopped, oldest first."""
    return [
        task
        for task in ecs._tasks.values()
        if task.get("_deployment_id") == release.id
        and task["lastStatus"] in _LIVE
        and task["clusterArn"] == service.record["clusterArn"]
    ]


def _all_healthy(service: ScheduledService, release: ServiceDeployment) -> bool:
    tasks = _tasks(service, release)
    return len(tasks) == int(service.record["desiredCount"]) and all(_healthy(task, release) for task in tasks)


def _healthy(task: Mapping[str, Any], release: ServiceDeployment) -> bool:
    running = ecs_tasks.of(task["taskArn"])
    if task["lastStatus"] != "RUNNING" or running is None:
        return False
    if release.routes:
        return len(running.targets) == len(release.routes) and all(t.state == "healthy" for t in running.targets)
    return CLOCK.now() >= running.since + ecs_tasks.STEADY


def _steady_at(service: ScheduledService, release: ServiceDeployment) -> float | None:
    """When tasks without load balancer will have run long enough; None where something else decides."""
    running = [ecs_tasks.of(task["taskArn"]) for task in _tasks(service, release)]
    return (
        max((each.since + ecs_tasks.STEADY for each in running if each), default=None) if not release.routes else None
    )


def _worst(release: ServiceDeployment) -> str:
    """What the targets of a release say, for the reason of its failure."""
    said = {
        f"{target.reason} ({target.description})"
        for route in release.routes
        for target in targets.of(route.new)
        if target.state in ("initial", "unhealthy")
    }
    return "; ".join(sorted(said)) or release.last_failure or "no task is running"


def _end_tasks_except(service: ScheduledService, kept: ServiceDeployment | None, reason: str) -> None:
    for release in service.releases.values():
        if release is not kept:
            for task in _tasks(service, release):
                _stop(service, task, reason)


def _stop(service: ScheduledService, task: Mapping[str, Any], reason: str) -> None:
    ecs._stop_task({"cluster": service.cluster, "task": task["taskArn"], "reason": reason})


def _in_alarm(record: Mapping[str, Any]) -> Sequence[str]:
    watched = (record.get("deploymentConfiguration") or {}).get("alarms") or {}
    if not watched.get("enable"):
        return []
    return [
        name
        for name in watched.get("alarmNames", [])
        if (cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}).get("StateValue") == "ALARM"
    ]
