"""Which target group a deployment fills, and how its traffic is shifted there by rewriting listener rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.elbv2 import load_balancers
from local.iam import roles


@dataclass(frozen=True)
class Route:
    """One load balancer of a service during one deployment: traffic goes from group `old` to group `new`.

    Without rules (rolling deployments) `old` and `new` are the same group and nothing is shifted.
    """

    container: str
    port: int
    old: str
    new: str
    production: str | None = None
    test: str | None = None

    def shift_test(self, percent: int) -> None:
        if self.test:
            load_balancers.set_weights(self.test, self._weights(percent))

    def shift_production(self, percent: int) -> None:
        """Send `percent` of production requests to the new group."""
        if self.production:
            load_balancers.set_weights(self.production, self._weights(percent))

    def _weights(self, percent: int) -> dict[str, int]:
        return {self.new: percent, self.old: 100 - percent}


def routes(service: Mapping[str, Any], first: bool) -> list[Route]:
    """The routes of a service's next deployment.

    With blue/green the new tasks go to the group that does not serve now; the first deployment goes to the
    service's own targetGroupArn, whatever the rule says. Raises KeyError when a listener rule does not exist.
    """
    return [_route(balancer, first) for balancer in service.get("loadBalancers") or []]


def refusal(service: Mapping[str, Any]) -> str | None:
    """Why the role that a service gives ECS may not shift its traffic; None when it may."""
    for balancer in service.get("loadBalancers") or []:
        advanced = balancer.get("advancedConfiguration") or {}
        if not advanced:
            continue
        source = {"aws:SourceArn": service["serviceArn"]}
        assumed = roles.assume(advanced["roleArn"], "ecs.amazonaws.com", "ecs-service-deployment", source)
        key = assumed["AWS_ACCESS_KEY_ID"]
        rules = (advanced["productionListenerRule"], advanced.get("testListenerRule"))
        groups = (balancer["targetGroupArn"], advanced["alternateTargetGroupArn"])
        needed = [("elasticloadbalancing:ModifyRule", rule) for rule in rules if rule]
        needed += [("elasticloadbalancing:RegisterTargets", group) for group in groups]
        needed += [("elasticloadbalancing:DeregisterTargets", group) for group in groups]
        for action, arn in needed:
            if not roles.allowed(key, action, arn, keys=load_balancers.tags(arn)):
                return f"{advanced['roleArn']} is not authorized to perform: {action} on resource: {arn}"
    return None


def traffic_steps(configuration: Mapping[str, Any], *, first: bool = False) -> list[tuple[int, float]]:
    """(percent of production traffic, minutes to wait then) of a deployment configuration, ending at 100 percent.

    first: nothing serves yet, so there is nothing to shift from: all traffic at once.
    """
    last = (100, float(configuration.get("bakeTimeInMinutes") or 0))
    strategy = configuration.get("strategy", "ROLLING")
    if first:
        return [last]
    if strategy == "CANARY":
        canary = configuration.get("canaryConfiguration") or {}
        percent, minutes = float(canary.get("canaryPercent", 5)), float(canary.get("canaryBakeTimeInMinutes", 10))
        return [(round(percent), minutes), last]
    if strategy == "LINEAR":
        linear = configuration.get("linearConfiguration") or {}
        percent, minutes = float(linear.get("stepPercent", 10)), float(linear.get("stepBakeTimeInMinutes", 6))
        return [(round(percent * step), minutes) for step in range(1, _whole(100 / percent))] + [last]
    return [last]


def problem(request: Mapping[str, Any]) -> str | None:
    """Why ECS refuses a service's deployment configuration; None when it is complete."""
    strategy = (request.get("deploymentConfiguration") or {}).get("strategy", "ROLLING")
    if strategy not in ("ROLLING", "BLUE_GREEN", "CANARY", "LINEAR"):
        return f"Invalid deployment strategy: {strategy}"
    if strategy == "ROLLING":
        return None
    for balancer in request.get("loadBalancers") or []:
        advanced = balancer.get("advancedConfiguration") or {}
        missing = [
            key for key in ("alternateTargetGroupArn", "productionListenerRule", "roleArn") if not advanced.get(key)
        ]
        if missing:
            return f"advancedConfiguration of a load balancer lacks {', '.join(missing)} for {strategy}"
    return None


def _route(balancer: Mapping[str, Any], first: bool) -> Route:
    container, port = balancer["containerName"], int(balancer["containerPort"])
    primary, advanced = balancer["targetGroupArn"], balancer.get("advancedConfiguration") or {}
    alternate = advanced.get("alternateTargetGroupArn")
    if not alternate:
        return Route(container, port, old=primary, new=primary)
    production = advanced["productionListenerRule"]
    serving = _serving(load_balancers.weights(production), (primary, alternate))
    new = primary if first or serving == alternate else alternate
    old = alternate if new == primary else primary
    return Route(container, port, old, new, production, advanced.get("testListenerRule"))


def _serving(weights: Mapping[str, int], groups: Sequence[str]) -> str:
    return max(groups, key=lambda group: weights.get(group, 0))


def _whole(steps: float) -> int:
    return int(-(-steps // 1))
