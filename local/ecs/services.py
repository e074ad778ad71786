"""ECS whose services really run: the emulator keeps the records, our scheduler and tasks do the work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.concurrency import spawn_background
from ministack.core.responses import error_response_json, json_response
from ministack.services import ecs
from ministack.services.cloudformation import provisioners

from local.clock import CLOCK
from local.ecs import deployments, metadata, tasks, traffic
from local.ecs.records import ServiceDeployment, deployment_arn, revision_arn
from local.elbv2 import targets
from local.iam.resources import judge_on
from local.seams import handler_of, rebind, wrap
from local.settings import Settings

_create_service = ecs._create_service
_update_service = ecs._update_service
_delete_service = ecs._delete_service
_mark_task_stopped = ecs._mark_task_stopped
_mark_task_running = ecs._mark_task_running
_task_definition_create = provisioners._ecs_task_def_create

_INTEGERS = {
    "desiredCount",
    "healthCheckGracePeriodSeconds",
    "containerPort",
    "hostPort",
    "maximumPercent",
    "minimumHealthyPercent",
    "bakeTimeInMinutes",
    "canaryBakeTimeInMinutes",
    "stepBakeTimeInMinutes",
    "stopTimeout",
    "startTimeout",
    "sizeInGiB",
    "timeoutInMinutes",
}
_NUMBERS = {"canaryPercent", "stepPercent"}
_BOOLEANS = {
    "essential",
    "enable",
    "rollback",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "readonlyRootFilesystem",
}
# Keys of these maps are the user's own words.
_FREE_MAPS = {"options", "dockerLabels", "hookDetails"}


def install(settings: Settings) -> None:
    """Extend the emulator's ECS, and its CloudFormation types, in place."""

    def run(
        task: dict[str, Any], definition: Mapping[str, Any], overrides: Any, _: object, account: str, region: str
    ) -> None:
        tasks.start(task, definition, overrides, account, region, settings)

    metadata.install()
    CLOCK.probe(tasks.busy)
    # Any true value makes the emulator start tasks through its worker, which is ours.
    rebind("services.ecs._get_docker", lambda: "processes")
    rebind("services.ecs._run_task_worker", run)
    rebind("services.ecs._cleanup_task_resources", _clean_up)
    rebind("services.ecs._maybe_mark_stopped", lambda *_: None)
    rebind("services.ecs._mark_task_stopped", _stopped)
    rebind("services.ecs._mark_task_running", _started)
    rebind("services.ecs._record_service_task_failure", deployments.task_failed)
    rebind("services.ecs._sync_service_targets", lambda *_: None)
    rebind("services.ecs._reconcile_service_tasks", deployments.reconcile)
    for call, own in {
        "create": _checked(_create_service),
        "update": _checked(_update_service),
        "delete": _told(_delete_service),
    }.items():
        rebind(f"services.ecs._{call}_service", own)
        rebind(f"services.ecs._ACTION_MAP[{call.capitalize()}Service]", own)
    rebind("services.ecs._ACTION_MAP[ListServiceDeployments]", _list_deployments)
    rebind("services.ecs._ACTION_MAP[DescribeServiceDeployments]", _describe_deployments)
    rebind("services.ecs._ACTION_MAP[DescribeServiceRevisions]", _describe_revisions)
    rebind("services.ecs._ACTION_MAP[StopServiceDeployment]", _stop_deployment)
    rebind("services.cloudformation.provisioners._ecs_task_def_create", _create_task_definition)
    definitions = {"create": _create_task_definition}
    wrap(handler_of("AWS::ECS::TaskDefinition"), lambda handler: {**handler, **definitions})
    services = {"create": _create_from_template, "update": _update_from_template}
    wrap(handler_of("AWS::ECS::Service"), lambda handler: {**handler, **services})
    wrap("services.cloudformation.stacks._runs_on_worker_thread", _also_services)
    wrap("services.cloudformation.stacks._sends_back_failed_update", _also_services)
    judge_on("ecs", _named_service)


def _named_service(headers: Mapping[str, str], body: bytes, region: str, account: str) -> str:
    """IAM judges a request that names services on the (first) service, as AWS does, and not on the cluster."""
    request = json.loads(body or b"{}")
    named = request.get("serviceDeploymentArn") or next(
        iter(request.get("serviceDeploymentArns") or request.get("serviceRevisionArns") or []), ""
    )
    if named:
        return str(named)
    service = str(request.get("service") or next(iter(request.get("services") or []), ""))
    if not service or service.startswith("arn:"):
        return service
    cluster = ecs._resolve_cluster_name(request.get("cluster", "default"))
    return f"arn:aws:ecs:{region}:{account}:service/{cluster}/{service}"


def _also_services(original: Callable[[str], bool]) -> Callable[[str], bool]:
    """What the emulator's CloudFormation does for some types, for services too.

    It waits for them outside the gateway, which their tasks need; and a service whose update failed is sent back its
    former properties, as on AWS: ECS may have gone back by itself, but keeps what else the update changed.
    """
    return lambda kind: kind == "AWS::ECS::Service" or original(kind)


def _clean_up(task: Mapping[str, Any], *_: object) -> None:
    spawn_background(tasks.end, task["taskArn"], thread_name=f"ecs-end-{task['taskArn'][-8:]}")


def _stopped(task_arn: str, task: dict[str, Any], *args: Any, **kwargs: Any) -> bool:
    changed: bool = _mark_task_stopped(task_arn, task, *args, **kwargs)
    if changed:
        tasks.announce(task)
    return changed


def _started(task_arn: str, task: dict[str, Any]) -> bool:
    changed: bool = _mark_task_running(task_arn, task)
    if changed:
        tasks.announce(task)
    return changed


def _told(delete: Any) -> Any:
    """Let the scheduler of a service see that it was deleted, also where no task ends because of it."""

    def deleted(request: dict[str, Any]) -> Any:
        answer = delete(request)
        targets.changes.happened()
        return answer

    return deleted


def _checked(call: Any) -> Any:
    """Refuse what ECS refuses, and say what is accepted without effect, before a service is created or updated."""

    def checked(request: dict[str, Any]) -> Any:
        if "service" in request and not _is_active(request):
            return error_response_json("ServiceNotActiveException", "Service was not ACTIVE.", 400)
        complaint = traffic.problem(request)
        if complaint:
            return error_response_json("InvalidParameterException", complaint, 400)
        return call(request)

    return checked


def _is_active(request: Mapping[str, Any]) -> bool:
    """Whether the service that a request names has not been deleted; the emulator says what it does not know."""
    cluster = ecs._resolve_cluster_name(request.get("cluster", "default"))
    record = ecs._services.get(f"{cluster}/{request['service'].rsplit('/', 1)[-1]}")
    return record is None or record["status"] == "ACTIVE"


def _list_deployments(request: Mapping[str, Any]) -> Any:
    name = request["service"].rsplit("/", 1)[-1]
    cluster = ecs._resolve_cluster_name(request.get("cluster", "default"))
    record = ecs._services.get(f"{cluster}/{name}")
    if record is None:
        return error_response_json("ServiceNotFoundException", "Service not found.", 400)
    briefs = [_brief(record, release) for release in deployments.releases_of(record["serviceArn"])]
    wanted = request.get("status")
    return json_response({"serviceDeployments": [each for each in briefs if not wanted or each["status"] in wanted]})


def _describe_deployments(request: Mapping[str, Any]) -> Any:
    known = {
        deployment_arn(record, release): {
            name: value for name, value in _brief(record, release).items() if name != "targetServiceRevisionArn"
        }
        | {
            "lifecycleStage": release.stage,
            "targetServiceRevision": {
                "arn": revision_arn(record, release),
                "requestedProductionTrafficWeight": float(release.production),
            },
            "alarms": {"triggeredAlarmNames": list(release.triggered)},
            "deploymentConfiguration": record["deploymentConfiguration"],
            "updatedAt": release.finished or release.started,
        }
        for record in ecs._services.values()
        for release in deployments.releases_of(record["serviceArn"])
    }
    wanted = request["serviceDeploymentArns"]
    return json_response(
        {
            "serviceDeployments": [known[arn] for arn in wanted if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in wanted if arn not in known],
        }
    )


def _describe_revisions(request: Mapping[str, Any]) -> Any:
    known = {
        revision_arn(record, release): {
            "serviceRevisionArn": revision_arn(record, release),
            "serviceArn": record["serviceArn"],
            "clusterArn": record["clusterArn"],
            "taskDefinition": release.record["taskDefinition"],
            "createdAt": release.started,
            "resolvedConfiguration": {
                "loadBalancers": [
                    {"targetGroupArn": route.new, "productionListenerRule": route.production or ""}
                    for route in release.routes
                ]
            },
        }
        for record in ecs._services.values()
        for release in deployments.releases_of(record["serviceArn"])
    }
    wanted = request["serviceRevisionArns"]
    return json_response(
        {
            "serviceRevisions": [known[arn] for arn in wanted if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in wanted if arn not in known],
        }
    )


def _stop_deployment(request: Mapping[str, Any]) -> Any:
    arn = str(request["serviceDeploymentArn"])
    service = arn.rpartition("/")[0].replace(":service-deployment/", ":service/")
    if not deployments.stop(service, arn, request.get("stopType") or "ROLLBACK"):
        return error_response_json("ConflictException", f"The service deployment {arn} does not run.", 400)
    return json_response({"serviceDeploymentArn": arn})


def _brief(record: Mapping[str, Any], release: ServiceDeployment) -> dict[str, Any]:
    finished = {"finishedAt": release.finished} if release.finished else {}
    return {
        "serviceDeploymentArn": deployment_arn(record, release),
        "targetServiceRevisionArn": revision_arn(record, release),
        "serviceArn": record["serviceArn"],
        "clusterArn": record["clusterArn"],
        "startedAt": release.started,
        "createdAt": release.started,
        "status": release.status,
        "statusReason": release.record["rolloutStateReason"],
        **finished,
    }


def _api(template: Any) -> Any:
    """A template's properties in the API's spelling and types: parameters reach us as text."""
    if isinstance(template, list):
        return [_api(each) for each in template]
    if not isinstance(template, dict):
        return template
    return {(key := name[:1].lower() + name[1:]): _value(key, value) for name, value in template.items()}


def _value(key: str, value: Any) -> Any:
    if key in _FREE_MAPS:
        return value
    if key in _INTEGERS:
        return int(value)
    if key in _NUMBERS:
        return float(value)
    if key in _BOOLEANS:
        return str(value).lower() == "true"
    return _api(value)


def _create_task_definition(logical_id: str, props: dict[str, Any], stack: str) -> Any:
    arn, attributes = _task_definition_create(logical_id, props, stack)
    definition = ecs._task_defs[arn.rpartition("/")[2]]
    definition["containerDefinitions"] = _api(props["ContainerDefinitions"])
    for name in ("Volumes", "RuntimePlatform", "EphemeralStorage"):
        if name in props:
            definition[name[:1].lower() + name[1:]] = _api(props[name])
    return arn, attributes


def _create_from_template(logical_id: str, props: dict[str, Any], stack: str) -> Any:
    request = _api(props)
    request.setdefault("serviceName", f"{stack}-{logical_id}")
    service = _call(ecs._create_service, request)
    arn = service["serviceArn"]
    try:
        _wait(arn)
    except ValueError:
        ecs._delete_service({"cluster": request.get("cluster", "default"), "service": arn, "force": True})
        raise
    return arn, {"ServiceArn": arn, "Name": service["serviceName"]}


def _update_from_template(arn: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Any:
    """CloudFormation sends all properties, changed or not: what somebody changed past it, such as the task definition,
    is put back as soon as anything of the service changes.
    """
    newest = deployments.releases_of(arn)[0]
    _call(ecs._update_service, {"cluster": "default", **_api(new), "service": arn})
    if deployments.releases_of(arn)[0] is not newest:
        _wait(arn)
    return arn, {"ServiceArn": arn, "Name": arn.rpartition("/")[2]}


def _call(operation: Any, request: dict[str, Any]) -> dict[str, Any]:
    status, _, body = operation(request)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(f'Resource handler returned message: "{answer.get("message")}" ({answer.get("__type")})')
    service: dict[str, Any] = answer["service"]
    return service


def _wait(arn: str) -> None:
    """As CloudFormation: the resource is complete when the deployment is, and failed when it failed."""
    release = deployments.settled(arn)
    if release is None or release.status != "SUCCESSFUL":
        reason = "the service was deleted" if release is None else release.record["rolloutStateReason"]
        raise ValueError(
            f"Resource handler returned message: \"Error occurred during operation '{reason}'.\" "
            "(HandlerErrorCode: GeneralServiceException)"
        )
