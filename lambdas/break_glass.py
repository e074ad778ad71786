"""A person puts a version into an environment past its gate and approvals, over a Function URL with IAM authorization.

POST {"model", "version", "environment", "reason", "token"}. Who breaks the glass is who signed (lambdas.signed), in a
role that the environment names for it.

It records that in the ledger, says it aloud on the topic of failures, and only then starts the workflow. The workflow
goes to this one environment, where the gate still verifies what the package claims to be. The same token again is the
same record and the same execution.

It answers {"message", "record", "execution"}:
- 200 when the workflow has started;
- 400 when the request is malformed or has no reason;
- 403 when the caller has no break-glass role of this environment;
- 404 when there is no such version.

Environment:
    LEDGER_BUCKET, STATE_MACHINE_ARN (the promotion workflow), TOPIC_ARN (failures)
Calls:
    s3:ListBucket on the ledger bucket; s3:GetObject, s3:PutObject (If-None-Match: *) on <ledger>/*
    kms:Decrypt, kms:GenerateDataKey on its key and on the topic's
    sagemaker:DescribeModelPackage on model-package/lockgate-<model>/*
    sns:Publish on TOPIC_ARN
    states:StartExecution on STATE_MACHINE_ARN
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.notices import publish
from lockgate.aws.promotions import PastGate, start
from lockgate.aws.registry import Registry
from lockgate.configuration.persons import Caller
from lockgate.ledger import kinds
from lockgate.ledger.break_glass import announcement, refuse_unless_said
from lockgate.ledger.calls import BreakTheGlass, Recorded
from lockgate.ledger.records import Entry


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    state_machine_arn: str
    topic_arn: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(
        names.BREAK_GLASS_FUNCTION, "", event, BreakTheGlass, _take, lambda environment: environment.break_glass
    )


def _take(call: BreakTheGlass, caller: Caller) -> Recorded:
    settings = shared.settings(Settings)
    model, version, environment, token = call.model, call.number, call.environment, call.token
    allowed = refuse_with(400, lambda: shared.environment(environment)).break_glass
    refuse_with(403, lambda: caller.refuse_unless(allowed, f"break-glass of {environment}"))
    tools = shared.tools()
    package = names.package_arn(tools.account, tools.region, model, version)
    described = Registry(clients.client("sagemaker")).describe(package)
    if described is None:
        raise AnswerRefusedError(404, f"{package}: found no such package, expected one in the registry")
    said = kinds.BreakGlass(
        person=caller.person,
        user_arn=caller.arn,
        nonce=caller.nonce,
        reason=call.reason.strip(),
        package_arn=package,
        image=described.image,
        model_sha256=described.properties.get("model_sha256"),
    )
    entry = Entry(kinds.BreakGlass.id(version, environment, token), version, environment, said)
    record = shared.ledger(settings.ledger_bucket).append(model, entry, shared.timestamp(shared.now()))
    refuse_with(409, lambda: refuse_unless_said(record, said))
    # Before it happens: nobody breaks the glass in silence.
    subject, text = announcement(record)
    publish(clients.client("sns"), settings.topic_arn, subject, text)
    execution = names.break_glass_execution(model, version, record.sequence)
    start(
        clients.client("stepfunctions"),
        settings.state_machine_arn,
        execution,
        model,
        version,
        package,
        past_gate=PastGate(environment, record.reference),
    )
    message = f"recorded as {record.reference}, open until somebody else runs `lockgate approve` on it"
    return Recorded(message=message, record=record.reference, execution=execution)
