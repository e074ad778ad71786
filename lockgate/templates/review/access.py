"""Who may do more than before, in words, from the statements that the differ found added and removed.

Each statement becomes grants of one action on one resource to one principal, so that statements which were only
merged, split or sorted cancel out, and what became narrower is not called wider.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from lockgate.templates.grave_actions import is_grave
from lockgate.templates.review.differ import StackChange
from lockgate.templates.review.finding import Finding, Risk


@dataclass(frozen=True)
class Grant:
    """One action on one resource for one principal; `condition` is canonical JSON."""

    effect: str
    action: str
    resource: str
    principal: str
    condition: str


def findings(change: StackChange, accounts: set[str]) -> Iterator[Finding]:
    """accounts: those of the app; a principal of another one is a stranger."""
    added, unread = _grants(change.iam.get("statementAdditions", []))
    removed, _ = _grants(change.iam.get("statementRemovals", []))
    for text in unread:
        yield Finding(Risk.HIGH, "access", change.stack, "a statement", f"cannot be read here: {text}")
    wider: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    risks: dict[tuple[str, str, str, str], Risk] = {}
    for grant in added:
        if grant.effect == "Allow" and not any(_covers(old, grant) for old in removed):
            before = [old for old in removed if _covers(old, grant, conditions=False)]
            kind = "freer" if before else "new"
            key = (kind, grant.principal, grant.resource, before[0].condition if before else grant.condition)
            wider[key].add(grant.action)
            risk = Risk.HIGH if before else _risk(grant, accounts)
            risks[key] = max(risk, risks.get(key, Risk.LOW))
    for grant in removed:
        if grant.effect == "Deny" and not any(_covers(new, grant) for new in added):
            key = ("undenied", grant.principal, grant.resource, grant.condition)
            wider[key].add(grant.action)
            risks[key] = Risk.HIGH
    for key, actions in wider.items():
        kind, principal, where, condition = key
        yield Finding(risks[key], "access", change.stack, _who(principal), _text(kind, actions, where, condition))
    for policy in change.iam.get("managedPolicyAdditions", []):
        value = policy.get("value", policy)
        name = str(value.get("managedPolicyArn", policy))
        text = f"gets the managed policy {name.rpartition('/')[2]}"
        yield Finding(Risk.HIGH, "access", change.stack, str(value.get("identityArn", "an identity")), text)
    for resource in change.resources:
        boundary, now = ((side or {}).get("Properties", {}).get("PermissionsBoundary") for side in resource.sides)
        if resource.base and resource.head and boundary and boundary != now:
            text = "its permissions boundary is removed or another one"
            yield Finding(Risk.HIGH, "access", change.stack, resource.id, text)


def _grants(statements: list[Mapping[str, Any]]) -> tuple[list[Grant], list[str]]:
    found, unread = [], []
    for entry in statements:
        if entry["type"] != "parsed":
            unread.append(str(entry["repr"])[:200])
            continue
        statement = entry["value"]
        condition = json.dumps(statement.get("condition") or {}, sort_keys=True)
        actions, resources, principals = (_values(statement[name]) for name in ("actions", "resources", "principals"))
        found += [
            Grant(statement["effect"], action, resource, principal, condition)
            for action, resource, principal in product(actions, resources, principals)
        ]
    return found, unread


def _values(target: Mapping[str, Any]) -> list[str]:
    if target["not"]:
        return ["everything but " + ", ".join(sorted(target["values"]))]
    return list(target["values"]) or [""]


def _covers(wide: Grant, narrow: Grant, conditions: bool = True) -> bool:
    """Whether every request that `narrow` is about is one that `wide` is about, as far as patterns show it."""
    return (
        wide.effect == narrow.effect
        and fnmatchcase(narrow.action.lower(), wide.action.lower())
        and (wide.resource == narrow.resource or fnmatchcase(narrow.resource, _pattern(wide.resource)))
        and (wide.principal == narrow.principal or wide.principal in ("*", "AWS:*"))
        and (not conditions or _narrower(json.loads(narrow.condition), json.loads(wide.condition)))
    )


def _pattern(resource: str) -> str:
    """IAM knows * and ?; a bracket in an ARN is a bracket."""
    return resource.replace("[", "[[]")


def _narrower(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether condition `new` holds only where `old` does: no key lost, no value more (for Not and Null: the same)."""
    for operator, keys in old.items():
        for key, values in keys.items():
            found = new.get(operator, {}).get(key)
            if found is None:
                return False
            before, after = ({*map(str, v)} if isinstance(v, list) else {str(v)} for v in (values, found))
            if after != before and ("Not" in operator or operator == "Null" or not after <= before):
                return False
    return True


def _risk(grant: Grant, accounts: set[str]) -> Risk:
    service = grant.principal.startswith("Service:")
    stranger = grant.principal in ("*", "AWS:*") or any(
        part.isdigit() and len(part) == 12 and part not in accounts for part in grant.principal.split(":")
    )
    taken = grant.action.startswith("sts:AssumeRole") and not service
    everything = grant.resource == "*" or "everything but" in grant.resource + grant.action + grant.principal
    return Risk.HIGH if stranger or taken or is_grave(grant.action) or everything else Risk.MEDIUM


def _who(principal: str) -> str:
    if principal in ("*", "AWS:*"):
        return "anyone"
    return principal.removeprefix("AWS:").removeprefix("Service:")


def _text(kind: str, actions: set[str], resource: str, condition: str) -> str:
    what = "anything" if "*" in actions else ", ".join(sorted(actions))
    where = "every resource" if resource == "*" else resource or "itself"
    if kind == "freer":
        return f"may {what} on {where} without the condition it had: {condition}"
    only = "" if condition == "{}" else f" where {condition}"
    if kind == "undenied":
        return f"is no longer denied {what} on {where}{only}"
    return f"may now {what} on {where}{only}"
