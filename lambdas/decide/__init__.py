"""Hears what persons decide, and workflow runs that ask whether they may deploy stacks; wakes workflows that wait.

A Function URL with IAM authorization. The path says what is decided, and who decides is who signed the request, never
something in the body. Each path has its own fields, its own roles and its own record:

    POST /approval          approve or reject a release             (lambdas.decide.approval)
    POST /waiver            let one rule go for one version         (lambdas.decide.waiver)
    POST /holdout           record a fresh holdout                  (lambdas.decide.holdout)
    POST /snapshot          choose what trainings use               (lambdas.decide.snapshot)
    POST /acknowledgement   close a break-glass of somebody else    (lambdas.decide.acknowledgement)
    POST /retirement        retire a model                          (lambdas.decide.retirement)
    POST /stacks            may these stacks be deployed?           (lambdas.decide.stacks)

One rule says who may (lockgate.ledger.answer). The roles that an environment names as its approvers decide about its
releases and its stacks. A session of lockgate-<environment>-infrastructure is a workflow run: it may only ask about the
stacks of its environment, and say how their deployment ended. IAM cannot tell paths apart, so this is checked here.

It answers {"message", …}; 404 for another path. Event of the schedule: {"action": "wake"}: see lambdas.decide.approval.

Environment:
    LEDGER_BUCKET, DATA_BUCKET, STATE_MACHINE_ARN (the promotion workflow)
Calls:
    s3:ListBucket on the ledger and data buckets; s3:GetObject, s3:PutObject (If-None-Match: *) on <ledger>/*
    s3:GetObject on <data>/snapshots/*/manifest.json and <data>/identities/*
    s3:PutObject (If-None-Match: *) on <data>/chosen-snapshots/*
    kms:Decrypt, kms:GenerateDataKey on the ledger's key (and through it to its queue of dead letters) and the data
    bucket's
    sagemaker:UpdateModelPackage on model-package/lockgate-<model>/*
    states:ListExecutions, states:SendTaskSuccess, states:StartExecution on STATE_MACHINE_ARN
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lambdas.decide import acknowledgement, approval, holdout, retirement, snapshot, stacks, waiver

WAKE = {"action": "wake"}
PATHS = {
    "approval": approval.handler,
    "waiver": waiver.handler,
    "holdout": holdout.handler,
    "snapshot": snapshot.handler,
    "acknowledgement": acknowledgement.handler,
    "retirement": retirement.handler,
    "stacks": stacks.handler,
}


@dataclass(frozen=True)
class Settings(approval.Settings, holdout.Settings):
    """What all paths read together."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    if event == WAKE:
        return approval.wake_answered()
    path = str(event.get("rawPath", "")).strip("/")
    answer = PATHS.get(path)
    if answer is None:
        expected = ", ".join(f"/{each}" for each in PATHS)
        return shared.url_answer(404, {"message": f"path: found /{path}, expected one of {expected}"})
    return answer(event, context)
