"""Load balancers that route as AWS does: weighted forwards, only to targets whose health checks pass.

Listeners, rules and the proxying itself are the emulator's. Added here: target state, ForwardConfig in every
request, answer and template, the listener by port, and load balancers of every account by their DNS name.
Unlike AWS, a group whose targets are all unhealthy answers 503 instead of failing open.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import StreamingResponse, request_scope, set_request_account_id, set_request_region
from ministack.services import alb
from ministack.services.cloudformation import provisioners

from local import recorded
from local.cloudwatch import metrics
from local.elbv2 import jwt_validation, targets
from local.seams import rebind
from local.settings import Settings

_parse_actions = alb._parse_actions
_action_xml = alb._action_xml
_template_actions = provisioners._elbv2_listener_actions
_register_targets = alb._register_targets
_deregister_targets = alb._deregister_targets
_describe_target_health = alb._describe_target_health
_execute_actions = alb._execute_actions
_forward_to_tg = alb._forward_to_tg
_proxy_http_target = alb._proxy_http_target
_dispatch_request = alb.dispatch_request

_HTTP_GROUPS = ("instance", "ip")
_UNAVAILABLE = """<html>
<head><title>503 Service Temporarily Unavailable</title></head>
<body>
<center><h1>503 Service Temporarily Unavailable</h1></center>
</body>
</html>
"""


def install(settings: Settings) -> None:
    """Extend the emulator's load balancers in place."""
    gateway_port = settings.port

    async def dispatch(lb: Any, *args: Any, port: int = 80, **kwargs: Any) -> Any:
        method, path, headers, body, query, *rest = args
        given = rest[0] if rest else port
        return await _dispatch_request(
            lb, method, path, headers, body, query, listener_port(lb, given, headers, gateway_port), **kwargs
        )

    rebind("services.alb.dispatch_request", dispatch)
    rebind("services.alb.find_lb_for_host", _load_balancer_of)
    rebind("services.alb._parse_actions", _actions_with_forward)

    async def execute(
        actions: list[dict[str, Any]], method: str, path: str, headers: Any, *args: Any, **kw: Any
    ) -> Any:
        ordered = sorted(actions, key=lambda action: int(action.get("Order", 1)))
        for action in [each for each in ordered if each["Type"] == "jwt-validation"]:
            refused = await jwt_validation.refuse(action, headers, str(settings.ca_bundle))
            if refused is not None:
                return refused
        rest = [each for each in ordered if each["Type"] != "jwt-validation"]
        return await _execute(rest, method, path, headers, *args, **kw)

    rebind("services.alb._action_xml", _xml_with_forward)
    rebind("services.alb._execute_actions", execute)
    rebind("services.alb._forward_to_tg", _forward)
    rebind("services.alb._ACTION_MAP[RegisterTargets]", _register)
    rebind("services.alb._ACTION_MAP[DeregisterTargets]", _deregister)
    rebind("services.alb._ACTION_MAP[DescribeTargetHealth]", _describe_health)
    rebind("services.cloudformation.provisioners._elbv2_listener_actions", _actions_of_template)
    # TargetGroupFullName of AWS::ElasticLoadBalancingV2::TargetGroup, as metrics name it.
    rebind("services.alb._target_group_full_name_from_arn", lambda arn: arn.rpartition(":")[2])
    metrics.install(settings)


def register(group: str, address: str, port: int) -> targets.RegisteredTarget:
    """Register a target; its health checks follow the group's settings until it or the group is gone."""
    account, region = group.split(":")[4], group.split(":")[3]

    def description() -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = alb._tgs.get_scoped(account, region, group)
        return found

    return targets.register(group, address, port, description)


def deregister(target: targets.RegisteredTarget) -> None:
    """Drain a target for at most the group's deregistration delay, then forget it. Waits until then."""
    with request_scope(target.group.split(":")[4], target.group.split(":")[3]):
        attributes = {a["Key"]: a["Value"] for a in alb._tg_attrs.get(target.group, [])}
    targets.deregister(target, float(attributes.get("deregistration_delay.timeout_seconds", 300)))


def weights(rule_arn: str) -> dict[str, int]:
    """Weight of each target group in a rule's forward action. Raises KeyError when the rule does not exist."""
    action = _forward_action(rule_arn)
    return {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}


def tags(arn: str) -> dict[str, str]:
    """The condition keys of a target group's tags. The emulator keeps none of a rule."""
    return {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in alb._tags.get(arn, [])}


def set_weights(rule_arn: str, new: Mapping[str, int]) -> None:
    """Rewrite the weights of a rule's forward action, as ECS does during a deployment."""
    action = _forward_action(rule_arn)
    _put_forward(action, [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in new.items()])


def listener_port(lb: Mapping[str, Any], given: int, headers: Mapping[str, str], gateway_port: int) -> int:
    """The listener a request was meant for: the port in its Host, else the scheme's own, else the only one."""
    ports = [
        listener["Port"] for listener in alb._listeners.values() if listener["LoadBalancerArn"] == lb["LoadBalancerArn"]
    ]
    host_port = headers.get("host", "").rpartition(":")[2]
    if host_port.isdigit() and int(host_port) != gateway_port:
        return given
    preferred = (80, 443) if headers.get("x-forwarded-proto") == "http" else (443, 80)
    return next((port for port in preferred if port in ports), min(ports, default=given))


def _load_balancer_of(host: str) -> Mapping[str, Any] | None:
    """Find a load balancer by DNS name in any account, and continue the request in that account.

    A name that a rule's host condition has is taken for an alias of the rule's load balancer.
    """
    hostname = host.split(":")[0].lower()
    for (account, region, arn), lb in alb._lbs.all_items():
        if lb["DNSName"].lower() == hostname or hostname in _hosts_of(arn):
            set_request_account_id(account)
            set_request_region(region)
            found: Mapping[str, Any] = lb
            return found
    return None


def _hosts_of(load_balancer: str) -> set[str]:
    """The names in host conditions of a load balancer's rules, in any account."""
    listeners = {arn for (_, _, arn), found in alb._listeners.all_items() if found["LoadBalancerArn"] == load_balancer}
    return {
        name.lower()
        for _, rule in alb._rules.all_items()
        if rule.get("ListenerArn") in listeners
        for condition in rule["Conditions"]
        if condition["Field"] == "host-header"
        for name in condition.get("Values") or condition.get("HostHeaderConfig", {}).get("Values", ())
    }


def _forward_action(rule_arn: str) -> dict[str, Any]:
    account, region = rule_arn.split(":")[4], rule_arn.split(":")[3]
    rule = alb._rules.get_scoped(account, region, rule_arn)
    if rule is None:
        raise KeyError(f"listener rule {rule_arn} not found")
    for action in rule["Actions"]:
        if action["Type"] == "forward":
            chosen: dict[str, Any] = action
            return chosen
    raise KeyError(f"listener rule {rule_arn} has no forward action")


def _put_forward(action: dict[str, Any], groups: list[dict[str, Any]]) -> None:
    """As AWS answers: ForwardConfig always, TargetGroupArn only where there is one group."""
    stickiness = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {"Enabled": False})
    action["ForwardConfig"] = {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}
    action.pop("TargetGroupArn", None)
    if len(groups) == 1:
        action["TargetGroupArn"] = groups[0]["TargetGroupArn"]


def _actions_with_forward(params: Mapping[str, Any], prefix: str = "DefaultActions") -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = _parse_actions(params, prefix)
    for number, action in enumerate(actions, start=1):
        if action["Type"] == "jwt-validation":
            action["JwtValidationConfig"] = _jwt_config(params, f"{prefix}.member.{number}.JwtValidationConfig")
        if action["Type"] != "forward":
            continue
        groups: list[dict[str, Any]] = []
        path = f"{prefix}.member.{number}.ForwardConfig.TargetGroups.member."
        while arn := alb._p(params, f"{path}{len(groups) + 1}.TargetGroupArn"):
            weight = alb._p(params, f"{path}{len(groups) + 1}.Weight", "1")
            groups.append({"TargetGroupArn": arn, "Weight": int(weight)})
        _put_forward(action, groups or [{"TargetGroupArn": action.get("TargetGroupArn", ""), "Weight": 1}])
    return actions


def _jwt_config(params: Mapping[str, Any], path: str) -> dict[str, Any]:
    claims: list[dict[str, Any]] = []
    while name := alb._p(params, (claim := f"{path}.AdditionalClaims.member.{len(claims) + 1}") + ".Name"):
        values: list[str] = []
        while value := alb._p(params, f"{claim}.Values.member.{len(values) + 1}"):
            values.append(value)
        claims.append({"Name": name, "Format": alb._p(params, f"{claim}.Format"), "Values": values})
    endpoints = {name: alb._p(params, f"{path}.{name}") for name in ("Issuer", "JwksEndpoint")}
    return {**endpoints, "AdditionalClaims": claims}


def _actions_of_template(
    props: Mapping[str, Any], lb_arn: str | None, prop: str = "DefaultActions"
) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = _template_actions(props, lb_arn, prop)
    declared = [action for action in props.get(prop) or [] if isinstance(action, dict)]
    for action, template in zip(actions, declared, strict=True):
        if action["Type"] == "jwt-validation":
            action["JwtValidationConfig"] = template["JwtValidationConfig"]
        if action["Type"] != "forward":
            continue
        config = template.get("ForwardConfig") or {}
        if str((config.get("TargetGroupStickinessConfig") or {}).get("Enabled", "false")).lower() == "true":
            recorded.note("elasticloadbalancing", "stickiness between target groups is accepted, not performed")
        groups = [
            {"TargetGroupArn": group["TargetGroupArn"], "Weight": int(group.get("Weight", 1))}
            for group in config.get("TargetGroups") or []
        ]
        _put_forward(action, groups or [{"TargetGroupArn": action.get("TargetGroupArn", ""), "Weight": 1}])
    return actions


def _xml_with_forward(action: Mapping[str, Any]) -> str:
    text: str = _action_xml(action)
    if "JwtValidationConfig" in action:
        config = action["JwtValidationConfig"]
        said = f"<JwksEndpoint>{config['JwksEndpoint']}</JwksEndpoint><Issuer>{config['Issuer']}</Issuer>"
        text = text.removesuffix("</member>") + f"<JwtValidationConfig>{said}</JwtValidationConfig></member>"
    if "ForwardConfig" not in action:
        return text
    config = action["ForwardConfig"]
    groups = "".join(
        f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn><Weight>{group['Weight']}</Weight></member>"
        for group in config["TargetGroups"]
    )
    enabled = str(config["TargetGroupStickinessConfig"].get("Enabled", False)).lower()
    forward = (
        f"<ForwardConfig><TargetGroups>{groups}</TargetGroups><TargetGroupStickinessConfig>"
        f"<Enabled>{enabled}</Enabled></TargetGroupStickinessConfig></ForwardConfig>"
    )
    return text.removesuffix("</member>") + forward + "</member>"


async def _execute(actions: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
    """Choose a group by weight for every forward, then let the emulator run the actions."""
    chosen = []
    for action in actions:
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        if action["Type"] == "forward" and groups:
            shares = [group["Weight"] for group in groups]
            if not any(shares):
                return _unavailable()
            group = random.choices(groups, weights=shares)[0]  # noqa: S311  (no secret depends on it)
            action = {**action, "TargetGroupArn": group["TargetGroupArn"]}
        chosen.append(action)
    return await _execute_actions(chosen, *args, **kwargs)


async def _forward(
    group: str,
    method: str,
    path: str,
    headers: Any,
    body: Any,
    query: Any,
    raw_query: str | None = None,
    raw_path: str | None = None,
) -> Any:
    description = alb._tgs.get(group)
    if description is None or description["TargetType"] not in _HTTP_GROUPS:
        return await _forward_to_tg(group, method, path, headers, body, query, raw_query, raw_path)
    healthy = [target for target in targets.of(group) if target.state == "healthy"]
    if not healthy:
        return _unavailable()
    target = min(healthy, key=lambda one: (one.in_flight, random.random()))  # noqa: S311
    flight = targets.serving(target)
    flight.__enter__()
    asked = time.monotonic()
    try:
        status, answer_headers, answer = await _proxy_http_target(
            {"Id": target.address, "Port": target.port},
            description,
            method,
            raw_path or path,
            headers,
            body,
            query,
            raw_query,
        )
    except BaseException:
        flight.__exit__(None, None, None)
        raise
    by_target = isinstance(answer, StreamingResponse)
    if int(status) == 200:
        target.answered = time.monotonic()
    metrics.answered(group, int(status), time.monotonic() - asked, by_target=by_target)
    if not by_target:
        flight.__exit__(None, None, None)
        return status, answer_headers, answer
    stream = answer.runner

    async def counted(send: Any, receive: Any) -> None:
        try:
            await stream(send, receive)
        finally:
            flight.__exit__(None, None, None)

    return status, answer_headers, StreamingResponse(counted)


def _unavailable() -> Any:
    """A load balancer's own page, where no target can answer; it says no reason."""
    return 503, {"Content-Type": "text/html"}, _UNAVAILABLE.encode()


def _group_of(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The HTTP target group a request names; None leaves the request to the emulator."""
    group: Mapping[str, Any] | None = alb._tgs.get(alb._p(params, "TargetGroupArn"))
    return group if group is not None and group["TargetType"] in _HTTP_GROUPS else None


def _register(params: Mapping[str, Any]) -> Any:
    group = _group_of(params)
    if group is None:
        return _register_targets(params)
    for target in alb._parse_targets_param(params):
        register(group["TargetGroupArn"], target["Id"], target.get("Port", group["Port"]))
    return alb._empty("RegisterTargets")


def _deregister(params: Mapping[str, Any]) -> Any:
    group = _group_of(params)
    if group is None:
        return _deregister_targets(params)
    for given in alb._parse_targets_param(params):
        target = targets.registered(group["TargetGroupArn"], given["Id"], given.get("Port", group["Port"]))
        if target is not None:
            threading.Thread(target=deregister, args=(target,), daemon=True).start()
    return alb._empty("DeregisterTargets")


def _describe_health(params: Mapping[str, Any]) -> Any:
    group = _group_of(params)
    if group is None:
        return _describe_target_health(params)
    wanted = [(t["Id"], t.get("Port", group["Port"])) for t in alb._parse_targets_param(params)]
    members = "".join(
        f"<member><Target><Id>{target.address}</Id><Port>{target.port}</Port></Target>"
        f"<HealthCheckPort>{target.port}</HealthCheckPort><TargetHealth><State>{target.state}</State>"
        + (f"<Reason>{target.reason}</Reason>" if target.reason else "")
        + (f"<Description>{target.description}</Description>" if target.description else "")
        + "</TargetHealth></member>"
        for target in targets.of(group["TargetGroupArn"])
        if not wanted or (target.address, target.port) in wanted
    )
    inner = f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", inner)
