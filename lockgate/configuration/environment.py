"""An environment that serves: environments/<name>.toml, over the file of the one that it extends."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate import names
from lockgate.configuration.forms import ACCOUNT, DASHED, DASHED_EXPECTED, REGION, REGION_EXPECTED
from lockgate.configuration.rollout import Rollout, read_rollout
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.policy.rules import Rule, read_rules

LONGEST_NAME = 16
ENVIRONMENT_NAME = re.compile(DASHED.format(most=LONGEST_NAME))
OWN_STAGES = ("tools", "anchor")  # stages of the app that no release goes to
CERTIFICATE = re.compile(r"arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]{36}")
# Memory that Fargate offers with each CPU size, in MiB.
FARGATE_MEMORY: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}
HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
CIDR = re.compile(r"[0-9.]+/(1[6-9]|2[0-4])")
HTTPS = re.compile(r"https://[\x21-\x7e]{1,248}", re.ASCII)
AUDIENCE_FORMATS = ("single-string", "string-array", "space-separated-values")
PERMISSION_SET = r"AWSReservedSSO_[\w+=,.@-]{1,32}"


@dataclass(frozen=True)
class Jwt:
    """What a caller's token must say at the load balancer: who issued it, for whom, and where the issuer's keys are.

    audience_format: how the issuer writes the claim `aud`, as the load balancer names formats.
    """

    issuer: str
    jwks_endpoint: str
    audience: str
    audience_format: str


@dataclass(frozen=True)
class Environment:
    """An environment that serves: dev, staging, prod. CPU in ECS units (1024 = one vCPU), memory in MiB.

    approvals: how many persons must approve a release; approvers and break_glass: names of the roles whose sessions
    may; a permission set of Identity Center is AWSReservedSSO_<its name>.
    prediction_distance: how far the distribution of predictions may be from evaluation's
    (lockgate.evidence.distribution).
    host: the name that callers use and the certificate is for; None: the load balancer's own name.
    edge: the environment whose network and load balancer serve this one: its own, by default.
    rules: what every model must meet here, beside its own policy.
    vpc_cidr, certificate_arn: of that network and load balancer. flow_logs: whether that network's traffic is logged.
    """

    name: str
    account: str
    region: str
    certificate_arn: str
    vpc_cidr: str
    cpu: int
    memory: int
    tasks: int
    prediction_distance: float
    host: str | None
    edge: str
    flow_logs: bool
    jwt: Jwt | None
    approvals: int
    approvers: tuple[str, ...]
    break_glass: tuple[str, ...]
    rollout: Rollout
    infrastructure_approvals: int
    rules: tuple[Rule, ...]


def read_environment(file: Path) -> Environment:
    """One environment; what its file does not say, the file that it extends says."""
    table = _extended(file, ())
    service = table.table("service")
    environment = Environment(
        name=_environment_name(file.stem, f"environments/{file.name}"),
        account=table.text("account", ACCOUNT, "12 digits"),
        region=table.text("region", REGION, REGION_EXPECTED),
        certificate_arn=service.text("certificate_arn", CERTIFICATE, "the ARN of an ACM certificate"),
        vpc_cidr=_network(service),
        cpu=service.choice("cpu", (256, 512, 1024, 2048, 4096)),
        memory=service.integer("memory", 512, 30720),
        tasks=service.integer("tasks", 1, 100),
        prediction_distance=service.number("prediction_distance", 0.2),
        host=service.optional_text("host", HOST, "a host name without scheme and port"),
        edge=service.optional_text("edge", ENVIRONMENT_NAME, "the name of an environment") or file.stem,
        flow_logs=service.flag("flow_logs", default=True),
        jwt=_jwt(service),
        approvals=table.integer("approvals", 0, 5),
        approvers=_roles(table, "approvers", names.APPROVER_ROLE),
        break_glass=_roles(table, "break_glass", names.BREAK_GLASS_ROLE),
        rollout=read_rollout(table.table("deployment")),
        infrastructure_approvals=table.integer("infrastructure_approvals", 0, 5, 1),
        rules=read_rules(table),
    )
    service.finish()
    table.finish()
    if not 0 < environment.prediction_distance <= 1:
        found = environment.prediction_distance
        raise ConfigError(f"environments/{file.name}", "service.prediction_distance", found, "more than 0, at most 1")
    offered = FARGATE_MEMORY[environment.cpu]
    if environment.memory not in offered:
        expected = f"one of {', '.join(map(str, offered))} with cpu {environment.cpu}"
        raise ConfigError(table.file, "service.memory", environment.memory, expected)
    return environment


def _roles(table: Table, key: str, role: str) -> tuple[str, ...]:
    """Names of roles that the tools account makes (`role`, or one like it), or of permission sets."""
    kind = role.removeprefix("lockgate-")
    pattern = re.compile(rf"lockgate-([a-z0-9]+-)?{kind}|{PERMISSION_SET}", re.ASCII)
    found = table.optional_names(key, (role,))
    wrong = [name for name in found if not pattern.fullmatch(name)]
    if wrong:
        expected = f"{role}, lockgate-<word>-{kind} or AWSReservedSSO_<permission set>"
        raise ConfigError(table.file, table.key(key), wrong[0], expected)
    return found


def _jwt(service: Table) -> Jwt | None:
    """[service.jwt], or None: then whoever reaches the load balancer may ask."""
    if not service.has("jwt"):
        return None
    table = service.table("jwt")
    found = Jwt(
        issuer=table.text("issuer", HTTPS, "the URL of the issuer, https"),
        jwks_endpoint=table.text("jwks_endpoint", HTTPS, "the URL of the issuer's keys, https"),
        audience=table.text("audience"),
        audience_format=table.choice("audience_format", AUDIENCE_FORMATS, "single-string"),
    )
    table.finish()
    return found


def _extended(file: Path, extending: tuple[str, ...]) -> Table:
    """A file's table over that of the environment it `extends`: tables key by key, rules by their names."""
    table = Table.read(file, f"environments/{file.name}")
    base = table.optional_text("extends") or ""
    if not base:
        return table
    if base in (*extending, file.stem) or not (file.parent / f"{base}.toml").is_file() or base == "tools":
        raise ConfigError(table.file, "extends", base, "the name of another environment, without going in a circle")
    below = _extended(file.parent / f"{base}.toml", (*extending, file.stem)).data
    above = {key: value for key, value in table.data.items() if key != "extends"}
    return Table(table.file, "", _over(below, above))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _over(under, value)
        elif key == "rule" and isinstance(value, list) and isinstance(under, list):
            merged[key] = _rules_over(under, value)
        else:
            merged[key] = value
    return merged


def _rules_over(below: list[Any], above: list[Any]) -> list[Any]:
    """A rule takes the place of the one of its name, whole; a new one comes after."""
    names = [rule.get("name") for rule in above if isinstance(rule, dict)]
    return [rule for rule in below if not isinstance(rule, dict) or rule.get("name") not in names] + above


def _network(table: Table) -> str:
    expected = "an IPv4 network from /16 to /24, such as 10.20.0.0/20"
    found = table.text("vpc_cidr", CIDR, expected)
    try:
        return str(ipaddress.IPv4Network(found))
    except ValueError as error:  # an address out of range, or one inside the network
        raise ConfigError(table.file, table.key("vpc_cidr"), found, expected) from error


def _environment_name(name: str, file: str) -> str:
    if not ENVIRONMENT_NAME.fullmatch(name):
        raise ConfigError(file, "name", name, DASHED_EXPECTED.format(most=LONGEST_NAME))
    if "-release" in name:  # or rights on all release stacks of one environment would be rights on those of another
        raise ConfigError(
            file, "name", name, "another name: release stacks are called lockgate-<environment>-release-…"
        )
    if name in OWN_STAGES:
        raise ConfigError(file, "name", name, "another name: the app has a stage of this name that no release goes to")
    return name
