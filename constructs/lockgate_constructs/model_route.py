"""The way to one model: two target groups between which releases alternate, and the rules that lead there."""

from __future__ import annotations

import hashlib

from aws_cdk import Duration
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from lockgate.configuration.environment import Jwt
from lockgate_constructs.model_load_balancer import Balancer
from lockgate_constructs.serving_network import TASK_PORT, Network

PRIORITIES = 50_000


class ModelRoute(Construct):
    """ECS rewrites the weights of both rules at each release; the template only says how they start.

    host: where environments share the load balancer, the name that this one's callers use.
    shared_as: the environment, where its load balancer is another's, so that no rule has the place of another's.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: str,
        network: Network,
        balancer: Balancer,
        jwt: Jwt | None = None,
        host: str | None = None,
        shared_as: str = "",
    ) -> None:
        super().__init__(scope, construct_id)
        self._host, self._shared_as = host, shared_as
        self.blue = self._target_group("Blue", network)
        self.green = self._target_group("Green", network)
        self.production_rule = self._rule("ProductionRule", balancer.production, model, jwt)
        self.test_rule = self._rule("TestRule", balancer.test, model)

    def _target_group(self, name: str, network: Network) -> elb.ApplicationTargetGroup:
        return elb.ApplicationTargetGroup(
            self,
            name,
            vpc=network.vpc,
            target_type=elb.TargetType.IP,
            protocol=elb.ApplicationProtocol.HTTP,
            port=TASK_PORT,
            deregistration_delay=Duration.seconds(30),
            health_check=elb.HealthCheck(
                path="/ping",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _rule(
        self, name: str, listener: elb.IApplicationListener, model: str, jwt: Jwt | None = None
    ) -> elb.ApplicationListenerRule:
        """With `jwt`, nobody gets as far as a task without a token that its issuer signed for this audience."""
        forward = elb.ListenerAction.weighted_forward(
            [
                elb.WeightedTargetGroup(target_group=self.blue, weight=100),
                elb.WeightedTargetGroup(target_group=self.green, weight=0),
            ]
        )
        rule = elb.ApplicationListenerRule(
            self,
            name,
            listener=listener,
            priority=priority(f"{self._shared_as}/{model}" if self._shared_as else model),
            conditions=[
                *([elb.ListenerCondition.host_headers([self._host])] if self._host else []),
                elb.ListenerCondition.path_patterns([f"/{model}/*"]),
            ],
            action=elb.ListenerAction.authenticate_jwt(issuer=jwt.issuer, jwks_endpoint=jwt.jwks_endpoint, next=forward)
            if jwt
            else forward,
        )
        if jwt:
            resource = rule.node.default_child
            assert isinstance(resource, elb.CfnListenerRule)  # noqa: S101 - what the construct is made of
            audience = {"Name": "aud", "Format": jwt.audience_format, "Values": [jwt.audience]}
            resource.add_property_override("Actions.0.JwtValidationConfig.AdditionalClaims", [audience])
        return rule


def priority(model: str) -> int:
    """From 1 to 50,000, from the name alone: a new model must not move the rules of the others."""
    return int.from_bytes(hashlib.sha256(model.encode()).digest()[:4]) % PRIORITIES + 1
