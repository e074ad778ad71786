"""The network and load balancer of an environment that serves others of its account too: exported, and imported."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import CfnOutput, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from lockgate import names
from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.model_load_balancer import Balancer
from lockgate_constructs.serving_network import Network

ZONES = 2


@dataclass(frozen=True)
class Edge:
    """What environments of one edge share: where they are served, and the key, topic, queue and logs beside it."""

    key: kms.IKey
    failures: sns.ITopic
    dead_letters: sqs.IQueue
    access_logs: s3.IBucket
    network: Network
    balancer: Balancer


@dataclass(frozen=True)
class _Imported:
    """A network and a load balancer of another stack."""

    vpc: ec2.IVpc
    tasks: ec2.ISecurityGroup
    production: elb.IApplicationListener
    test: elb.IApplicationListener
    dns_name: str


def export(stack: Stack, environment: str, edge: Edge, load_balancer: ec2.ISecurityGroup) -> None:
    """Let the stacks of other environments know the edge, by names that `imported` knows.

    Other stages cannot refer to a stack, and what they import cannot be taken away under them.
    """
    subnets = edge.network.vpc.select_subnets(subnet_type=ec2.SubnetType.PUBLIC).subnet_ids
    values = {
        "Key": edge.key.key_arn,
        "Failures": edge.failures.topic_arn,
        "DeadLetters": edge.dead_letters.queue_arn,
        "AccessLogs": edge.access_logs.bucket_name,
        "Vpc": edge.network.vpc.vpc_id,
        **{f"Subnet{number}": subnet for number, subnet in enumerate(subnets)},
        "LoadBalancerGroup": load_balancer.security_group_id,
        "TasksGroup": edge.network.tasks.security_group_id,
        "ProductionListener": edge.balancer.production.listener_arn,
        "TestListener": edge.balancer.test.listener_arn,
        "Balancer": edge.balancer.dns_name,
    }
    for name, value in values.items():
        CfnOutput(stack, f"Shared{name}", value=value, export_name=_name(environment, name))


def imported(scope: Construct, environment: str, zones: list[str]) -> Edge:
    """The edge that `environment` exports."""

    def value(name: str) -> str:
        return Fn.import_value(_name(environment, name))

    group = ec2.SecurityGroup.from_security_group_id(
        scope, "LoadBalancerGroup", value("LoadBalancerGroup"), mutable=False
    )

    def listener(name: str) -> elb.IApplicationListener:
        return elb.ApplicationListener.from_application_listener_attributes(
            scope, name, listener_arn=value(name), security_group=group
        )

    vpc = ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id=value("Vpc"),
        availability_zones=zones,
        public_subnet_ids=[value(f"Subnet{number}") for number in range(ZONES)],
    )
    acknowledge(
        vpc,
        "Nothing here adds a route to the subnets of another stack.",
        "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
    )
    served = _Imported(
        vpc=vpc,
        tasks=ec2.SecurityGroup.from_security_group_id(scope, "TasksGroup", value("TasksGroup"), mutable=False),
        production=listener("ProductionListener"),
        test=listener("TestListener"),
        dns_name=value("Balancer"),
    )
    return Edge(
        key=kms.Key.from_key_arn(scope, "Key", value("Key")),
        failures=sns.Topic.from_topic_arn(scope, "Failures", value("Failures")),
        dead_letters=sqs.Queue.from_queue_arn(scope, "DeadLetters", value("DeadLetters")),
        access_logs=s3.Bucket.from_bucket_name(scope, "AccessLogs", value("AccessLogs")),
        network=served,
        balancer=served,
    )


def _name(environment: str, what: str) -> str:
    return f"{names.edge_stack(environment)}:{what}"
