"""Changes what an environment serves; invoked by the promotion workflow, through the environment's promote role, and by
the environment's operators, through its URL (lambdas.deploy.door).

Events:
- Of a promotion: {"action": "start" | "status" | "stop", "model", "release": {version, commit, package_arn, image,
  model_sha256, replay_sha256, policy_sha256, verdict_id}, "source": {bucket, key, version_id, replay: {bucket, key}},
  "token", "approvals"}.
- Of an operator, from the door alone, which has seen a proof of who it is: {"action": "rollback" | "restore", "model",
  "person", "user_arn", "reason", "token"}, then {"action": "status", "model", "token"}. These need nothing but this
  account, since the release comes from the journal.
- Of the environment's own schedule: {"action": "look", "model"}. It remembers an end that nobody waited for any more,
  as status would have, and stops what is past its deadline.
token: one for each attempt, of letters, digits and dashes, a letter first, 128 at most. CloudFormation takes the same
token again for the same request and does nothing.

Answers:
- start: {"status": "IN_PROGRESS", "deadline_minutes"}. The deadline is that of what runs; after it the caller asks for
  stop.
- rollback, restore: {"status": "IN_PROGRESS", "from" (version or null), "to"}, or {"refused": why}, since a person's
  vain request is no failure of the function.
- status: {"status": "IN_PROGRESS" | "SUCCEEDED" | "FAILED", "reason", "release" (all fields, as the stack pins it, or
  null), "url" (where the model's /ping and /invocations are), "place" (number of this end in the journal, or null)}.
- look: {"status": … or "NOTHING"}.

A success stays one, whatever is live since. start remembers the end of the update before, if nobody has asked for it
yet. stop takes the attempt's own update back to the release that served before, if it still runs. So does look, past
the deadline that was configured when the attempt began. The end then says that it was the deadline. A failure's reason
begins with what lifecycle hooks found and with the alarms that went off.

start raises
- BusyError while another update runs: its caller tries again later;
- NotFoundError when there is no release stack;
- RefusedError when it must not be tried again. That holds for a release whose verdict and approvals, or break-glass,
  the ledger does not have, for one that was rolled back from or that a newer live one superseded, and while an alarm of
  the service is in ALARM, which ECS would ignore for the whole deployment.

Environment:
    ENVIRONMENT         name of the environment
    RELEASES_BUCKET     its bucket of released model data (versioned) and of its journal
    RELEASES_REPOSITORY its repository of released images
    CLUSTER             name of its ECS cluster
    SERVICE_URL         https://<[service] host, or the name of the load balancer>
    RELEASE_ROLE_ARN    names.release_cloudformation_role, which CloudFormation assumes
    LEDGER_BUCKET       of the tools environment
Calls:
    cloudformation:CancelUpdateStack, cloudformation:ContinueUpdateRollback, cloudformation:DescribeStackEvents,
    cloudformation:DescribeStacks, cloudformation:ListStackResources, cloudformation:SetStackPolicy,
    cloudformation:UpdateStack
                              on stack/lockgate-<environment>-release-*/*
    iam:PassRole              on RELEASE_ROLE_ARN to cloudformation.amazonaws.com
    s3:ListBucket             on RELEASES_BUCKET; s3:GetObject, s3:PutObject (If-None-Match: *) on RELEASES_BUCKET/*
    s3:GetObjectVersion       on the tools models bucket's objects (its bucket policy must allow this role too)
    s3:GetObject              on the replay.json of the tools evidence bucket (likewise)
    s3:GetObject              on the records of the ledger (likewise)
    kms:Decrypt               on the keys of the tools models and evidence buckets and of the ledger
    kms:Decrypt, kms:GenerateDataKey   on the key of RELEASES_BUCKET
    ecr:BatchGetImage, ecr:GetDownloadUrlForLayer   on the tools models repository (its policy must allow this role too)
    ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:CompleteLayerUpload, ecr:InitiateLayerUpload, ecr:PutImage,
    ecr:UploadLayerPart       on RELEASES_REPOSITORY
    cloudwatch:DescribeAlarmHistory, cloudwatch:DescribeAlarms   on alarm:lockgate-<environment>-release-*
    ecs:DescribeServices, ecs:ListServiceDeployments   on service/<cluster>/*
    ecs:StopServiceDeployment on service-deployment/<cluster>/*
Needs temporary disk for the model data: lockgate.aws.copies.LARGEST, which is what a function has by default.
"""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

from lambdas import shared
from lambdas.deploy import door
from lambdas.deploy.operation import operate
from lambdas.deploy.place import Place, Settings
from lambdas.deploy.progress import look, status, stop
from lambdas.deploy.promotion import start
from lockgate.errors import RefusedError
from lockgate.release.workflow import DeployRequest, LookRequest, OperatorRequest, StatusRequest, read_message

ACTIONS = ("start", "status", "stop", "look")

Message: TypeAlias = DeployRequest | StatusRequest | OperatorRequest | LookRequest

__all__ = ["Settings", "handler"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    if door.is_call_of_the_url(event):
        return door.answer(settings, event, lambda request: _act(settings, request))
    return _act(settings, _read(event))


def _act(settings: Settings, request: Message) -> dict[str, Any]:
    place = Place(settings, request.model)
    match request:
        case DeployRequest(action="start"):
            answer = start(place, request)
        case DeployRequest(action="stop"):
            answer = stop(place, request.token)
        case DeployRequest() | StatusRequest():
            answer = status(place, request)
        case OperatorRequest():
            answer = operate(place, request)
        case LookRequest():
            answer = look(place)
        case _:
            assert_never(request)
    shared.log("deploy", action=request.action, environment=settings.environment, model=request.model, answer=answer)
    return answer


def _read(event: dict[str, Any]) -> Message:
    """Of whom the event is says its action; of a status also whether it names a release."""
    action = event.get("action")
    if action in ("start", "stop") or (action == "status" and event.get("release") is not None):
        return read_message(DeployRequest, event)
    if action == "status":
        return read_message(StatusRequest, event)
    if action == "look":
        return read_message(LookRequest, event)
    raise RefusedError(f"action: found {action!r}, expected one of {', '.join(ACTIONS)}")
