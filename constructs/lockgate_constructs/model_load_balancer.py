"""The one load balancer of an environment, before any model is released."""

from __future__ import annotations

from typing import Protocol

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate_constructs.failure_topic import NO_REQUESTS, alarm
from lockgate_constructs.serving_network import HTTPS_PORT, TEST_PORT, ServingNetwork

NO_RELEASE = '{"error":{"message":"no release of this model is live here"}}'


class Balancer(Protocol):
    """The listeners of a load balancer and its name, whichever stack made it."""

    @property
    def production(self) -> elb.IApplicationListener: ...

    @property
    def test(self) -> elb.IApplicationListener: ...

    @property
    def dns_name(self) -> str: ...


class ModelLoadBalancer(Construct):
    """An internal load balancer with a production and a test listener; both answer 503 to what no model takes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: ServingNetwork,
        certificate_arn: str,
        access_logs: s3.IBucket,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.load_balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            internet_facing=False,
            security_group=network.load_balancer,
            drop_invalid_header_fields=True,
        )
        self.load_balancer.log_access_logs(access_logs, "load-balancer")
        self.production = self._listener("Production", HTTPS_PORT, certificate_arn)
        self.test = self._listener("Test", TEST_PORT, certificate_arn)
        alarm(
            self,
            "NobodyAnswers",
            metric=self.load_balancer.metrics.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=Duration.minutes(1)),
            description="The load balancer answered a request itself with an error: no task could.",
            topic=failures,
            silence=NO_REQUESTS,
        )

    @property
    def dns_name(self) -> str:
        return self.load_balancer.load_balancer_dns_name

    def _listener(self, name: str, port: int, certificate_arn: str) -> elb.ApplicationListener:
        return self.load_balancer.add_listener(
            name,
            port=port,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[elb.ListenerCertificate.from_arn(certificate_arn)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            open=False,
            default_action=elb.ListenerAction.fixed_response(
                503, content_type="application/json", message_body=NO_RELEASE
            ),
        )
