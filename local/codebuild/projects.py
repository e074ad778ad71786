"""CodeBuild whose builds really run: source from S3 with the service role, the buildspec's commands in a shell."""

from __future__ import annotations

import contextvars
import copy
import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.core.router import extract_access_key_id
from ministack.services import codebuild
from ministack.services.cloudformation import provisioners

from local.clock import CLOCK, Thread
from local.codebuild.build import BuildRun
from local.eventbridge.service_events import emit
from local.iam.resources import judge_on
from local.seams import handler_of, rebind, wrap
from local.settings import Settings

_OVERRIDES = {
    "projectName",
    "sourceVersion",
    "sourceTypeOverride",
    "sourceLocationOverride",
    "buildspecOverride",
    "environmentVariablesOverride",
    "timeoutInMinutesOverride",
    "serviceRoleOverride",
    "idempotencyToken",
}

_running: dict[str, BuildRun] = {}
# (account, idempotency token) -> build id: a repeated StartBuild answers with the first build.
_started: dict[tuple[str, str], str] = {}
_stop_build = codebuild._stop_build
_handle_request = codebuild.handle_request
_project_create = provisioners._codebuild_project_create
_project_update = provisioners._codebuild_project_update
_caller: contextvars.ContextVar[str] = contextvars.ContextVar("codebuild_caller", default="")


def install(settings: Settings) -> None:
    """Extend the emulator's CodeBuild in place."""

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        _caller.set(extract_access_key_id(headers, query))
        return await _handle_request(method, path, headers, body, query)

    rebind("services.codebuild.handle_request", handle)
    rebind("services.codebuild._start_build", lambda request: _start(request, settings))
    rebind("services.codebuild._stop_build", _stop)
    own = {"create": _create_from_template, "update": _update_from_template}
    wrap(handler_of("AWS::CodeBuild::Project"), lambda handler: {**handler, **own})
    judge_on("codebuild", _project_of)


def _project_of(headers: Mapping[str, str], body: bytes, region: str, account: str) -> str:
    """AWS authorizes what names builds on their project: the id of a build begins with its name."""
    request = json.loads(body or b"{}")
    build = next(iter(request.get("ids", [])), request.get("id", ""))
    project = build.rpartition("/")[2].partition(":")[0] or next(iter(request.get("names", [])), "")
    return f"arn:aws:codebuild:{region}:{account}:project/{project}" if project else ""


def _start(request: dict[str, Any], settings: Settings) -> Any:
    name = request.get("projectName", "")
    if name not in codebuild._projects:
        return error_response_json("ResourceNotFoundException", f"Project cannot be found: {name}", 400)
    unknown = sorted(set(request) - _OVERRIDES)
    if unknown:
        return error_response_json("InvalidInputException", f"{unknown[0]} is not supported here", 400)
    token = (get_account_id(), request.get("idempotencyToken", ""))
    if token[1] and token in _started:
        return json_response({"build": codebuild._builds[_started[token]]})
    project = _overridden(codebuild._projects[name], request)
    build = _record(project, request.get("sourceVersion") or project.get("sourceVersion"))
    codebuild._builds[build["id"]] = build
    if token[1]:
        _started[token] = build["id"]
    account, region = get_account_id(), get_region()
    run = BuildRun(build, project, account, region, settings, lambda: _announce(build, account, region))
    _running[build["id"]] = run
    answer = copy.deepcopy(build)
    context = contextvars.copy_context()
    Thread(target=context.run, args=(run.perform,), daemon=True, name=f"codebuild-{name[:16]}").start()
    return json_response({"build": answer})


def _overridden(project: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The project as this one build sees it."""
    changed = copy.deepcopy(dict(project))
    source = changed["source"]
    for key, override in (
        ("type", "sourceTypeOverride"),
        ("location", "sourceLocationOverride"),
        ("buildspec", "buildspecOverride"),
    ):
        source[key] = request.get(override, source.get(key, ""))
    changed["timeoutInMinutes"] = request.get("timeoutInMinutesOverride", changed["timeoutInMinutes"])
    changed["serviceRole"] = request.get("serviceRoleOverride", changed["serviceRole"])
    variables = {v["name"]: v for v in changed["environment"].get("environmentVariables") or []}
    variables |= {v["name"]: v for v in request.get("environmentVariablesOverride") or []}
    changed["environment"]["environmentVariables"] = list(variables.values())
    return changed


def _record(project: dict[str, Any], source_version: str | None) -> dict[str, Any]:
    build: dict[str, Any] = codebuild._make_build_record(project, codebuild._build_id(project["name"]))
    now = CLOCK.now()
    del build["endTime"]
    del build["sourceVersion"]
    if source_version:
        build["sourceVersion"] = source_version
    logs = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    group = logs.get("groupName") or build["logs"]["groupName"]
    prefix = f"{logs['streamName']}/" if logs.get("streamName") else ""
    stream = prefix + build["id"].rpartition(":")[2]
    return build | {
        "buildStatus": "IN_PROGRESS",
        "buildComplete": False,
        "currentPhase": "QUEUED",
        "startTime": now,
        "phases": [
            {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED", "startTime": now, "endTime": now},
            {"phaseType": "QUEUED", "startTime": now},
        ],
        "serviceRole": project["serviceRole"],
        "initiator": _initiator(),
        "logs": {
            "groupName": group,
            "streamName": stream,
            "cloudWatchLogsArn": f"{codebuild_log_arn(group)}:log-stream:{stream}",
        },
        "exportedEnvironmentVariables": [],
    }


def codebuild_log_arn(group: str) -> str:
    return f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}"


def _initiator() -> str:
    """Who asked, as CodeBuild shows it: `role/session` of an assumed role, else the end of the caller's ARN."""
    from ministack.core.iam_evaluator import resolve_caller_identity

    identity = resolve_caller_identity(_caller.get())
    arn = identity["userArn"] if identity else "root"
    return str(arn.partition(":assumed-role/")[2] or arn.rpartition(":")[2])


def _stop(request: dict[str, Any]) -> Any:
    run = _running.get(request.get("id", ""))
    if run is None or run.build is not codebuild._builds.get(request["id"]):
        return _stop_build(request)
    run.stop()
    return json_response({"build": copy.deepcopy(run.build)})


def _announce(build: Mapping[str, Any], account: str, region: str) -> None:
    """The state change event. Its build-id is the build's ARN, as on AWS."""
    source = build["source"]
    detail = {
        "build-status": build["buildStatus"],
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "additional-information": {
            "build-number": build["buildNumber"],
            "build-complete": build["buildComplete"],
            "timeout-in-minutes": build["timeoutInMinutes"],
            "initiator": build["initiator"],
            "build-start-time": time.strftime("%b %d, %Y %I:%M:%S %p", time.gmtime(build["startTime"])),
            "source": {key: source[key] for key in ("type", "location") if key in source},
            "source-version": build.get("sourceVersion", ""),
            "logs": {"group-name": build["logs"]["groupName"], "stream-name": build["logs"]["streamName"]},
            "exported-environment-variables": build["exportedEnvironmentVariables"],
            "phases": [
                {
                    "phase-type": phase["phaseType"],
                    "phase-status": phase.get("phaseStatus", "IN_PROGRESS"),
                    "phase-context": [f"{c['statusCode']}: {c['message']}" for c in phase.get("contexts", [])],
                    "duration-in-seconds": phase.get("durationInSeconds", 0),
                }
                for phase in build["phases"]
            ],
        },
        "current-phase": build["currentPhase"],
        "current-phase-context": json.dumps(build["phases"][-1].get("contexts", [])),
        "version": "1",
    }
    emit("aws.codebuild", "CodeBuild Build State Change", detail, [build["arn"]], account, region)


def _with_logs(name: str, props: Mapping[str, Any]) -> None:
    if "LogsConfig" in props:
        codebuild._projects[name]["logsConfig"] = provisioners._pascal_to_camel(props["LogsConfig"])


def _create_from_template(logical_id: str, props: dict[str, Any], stack: str) -> Any:
    name, attributes = _project_create(logical_id, props, stack)
    _with_logs(name, props)
    return name, attributes


def _update_from_template(name: str, *args: Any) -> Any:
    updated, attributes = _project_update(name, *args)
    _with_logs(updated, args[1])
    return updated, attributes
