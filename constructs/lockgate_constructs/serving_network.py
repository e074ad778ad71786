"""The network that models are served in: two public subnets, no NAT, and nothing open but the way to the tasks."""

from __future__ import annotations

from typing import Protocol

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from lockgate_constructs.log_group import LogGroup

TASK_PORT = 8080
HTTPS_PORT = 443
TEST_PORT = 8443


class Network(Protocol):
    """Where tasks run, whichever stack made it."""

    @property
    def vpc(self) -> ec2.IVpc: ...

    @property
    def tasks(self) -> ec2.ISecurityGroup: ...


class ServingNetwork(Construct):
    """A VPC and the security groups of the load balancer and of the tasks; flow logs where they have a key.

    Callers inside the VPC reach the load balancer on 443. Only the replay reaches 8443, where a release is tested; it
    reaches S3 through the VPC's own endpoint and, having no public address, nothing else. The tasks are reached by the
    load balancer only, and reach HTTPS endpoints only.
    """

    def __init__(self, scope: Construct, construct_id: str, *, cidr: str, flow_logs_key: kms.IKey | None) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False)
            ],
        )
        self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        if flow_logs_key:
            self._log_flows(flow_logs_key)
        self.load_balancer = ec2.SecurityGroup(
            self, "LoadBalancer", vpc=self.vpc, description="The load balancer", allow_all_outbound=False
        )
        self.tasks = ec2.SecurityGroup(
            self, "Tasks", vpc=self.vpc, description="The tasks that serve models", allow_all_outbound=False
        )
        self.replay = ec2.SecurityGroup(
            self, "Replay", vpc=self.vpc, description="The replay of recorded rows", allow_all_outbound=False
        )
        self.load_balancer.add_ingress_rule(self.replay, ec2.Port.tcp(TEST_PORT), "the replay")
        self.replay.add_egress_rule(self.load_balancer, ec2.Port.tcp(TEST_PORT), "the load balancer")
        self.replay.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "S3")
        inside = ec2.Peer.ipv4(cidr)
        self.load_balancer.add_ingress_rule(inside, ec2.Port.tcp(HTTPS_PORT), "callers inside the VPC")
        self.load_balancer.add_egress_rule(inside, ec2.Port.tcp(TASK_PORT), "the tasks")
        self.tasks.add_ingress_rule(self.load_balancer, ec2.Port.tcp(TASK_PORT), "the load balancer")
        self.tasks.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "S3, ECR and CloudWatch Logs")

    def reach_issuers(self) -> None:
        """Let the load balancer fetch the keys with which it checks callers' tokens."""
        self.load_balancer.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "the keys of tokens' issuers")

    def _log_flows(self, key: kms.IKey) -> None:
        group = LogGroup(self, "FlowLogs", key=key)
        role = iam.Role(
            self,
            "FlowLogsRole",
            description="Writes the VPC's flow logs.",
            assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"),
        )
        group.grant_write(role)
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        ).apply_removal_policy(RemovalPolicy.DESTROY)
