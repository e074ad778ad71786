"""Carries promotions along, where neither a person decides nor a gate judges: starts, resumes, asks, records.

Each event has one module here, which says what it takes and answers:

    EventBridge "SageMaker Model Package State Change"   start a promotion            (registered)
    EventBridge "CodeBuild Build State Change"           have an image vouched for    (attestation)
    the workflow: {"action": "request-approval", …}      a release waits for persons  (approval_request)
    the workflow: {"action": "decision", …}              what persons decided         (decision)
    the workflow: {"action": "record", …}                how a deployment ended       (deployment)
    a clock: {"action": "resume"}                        what was lost on its way     (lost)
    a clock: {"action": "collect"}                       what environments remember   (collection)
    a clock: {"action": "attest"}                        images nobody vouched for    (attestation)

It approves nothing, wakes no workflow that waits for persons, and deploys nothing: it may take no role but those with
which environments are read. What starts a promotion leads to its gate.

Environment:
    LEDGER_BUCKET, DATA_BUCKET
    STATE_MACHINE_ARN   the promotion workflow
    APPROVAL_SECONDS    the timeout of its waiting state
    MODELS              names of the models, separated by commas
    ACCOUNT             whose repositories images are in
Calls:
    s3:ListBucket on the ledger bucket; s3:GetObject, s3:PutObject (If-None-Match: *) on <ledger>/*
    s3:PutObject (If-None-Match: *) on <data>/champions/*
    kms:Decrypt, kms:GenerateDataKey on the ledger's key (and through it to its queue of dead letters);
    kms:GenerateDataKey on the data bucket's
    states:ListExecutions, states:StartExecution on STATE_MACHINE_ARN
    sagemaker:DescribeModelPackage on model-package/lockgate-<model>/*; sagemaker:ListModelPackages on * (no resource)
    sts:AssumeRole on each environment's reader role
    cloudwatch:PutMetricData on * (no resource; the metric's namespace is fixed)
    codebuild:BatchGetBuilds, codebuild:ListBuildsForProject on project/lockgate-image and project/lockgate-evaluator
    codebuild:StartBuild on project/lockgate-attestation
    ecr:BatchGetImage on repository/lockgate-models and repository/lockgate-evaluator (listing referrers asks for it)
Calls as the reader role of each environment:
    s3:ListBucket on its releases bucket; s3:GetObject on <model>/journal/* there; kms:Decrypt on its key
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas.controller import approval_request, attestation, collection, decision, deployment, lost, registered
from lockgate.errors import RefusedError

EVENTS = {registered.EVENT: registered.handler, attestation.EVENT: attestation.handler}
ACTIONS = {
    "request-approval": approval_request.handler,
    "decision": decision.handler,
    "record": deployment.handler,
    "resume": lost.handler,
    "collect": collection.handler,
    "attest": attestation.handler,
}


@dataclass(frozen=True)
class Settings(lost.Settings, collection.Settings, approval_request.Settings, attestation.Settings):
    """What all events read together."""


def handler(event: dict[str, Any], context: object) -> Any:
    take = EVENTS.get(str(event.get("detail-type"))) or ACTIONS.get(str(event.get("action")))
    if take is None:
        raise RefusedError(
            f"event: found {event.get('detail-type') or event.get('action')!r}, "
            f"expected one of {', '.join([*EVENTS, *ACTIONS])}"
        )
    return take(event, context)
