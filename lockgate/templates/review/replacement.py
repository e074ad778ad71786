"""What is deleted or replaced, and what holds state."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.templates.review.differ import ResourceChange, StackChange
from lockgate.templates.review.finding import Finding, Risk

# What keeps data, keys or records that a new one would not have.
STATEFUL = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::DynamoDB::GlobalTable",
        "AWS::EC2::Volume",
        "AWS::ECR::Repository",
        "AWS::EFS::FileSystem",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::OpenSearchService::Domain",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
        "AWS::SageMaker::ModelPackageGroup",
        "AWS::SecretsManager::Secret",
    }
)
# What traffic, names or other accounts hang on: a new one interrupts.
HELD = frozenset(
    {
        "AWS::EC2::Subnet",
        "AWS::EC2::VPC",
        "AWS::ECS::Cluster",
        "AWS::ECS::Service",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::OIDCProvider",
        "AWS::IAM::Role",
        "AWS::Lambda::Url",
        "AWS::SageMaker::Pipeline",
        "AWS::StepFunctions::StateMachine",
    }
)
# Each change makes a new one of these: that is how they are updated.
NEW_EACH_TIME = frozenset(
    {
        "AWS::ApiGateway::Deployment",
        "AWS::ECS::TaskDefinition",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
    }
)
_OF_OTHER_TOPICS = frozenset({"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"})


def findings(change: StackChange, gone: bool) -> Iterator[Finding]:
    """gone: the stack is no longer in the app; CDK leaves such a stack as it is."""
    if gone:
        text = "is no longer in the app: cdk deploy leaves it running and nobody updates it; delete it yourself"
        yield Finding(Risk.HIGH, "replacement", change.stack, "stack", text)
        return
    for resource in change.resources:
        found = _judge(resource)
        if found:
            risk, text = found
            what = f"{resource.id} ({resource.type})"
            yield Finding(risk, "replacement", change.stack, what, text)


def _judge(resource: ResourceChange) -> tuple[Risk, str] | None:
    stateful, held = resource.type in STATEFUL, resource.type in HELD
    if resource.impact == "WILL_DESTROY":
        if resource.type in _OF_OTHER_TOPICS:
            return None
        if stateful:
            return Risk.HIGH, "is deleted with what it holds"
        return (Risk.MEDIUM, "is deleted, and others hang on it") if held else (Risk.LOW, "is deleted")
    if resource.impact == "WILL_ORPHAN":
        return (Risk.MEDIUM if stateful or held else Risk.LOW), "leaves the stack and stays in the account, unmanaged"
    if resource.impact not in ("WILL_REPLACE", "MAY_REPLACE") or resource.type in NEW_EACH_TIME:
        return None
    by = ", ".join(sorted(name for name, impact in resource.properties.items() if "REPLACE" in impact)) or "its type"
    if resource.impact == "MAY_REPLACE":
        risk = Risk.MEDIUM if stateful or held else Risk.LOW
        return risk, f"may be replaced by an empty one because of {by}" if stateful else f"may be replaced ({by})"
    if stateful:
        return Risk.HIGH, f"is replaced by an empty one because of {by}"
    return (Risk.MEDIUM if held else Risk.LOW), f"is replaced because of {by}"
