"""Changes what an environment serves; invoked by the promotion workflow, through the environment's promote role, and by
the environment's rollback function.

Event of a promotion: {"action": "start" | "status" | "stop", "model", "release": {version, commit, package_arn, image,
model_sha256, replay_sha256, policy_sha256, verdict_id}, "source": {bucket, key, version_id, replay: {bucket, key}},
"token"}.
Event of an operator: {"action": "rollback" | "restore", "model", "person", "user_arn", "reason", "token"}, then
{"action": "status", "model", "token"}. These need nothing but this account: the release comes from the journal.
Event of the environment's own schedule: {"action": "look", "model"}: an end that nobody waited for any more is
remembered, as status would have, and what is past its deadline is stopped; answers {"status": … or
"NOTHING"}.
token: one an attempt, letters, digits and dashes, a letter first, 128 at most (CloudFormation takes the same token
again for the same request and does nothing).
start answers {"status": "IN_PROGRESS", "deadline_minutes" (of what runs; then its caller asks for stop)};
rollback and restore {"status": "IN_PROGRESS", "from" (version or null), "to"}, or {"refused": why}, since a person's
vain request is no failure of the function;
status {"status": "IN_PROGRESS" | "SUCCEEDED" | "FAILED", "reason", "release" (all fields, as the stack pins it, or
null), "url", "place" (number of this end in the journal, or null)}. url: where the model's /ping and /invocations are.
A success stays one, whatever is live since; start remembers that of the update before, if nobody has asked for it yet.
stop, and look past the deadline that was configured when the attempt began, take its own update, if it still runs, back
to the release that served before; the end says that it was the deadline. A failure's reason begins with what lifecycle
hooks found and with the alarms that went off.
start raises BusyError (retry later: another update runs), NotFoundError (no release stack), RefusedError (never
retry; also a release that was rolled back from, or superseded by a newer one that is live, and while an alarm of the
service is in ALARM, which ECS would ignore for the whole deployment).

Environment:
    ENVIRONMENT         name of the environment
    RELEASES_BUCKET     its bucket of released model data (versioned) and of its journal
    RELEASES_REPOSITORY its repository of released images
    CLUSTER             name of its ECS cluster
    SERVICE_URL         https://<[service] host, or the name of the load balancer>
    RELEASE_ROLE_ARN    names.release_cloudformation_role, which CloudFormation assumes
Calls:
    cloudformation:CancelUpdateStack, ContinueUpdateRollback, DescribeStacks, DescribeStackEvents, ListStackResources,
    SetStackPolicy, UpdateStack
                              on stack/lockgate-<environment>-release-*/*
    iam:PassRole              on RELEASE_ROLE_ARN to cloudformation.amazonaws.com
    s3:ListBucket             on RELEASES_BUCKET; s3:GetObject, s3:PutObject (If-None-Match: *) on RELEASES_BUCKET/*
    s3:GetObjectVersion       on the tools models bucket's objects (its bucket policy must allow this role too)
    s3:GetObject              on the replay.json of the tools evidence bucket (likewise)
    kms:Decrypt               on the key of the tools models and evidence buckets
    kms:Decrypt, kms:GenerateDataKey   on the key of RELEASES_BUCKET
    ecr:BatchGetImage, GetDownloadUrlForLayer   on the tools models repository (its policy must allow this role too)
    ecr:BatchGetImage, BatchCheckLayerAvailability, CompleteLayerUpload, InitiateLayerUpload, PutImage, UploadLayerPart
                              on RELEASES_REPOSITORY
    cloudwatch:DescribeAlarmHistory, DescribeAlarms on alarm:lockgate-<environment>-release-*
    ecs:DescribeServices, ListServiceDeployments   on service/<cluster>/*
    ecs:StopServiceDeployment on service-deployment/<cluster>/*
Needs temporary disk for the model data: lockgate.aws.deployments.LARGEST, which is what a function has by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lambdas import shared
from lockgate.aws import clients
from lockgate.aws.deployments import Deployments, Stack, copy_model, copy_replay, pins
from lockgate.aws.hook_findings import failed_findings, put_finding
from lockgate.aws.images import copy_image, has_image
from lockgate.aws.journal import Journal
from lockgate.errors import BusyError, NotFoundError, RefusedError
from lockgate.ledger.journal import Fact, find, last, open_attempt, previous, refuse_if_rolled_back
from lockgate.release.hook_findings import Finding
from lockgate.release.parameters import (
    AT_ONCE,
    AT_ONCE_AGAIN,
    GRADUAL,
    MODE_PARAMETER,
    PARAMETERS,
    Release,
    read_release,
    refuse_if_superseded,
)

LONGEST_RUN = timedelta(minutes=15)  # of any Lambda function


@dataclass(frozen=True)
class Settings:
    environment: str
    releases_bucket: str
    releases_repository: str
    cluster: str
    service_url: str
    release_role_arn: str


@dataclass(frozen=True)
class Place:
    """One model in this environment."""

    settings: Settings
    deployments: Deployments
    journal: Journal
    model: str

    @property
    def url(self) -> str:
        return f"{self.settings.service_url}/{self.model}"


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    model = shared.model(event)
    deployments = Deployments(
        clients.client("cloudformation"),
        clients.client("ecs"),
        settings.environment,
        settings.cluster,
        settings.release_role_arn,
    )
    place = Place(settings, deployments, Journal(clients.client("s3"), settings.releases_bucket, model), model)
    actions = {
        "start": _start,
        "status": _status,
        "rollback": _operate,
        "restore": _operate,
        "look": _look,
        "stop": _stop,
    }
    action = actions.get(event.get("action", ""))
    if action is None:
        raise RefusedError(f"action: found {event.get('action')!r}, expected one of {', '.join(actions)}")
    answer = action(place, event)
    shared.log("deploy", action=event["action"], environment=settings.environment, model=model, answer=answer)
    return answer


def _start(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    wanted = _promoted(event)
    stack = _stack_for(place, wanted)
    if stack.updating and pins(stack, wanted):
        return _begun(place, open_attempt(place.journal.entries()))  # this very release, started before
    sha256 = wanted["model_sha256"]
    bucket = place.settings.releases_bucket
    s3, source = clients.client("s3"), event["source"]
    copy_image(clients.client("ecr"), wanted["image"], place.settings.releases_repository, wanted["commit"])
    version_id = copy_model(s3, source, bucket, place.model, sha256)
    copy_replay(s3, source["replay"], bucket, place.model, wanted["replay_sha256"])
    release = read_release({**wanted, "model_version_id": version_id})
    stack = _stack_for(place, wanted)  # as it is now: copies may have taken minutes
    place.deployments.refuse_if_busy(stack)
    _refuse_in_alarm(place, stack)
    _remember_end(place, event["token"])
    body = {"release": asdict(release), "deadline_minutes": _configured_deadline(place)}
    began = place.journal.append("started", event["token"], body, shared.timestamp(shared.now()))
    place.deployments.update(stack, release, event["token"], GRADUAL)
    return _begun(place, began)


def _begun(place: Place, attempt: Fact | None) -> dict[str, Any]:
    return {"status": "IN_PROGRESS", "deadline_minutes": _deadline(place, attempt)}


def _stack_for(place: Place, wanted: dict[str, str]) -> Stack:
    """The release stack. Raises RefusedError where this release was rolled back from, or superseded, by now."""
    refuse_if_rolled_back(place.journal.entries(), wanted["verdict_id"], wanted["version"])
    stack = place.deployments.stack(place.model)
    if not stack.status.endswith("_IN_PROGRESS"):  # until then what is pinned may yet be taken back
        refuse_if_superseded(stack.release, wanted["version"])
    return stack


def _remember_end(place: Place, token: str) -> None:
    """Of what was begun before this attempt: whoever waits for it must not find our release instead of its own.

    Raises BusyError while it has not ended, until it is past its deadline.
    """
    before = open_attempt([entry for entry in place.journal.entries() if entry.token != token])
    if before is None:
        return
    status = _status(place, _asked_of(place, before))["status"]
    if status == "IN_PROGRESS" and not _past_deadline(place, before):
        raise BusyError(f"attempt {before.token} has not ended: another deployment runs")


def _past_deadline(place: Place, attempt: Fact) -> bool:
    return _age(attempt) > timedelta(minutes=_deadline(place, attempt))


def _deadline(place: Place, attempt: Fact | None) -> int:
    """Minutes: a `cdk deploy` with another deadline is for the attempts that follow it."""
    return int((attempt and attempt.body.get("deadline_minutes")) or _configured_deadline(place))


def _configured_deadline(place: Place) -> int:
    return shared.environment(place.settings.environment).rollout.deadline_minutes


def _age(attempt: Fact) -> timedelta:
    return shared.now() - datetime.fromisoformat(attempt.time)


def _refuse_in_alarm(place: Place, stack: Stack) -> None:
    """Raises RefusedError: what guards a deployment must be able to speak. A rollback goes ahead nevertheless."""
    found = place.deployments.alarms(stack, clients.client("cloudwatch"))
    if found:
        raise RefusedError(
            f"{', '.join(found)}: in ALARM, and ECS would ignore that during the whole deployment: `lockgate promote` "
            "again when the service is well, or `lockgate rollback`"
        )


def _operate(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    try:
        return _change(place, event)
    except (RefusedError, BusyError, NotFoundError) as error:
        return {"refused": str(error)}


def _change(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    """Write down who wants what and why, then do it: what somebody wanted away stays away if we die in between."""
    entries, stack = place.journal.entries(), place.deployments.stack(place.model)
    asked = find(entries, "asked", event["token"])
    if asked is None:
        place.deployments.refuse_if_busy(stack)
        target = _target(event["action"], entries, stack)
        _refuse_without_image(place, target)
        body = {
            **{name: event[name] for name in ("action", "person", "user_arn", "reason")},
            "url": place.url,
            "from": asdict(stack.release) if stack.release else None,
            "to": asdict(target),
            "mode": _mode(stack, target),
            "deadline_minutes": _configured_deadline(place),
        }
        asked = place.journal.append("asked", event["token"], body, shared.timestamp(shared.now()))
    before, wanted = asked.body["from"], read_release(asked.body["to"])
    if not (stack.updating and stack.release == wanted):
        place.deployments.update(stack, wanted, event["token"], asked.body.get("mode", AT_ONCE))
    return {"status": "IN_PROGRESS", "from": before and before["version"], "to": wanted.version}


def _mode(stack: Stack, wanted: Release) -> str:
    """All at once, by the name that is not set where the stack pins this very release: without a change CloudFormation
    would leave a service alone that somebody changed past it; with one it sends all of the service's properties.
    """
    if stack.release == wanted and stack.parameters.get(MODE_PARAMETER) == AT_ONCE:
        return AT_ONCE_AGAIN
    return AT_ONCE


def _target(action: str, entries: Sequence[Fact], stack: Stack) -> Release:
    """What a rollback or a restore leads to. Raises RefusedError when there is nothing to go back to, or to restore."""
    if action == "restore":
        wanted = last(entries)
        if stack.release is not None and stack.release != wanted:
            raise RefusedError(f"restore: {stack.name} pins version {stack.release.version}: it was changed, not lost")
        return wanted
    if stack.release is None:
        raise RefusedError(f"rollback: {stack.name} pins no release: use `lockgate restore` if it was lost")
    return previous(entries, stack.release)


def _refuse_without_image(place: Place, release: Release) -> None:
    """Raises RefusedError where the environment has no copy of the image: tasks would never start."""
    repository, digest = place.settings.releases_repository, release.image.rpartition("@")[2]
    if not has_image(clients.client("ecr"), repository, digest):
        raise RefusedError(f"version {release.version}: {repository} has no copy of its image {digest}: promote again")


def _status(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    entries = place.journal.entries()
    ended = find(entries, "deployment", event["token"])
    if ended and ended.succeeded:  # whatever was begun since
        return {
            "status": "SUCCEEDED",
            **{name: ended.body[name] for name in ("reason", "release", "url")},
            "place": ended.sequence,
        }
    asked = None if "release" in event else find(entries, "asked", event["token"])
    if asked:
        wanted = {name: value for name, value in asked.body["to"].items() if name != "model_version_id"}
    else:
        wanted = _promoted(event)
    try:
        stack = place.deployments.stack(place.model)
    except NotFoundError as error:
        return {"status": "FAILED", "reason": str(error), "release": None, "url": place.url, "place": None}
    progress = place.deployments.progress(stack, wanted, event["token"])
    if progress.status == "FAILED":
        progress = replace(progress, reason=_why(place, stack, event["token"], wanted["verdict_id"], progress.reason))
    release = asdict(stack.release) if stack.release else None
    answer: dict[str, Any] = {
        "status": progress.status,
        "reason": progress.reason,
        "release": release,
        "url": place.url,
        "place": None,
    }
    # Where nothing was begun for it, a rollback may be between what it wrote down and what it does.
    failed = progress.status == "FAILED" and asked and (progress.begun or _age(asked) > LONGEST_RUN)
    if progress.status == "SUCCEEDED" or failed:
        body = {
            "outcome": progress.status.lower(),
            "reason": progress.reason,
            "url": place.url,
            "release": release if progress.status == "SUCCEEDED" or asked is None else dict(asked.body["to"]),
        }
        ended = place.journal.append("deployment", event["token"], body, shared.timestamp(shared.now()))
        answer["place"] = ended.sequence
    return answer


def _look(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    attempt = open_attempt(place.journal.entries())
    if attempt is None:
        return {"status": "NOTHING"}
    asked = _asked_of(place, attempt)
    status = _status(place, asked)["status"]
    if status == "IN_PROGRESS" and _past_deadline(place, attempt):
        return _stop(place, asked)
    return {"status": status}


def _asked_of(place: Place, attempt: Fact) -> dict[str, Any]:
    """The event that asks how an attempt is getting on."""
    asked: dict[str, Any] = {"model": place.model, "token": attempt.token}
    if attempt.kind == "started":
        release = attempt.body["release"]
        asked["release"] = {name: value for name, value in release.items() if name != "model_version_id"}
    return asked


def _stop(place: Place, event: dict[str, Any]) -> dict[str, Any]:
    """Our own deadline: nothing else ends a deployment that hangs before CloudFormation does, after hours.

    Another's update is left alone, such as a `cdk deploy` long after an attempt that failed.
    """
    began = _began(place, event["token"])
    if began is None:
        raise RefusedError(f"stop: no attempt with token {event['token']!r} was begun here")
    stack = place.deployments.stack(place.model)
    if not place.deployments.runs(stack, event["token"]):
        return {"status": "IN_PROGRESS"}
    release = began.body["to"] if began.kind == "asked" else began.body["release"]
    message = f"deadline: the deployment did not end within {_deadline(place, began)} minutes: it was stopped"
    s3, bucket = clients.client("s3"), place.settings.releases_bucket
    put_finding(s3, bucket, place.model, event["token"], Finding(release["verdict_id"], False, message))
    place.deployments.stop(stack)
    return {"status": "IN_PROGRESS"}


def _began(place: Place, token: str) -> Fact | None:
    entries = place.journal.entries()
    return find(entries, "started", token) or find(entries, "asked", token)


def _why(place: Place, stack: Stack, token: str, verdict_id: str, reason: str) -> str:
    """What hooks, deadline and alarms found since the attempt began, before what CloudFormation says."""
    began = _began(place, token)
    if began is None:
        return reason
    since = datetime.fromisoformat(began.time)
    found = failed_findings(clients.client("s3"), place.settings.releases_bucket, place.model, verdict_id, since)
    alarmed = place.deployments.alarmed(stack, clients.client("cloudwatch"), since)
    return "; ".join([*(finding.message for finding in found), *alarmed, reason])


def _promoted(event: dict[str, Any]) -> dict[str, str]:
    release = event.get("release")
    if not isinstance(release, dict) or set(release) != set(PARAMETERS) - {"model_version_id"}:
        raise RefusedError(f"release: found {release!r}, expected all fields but model_version_id")
    shared.model_and_version({"model": event.get("model"), "version": release["version"]})
    return release
