"""Which doors are opened: security groups as the differ reads them, and the properties that lead outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.templates.review.differ import ResourceChange, StackChange
from lockgate.templates.review.finding import Finding, Risk

_ANYWHERE = ("0.0.0.0/0", "::/0")
# (type, property, value that is open, what that means)
_OPEN: tuple[tuple[str, str, object, str], ...] = (
    ("AWS::EC2::Instance", "NetworkInterfaces.0.AssociatePublicIpAddress", True, "gets a public address"),
    ("AWS::EC2::Subnet", "MapPublicIpOnLaunch", True, "gives its members public addresses"),
    (
        "AWS::ECS::Service",
        "NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp",
        "ENABLED",
        "gives its tasks public addresses",
    ),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Scheme", "internet-facing", "can be reached from the internet"),
    ("AWS::ElasticLoadBalancingV2::Listener", "Protocol", "HTTP", "listens without TLS"),
    ("AWS::Lambda::Url", "AuthType", "NONE", "answers callers that nobody authenticated"),
    ("AWS::RDS::DBInstance", "PubliclyAccessible", True, "can be reached from the internet"),
    ("AWS::RDS::DBCluster", "PubliclyAccessible", True, "can be reached from the internet"),
    ("AWS::EC2::NetworkAclEntry", "RuleAction", "allow", "lets packets through"),
)
# Pages of open doors that answer by redirecting to TLS are no door.
_REDIRECT = "redirect"


def findings(change: StackChange) -> Iterator[Finding]:
    for direction, verb in (("ingress", "can be reached"), ("egress", "can reach out")):
        for rule in change.network.get(f"{direction}RuleAdditions", []):
            if not _nothing(rule):
                wide = _peer(rule) in _ANYWHERE and (direction == "ingress" or str(rule["ipProtocol"]) == "-1")
                peer = "anywhere" if _peer(rule) in _ANYWHERE else _peer(rule)
                text = f"{verb} {'from' if direction == 'ingress' else 'to'} {peer} on {_ports(rule)}"
                yield Finding(Risk.HIGH if wide else Risk.MEDIUM, "network", change.stack, rule["groupId"], text)
    for resource in change.resources:
        for text in _opened(resource):
            yield Finding(Risk.HIGH, "network", change.stack, f"{resource.id} ({resource.type})", text)


def _opened(resource: ResourceChange) -> Iterator[str]:
    if resource.head is None:
        return
    before, after = (dict((side or {}).get("Properties", {})) for side in resource.sides)
    for kind, path, value, meaning in _OPEN:
        if resource.type == kind and at(after, path) == value and at(before, path) != value:
            if any(str(action.get("Type")) == _REDIRECT for action in after.get("DefaultActions", [])):
                continue
            yield f"{meaning} ({path} is {value})"
    outside = any(key in after for key in ("GatewayId", "EgressOnlyInternetGatewayId"))
    if resource.type == "AWS::EC2::Route" and outside and after != before:
        target = after.get("DestinationCidrBlock") or after.get("DestinationIpv6CidrBlock")
        if target in _ANYWHERE:
            yield "leads to the internet"


def at(properties: Any, path: str) -> Any:
    """The value at a dotted path of keys and indices; None where there is none."""
    for key in path.split("."):
        if isinstance(properties, Mapping):
            properties = properties.get(key)
        elif isinstance(properties, list) and key.isdigit() and int(key) < len(properties):
            properties = properties[int(key)]
        else:
            return None
    return properties


def _nothing(rule: Mapping[str, Any]) -> bool:
    """CDK's rule that stands for no egress: ICMP to the broadcast address."""
    return _peer(rule) == "255.255.255.255/32"


def _peer(rule: Mapping[str, Any]) -> str:
    peer = rule.get("peer") or {}
    return str(peer.get("ip") or peer.get("securityGroupId") or peer.get("prefixListId") or "an unknown peer")


def _ports(rule: Mapping[str, Any]) -> str:
    first, last = rule.get("fromPort"), rule.get("toPort")
    protocol = "every protocol" if str(rule["ipProtocol"]) == "-1" else str(rule["ipProtocol"])
    if first is None or str(rule["ipProtocol"]) == "-1":
        return protocol
    return f"{protocol} {first}" if first == last else f"{protocol} {first} to {last}"
