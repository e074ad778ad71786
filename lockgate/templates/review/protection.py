"""Which guards became weaker: encryption, retention, logging, deletion protection, alarms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from lockgate.templates.review.differ import ResourceChange, StackChange
from lockgate.templates.review.finding import Finding, Risk
from lockgate.templates.review.network import at

Judge = Callable[[Any, Any], bool]  # whether the second value is weaker than the first


def lost(before: Any, after: Any) -> bool:
    """Something was there, and nothing is."""
    return bool(before) and not after


def other(before: Any, after: Any) -> bool:
    """Something was there, and something else, or nothing, is."""
    return bool(before) and before != after


def plainer(before: Any, after: Any) -> bool:
    """Encryption went away, or is by AWS's key where it was by one in KMS."""
    return lost(before, after) or ("kms" in json.dumps(before).lower() and "kms" not in json.dumps(after).lower())


def off(before: Any, after: Any) -> bool:
    return _on(before) and not _on(after)


def on(before: Any, after: Any) -> bool:
    return _on(after) and not _on(before)


def lower(before: Any, after: Any) -> bool:
    """A number sank or went away."""
    return _number(before) is not None and (_number(after) is None or _number(after) < _number(before))  # type: ignore[operator]


def shorter(before: Any, after: Any) -> bool:
    """A retention sank; none at all means for ever."""
    return _number(after) is not None and (_number(before) is None or _number(after) < _number(before))  # type: ignore[operator]


def fewer(before: Any, after: Any) -> bool:
    """A list lost a member."""
    kept = [json.dumps(item, sort_keys=True) for item in after or []]
    return any(json.dumps(item, sort_keys=True) not in kept for item in before or [])


def left(strong: str) -> Judge:
    """A value was the strong one and is not any more."""
    return lambda before, after: before == strong and after != strong


# type: (path, judge, what it means, risk)
GUARDS: dict[str, tuple[tuple[str, Judge, str, Risk], ...]] = {
    "AWS::S3::Bucket": (
        ("BucketEncryption", plainer, "encryption", Risk.HIGH),
        ("PublicAccessBlockConfiguration.BlockPublicAcls", off, "public ACLs are blocked", Risk.HIGH),
        ("PublicAccessBlockConfiguration.BlockPublicPolicy", off, "public policies are blocked", Risk.HIGH),
        ("PublicAccessBlockConfiguration.IgnorePublicAcls", off, "public ACLs are ignored", Risk.HIGH),
        ("PublicAccessBlockConfiguration.RestrictPublicBuckets", off, "public access is restricted", Risk.HIGH),
        ("VersioningConfiguration.Status", left("Enabled"), "versioning", Risk.HIGH),
        ("ObjectLockEnabled", off, "Object Lock", Risk.HIGH),
        ("ObjectLockConfiguration.Rule.DefaultRetention.Days", lower, "days of Object Lock", Risk.HIGH),
        ("ObjectLockConfiguration.Rule.DefaultRetention.Mode", left("COMPLIANCE"), "Object Lock's mode", Risk.HIGH),
        ("LoggingConfiguration", lost, "access log", Risk.MEDIUM),
    ),
    "AWS::KMS::Key": (
        ("EnableKeyRotation", off, "key rotation", Risk.MEDIUM),
        ("PendingWindowInDays", lower, "days before the key is deleted", Risk.MEDIUM),
    ),
    "AWS::Logs::LogGroup": (
        ("RetentionInDays", shorter, "days that logs are kept", Risk.MEDIUM),
        ("KmsKeyId", other, "encryption by a key of ours", Risk.HIGH),
    ),
    "AWS::SQS::Queue": (
        ("KmsMasterKeyId", other, "encryption by a key of ours", Risk.HIGH),
        ("SqsManagedSseEnabled", off, "encryption", Risk.HIGH),
        ("MessageRetentionPeriod", lower, "seconds that messages are kept", Risk.MEDIUM),
        ("RedrivePolicy", lost, "dead-letter queue", Risk.MEDIUM),
    ),
    "AWS::SNS::Topic": (("KmsMasterKeyId", other, "encryption by a key of ours", Risk.HIGH),),
    "AWS::ECR::Repository": (
        ("ImageTagMutability", left("IMMUTABLE"), "tags cannot be moved", Risk.HIGH),
        ("ImageScanningConfiguration.ScanOnPush", off, "scan on push", Risk.MEDIUM),
        ("EncryptionConfiguration", plainer, "encryption", Risk.HIGH),
    ),
    "AWS::DynamoDB::Table": (
        ("SSESpecification", lost, "encryption by a key of ours", Risk.HIGH),
        ("DeletionProtectionEnabled", off, "deletion protection", Risk.HIGH),
        ("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", off, "point-in-time recovery", Risk.HIGH),
    ),
    "AWS::RDS::DBInstance": (
        ("StorageEncrypted", off, "encryption", Risk.HIGH),
        ("DeletionProtection", off, "deletion protection", Risk.HIGH),
        ("BackupRetentionPeriod", lower, "days that backups are kept", Risk.HIGH),
    ),
    "AWS::ElasticLoadBalancingV2::Listener": (
        ("SslPolicy", other, "TLS policy", Risk.MEDIUM),
        ("Certificates", lost, "certificate", Risk.HIGH),
    ),
    "AWS::StepFunctions::StateMachine": (
        ("LoggingConfiguration", lost, "log", Risk.MEDIUM),
        ("LoggingConfiguration.Level", left("ALL"), "log level", Risk.MEDIUM),
        ("TracingConfiguration.Enabled", off, "tracing", Risk.LOW),
    ),
    "AWS::CodeBuild::Project": (
        ("EncryptionKey", other, "encryption by a key of ours", Risk.HIGH),
        ("LogsConfig", lost, "log", Risk.MEDIUM),
    ),
    "AWS::Lambda::Function": (
        ("KmsKeyArn", other, "encryption by a key of ours", Risk.HIGH),
        ("DeadLetterConfig", lost, "dead-letter queue", Risk.MEDIUM),
    ),
    "AWS::ECS::Service": (
        ("DeploymentConfiguration.Alarms.Enable", off, "alarms that stop a deployment", Risk.HIGH),
        ("DeploymentConfiguration.Alarms.Rollback", off, "rollback on alarm", Risk.HIGH),
        ("DeploymentConfiguration.Alarms.AlarmNames", fewer, "alarms that stop a deployment", Risk.HIGH),
        ("DeploymentConfiguration.LifecycleHooks", fewer, "checks during a deployment", Risk.HIGH),
    ),
    "AWS::Events::Rule": (("State", left("ENABLED"), "the rule is enabled", Risk.MEDIUM),),
    "AWS::CloudWatch::Alarm": (
        ("AlarmActions", fewer, "somebody told", Risk.HIGH),
        ("TreatMissingData", left("breaching"), "silence raises it", Risk.HIGH),
        ("EvaluationPeriods", lambda before, after: lower(after, before), "periods until it is raised", Risk.MEDIUM),
    ),
}
# Attributes that are lists of keys and values, and those of them that guard something.
_BALANCER = {
    "access_logs.s3.enabled": (Risk.MEDIUM, "access log"),
    "deletion_protection.enabled": (Risk.HIGH, "deletion protection"),
    "routing.http.drop_invalid_header_fields.enabled": (Risk.MEDIUM, "refusal of invalid headers"),
}
_KEPT = ("Retain", "RetainExceptOnCreate", "Snapshot")
_ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
_WATCHERS = {
    "AWS::EC2::FlowLog": "the network's flow log",
    "AWS::Events::Rule": "a rule that reacts to events",
    "AWS::S3::BucketPolicy": "a bucket's policy",
}


def findings(change: StackChange) -> Iterator[Finding]:
    for resource in change.resources:
        what = f"{resource.id} ({resource.type})"
        alarming = resource.type in _ALARMS or resource.type == "AWS::ECS::Service"
        if resource.base and resource.head:
            for risk, text in (*_weaker(resource), *_unkept(resource)):
                topic = "alarm" if alarming and "deletion" not in text else "protection"
                yield Finding(risk, topic, change.stack, what, text)
        elif resource.base and resource.type in _ALARMS:
            yield Finding(Risk.HIGH, "alarm", change.stack, what, "is removed: nobody is told any more")
        elif resource.base and resource.type in _WATCHERS:
            yield Finding(Risk.HIGH, "protection", change.stack, what, f"{_WATCHERS[resource.type]} is removed")


def _weaker(resource: ResourceChange) -> Iterator[tuple[Risk, str]]:
    before, after = ((side or {}).get("Properties", {}) for side in resource.sides)
    for path, weaker, meaning, risk in GUARDS.get(resource.type, ()):
        old, new = at(before, path), at(after, path)
        if old != new and weaker(old, new):
            yield risk, f"{meaning}: {_shown(old)} becomes {_shown(new)}"
    if resource.type == "AWS::CloudWatch::Alarm":
        yield from _alarm(before, after)
    if resource.type == "AWS::ElasticLoadBalancingV2::LoadBalancer":
        old, new = (_attributes(side) for side in (before, after))
        for key, (risk, meaning) in _BALANCER.items():
            if off(old.get(key), new.get(key)):
                yield risk, f"{meaning}: {_shown(old.get(key))} becomes {_shown(new.get(key))}"
    if resource.type == "AWS::ECS::TaskDefinition":
        yield from _containers(before, after)
    if resource.type == "AWS::S3::Bucket":
        old, new = (_expiry(side) for side in (before, after))
        if shorter(old, new):
            yield Risk.HIGH, f"days that objects are kept: {_shown(old or 'for ever')} becomes {new}"


def _alarm(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[Risk, str]]:
    if after.get("ActionsEnabled") is False and before.get("ActionsEnabled") is not False:
        yield Risk.HIGH, "its actions are switched off"
    old, new = _number(before.get("Threshold")), _number(after.get("Threshold"))
    operator = str(after.get("ComparisonOperator", ""))
    if old is not None and new is not None and (new > old if operator.startswith("Greater") else new < old):
        yield Risk.HIGH, f"is raised later: threshold {old:g} becomes {new:g} ({operator})"


def _containers(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[Risk, str]]:
    old = {container.get("Name"): container for container in before.get("ContainerDefinitions", [])}
    for container in after.get("ContainerDefinitions", []):
        known = old.get(container.get("Name"), {})
        if off(known.get("ReadonlyRootFilesystem"), container.get("ReadonlyRootFilesystem")):
            yield Risk.MEDIUM, f"container {container.get('Name')} may write to its root file system"
        if on(known.get("Privileged"), container.get("Privileged")):
            yield Risk.HIGH, f"container {container.get('Name')} is privileged"
        if str(container.get("User", "-")) in ("0", "root") and known.get("User") != container.get("User"):
            yield Risk.HIGH, f"container {container.get('Name')} runs as root"
        if lost(known.get("LogConfiguration"), container.get("LogConfiguration")):
            yield Risk.MEDIUM, f"container {container.get('Name')} has no log any more"


def _unkept(resource: ResourceChange) -> Iterator[tuple[Risk, str]]:
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        old, new = ((side or {}).get(policy, "Delete") for side in resource.sides)
        if old in _KEPT and new not in _KEPT:
            yield Risk.HIGH, f"deletion: {policy} {old} becomes {new}"


def _expiry(properties: dict[str, Any]) -> float | None:
    """Days until the first current or old version of an object expires, by any rule; None: never."""
    rules = at(properties, "LifecycleConfiguration.Rules") or []
    days = [
        _number(found)
        for rule in rules
        if rule.get("Status") == "Enabled"
        for found in (rule.get("ExpirationInDays"), at(rule, "NoncurrentVersionExpiration.NoncurrentDays"))
    ]
    return min((day for day in days if day is not None), default=None)


def _attributes(properties: dict[str, Any]) -> dict[str, Any]:
    return {entry["Key"]: entry["Value"] for entry in properties.get("LoadBalancerAttributes", [])}


def _on(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "enabled")


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else text[:117] + "..."
