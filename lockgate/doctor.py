"""Whether an account is ready for its first deploy, from what was found there: each check with what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "note", "missing"]

QUALIFIER = "hnb659fds"  # CDK's own
BOOTSTRAP = 6  # what the templates ask for
ADMINISTRATOR = "AdministratorAccess"
ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
CERTIFICATE_DAYS = 30
CONCURRENCY = 20  # of functions: a new account may have 10, which one promotion and its schedules can fill
# Service -> the role that it acts with; made on first use by whoever may, and a release's narrow role may not always.
LINKED_ROLES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


@dataclass(frozen=True)
class AccountCheck:
    """One check: "missing" keeps a deploy from working, a "note" does not. todo: "" where there is nothing to do."""

    check: str
    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True)
class Certificate:
    """As ACM has it; days: until it expires, None while it has no end."""

    status: str
    days: int | None


@dataclass(frozen=True)
class Wanted:
    """What the project says of the account; certificate_arn: None for tools, which serve nothing.

    repository_id: of the GitHub repository whose Lockgate this is.
    """

    name: str
    account: str
    region: str
    certificate_arn: str | None
    provider_arn: str | None
    repository_id: str = ""


@dataclass(frozen=True)
class AccountState:
    """What the account has; None where it has no such thing.

    providers: ARN -> audiences, of GitHub's issuer only.
    provider_is_ours: whether Lockgate's own delivery stack made the one that is there.
    linked_services: those that have their role.
    owners: each stack whose name begins as ours do -> the id of the repository that made it, "" where it says none.
    """

    account: str
    bootstrap: int | None
    trusted: Sequence[str]
    execution_policies: Sequence[str]
    providers: Mapping[str, Sequence[str]]
    provider_is_ours: bool
    scan_type: str
    certificate: Certificate | None
    linked_services: Sequence[str]
    concurrency: int
    owners: Mapping[str, str] = field(default_factory=dict)


def foreign_stacks(owners: Mapping[str, str], repository_id: str) -> str:
    """The stacks that the Lockgate of another repository made, named: a deploy would take them over. "" for none."""
    foreign = {stack: owner for stack, owner in owners.items() if owner and owner != repository_id}
    return ", ".join(f"{stack} (repository {owner})" for stack, owner in sorted(foreign.items()))


def diagnose(wanted: Wanted, found: AccountState) -> list[AccountCheck]:
    """Every check that concerns the account, in the order in which one would repair."""
    if found.account != wanted.account:
        todo = f"use credentials of {wanted.account}, or set account in environments/{wanted.name}.toml"
        return [AccountCheck("account", "missing", f"{found.account}, expected {wanted.account}", todo)]
    common = [AccountCheck("account", "ok", found.account), _owner(wanted, found), *_bootstrap(wanted, found)]
    if wanted.certificate_arn is None:
        return [*common, _provider(wanted, found), _scan(found), _concurrency(found)]
    return [*common, _certificate(wanted, found), *_linked(found), _scan(found), _concurrency(found)]


def _owner(wanted: Wanted, found: AccountState) -> AccountCheck:
    foreign = foreign_stacks(found.owners, wanted.repository_id)
    if not foreign:
        return AccountCheck("names", "ok", "no stack of another Lockgate has ours")
    todo = (
        f"this project is repository {wanted.repository_id}; use another account, or set repository_id in "
        "environments/tools.toml to the one whose stacks these are"
    )
    return AccountCheck("names", "missing", f"another Lockgate is here: {foreign}; a deploy would take it over", todo)


def _bootstrap(wanted: Wanted, found: AccountState) -> list[AccountCheck]:
    command = f"cdk bootstrap aws://{wanted.account}/{wanted.region}"
    if found.bootstrap is None:
        return [AccountCheck("bootstrap", "missing", "the account is not bootstrapped", command)]
    if found.bootstrap < BOOTSTRAP:
        said = f"version {found.bootstrap}, expected {BOOTSTRAP} or newer"
        return [AccountCheck("bootstrap", "missing", said, command)]
    findings = [AccountCheck("bootstrap", "ok", f"version {found.bootstrap}")]
    strangers = [account for account in found.trusted if account != wanted.account]
    if strangers:
        said = f"{', '.join(strangers)} may deploy here (--trust)"
        todo = "Lockgate needs no such trust; bootstrap again without --trust unless you need it otherwise"
        findings.append(AccountCheck("bootstrap trust", "note", said, todo))
    if ADMINISTRATOR in found.execution_policies:
        said = f"CloudFormation deploys as {ADMINISTRATOR}: whoever may deploy is an administrator"
        todo = f"{command} --cloudformation-execution-policies <ARN of a policy of your own>, or leave it knowingly"
        findings.append(AccountCheck("bootstrap policies", "note", said, todo))
    elif not found.execution_policies:
        said = "CloudFormation may do nothing: its role has no policy"
        todo = f"{command} --cloudformation-execution-policies <ARN>"
        findings.append(AccountCheck("bootstrap policies", "missing", said, todo))
    else:
        findings.append(AccountCheck("bootstrap policies", "ok", ", ".join(found.execution_policies)))
    return findings


def _provider(wanted: Wanted, found: AccountState) -> AccountCheck:
    """An account has one provider of an issuer: ours, or one that environments/tools.toml names."""
    check = "identity provider"
    if wanted.provider_arn is None:
        if not found.providers or found.provider_is_ours:
            said = "made by the delivery stack" if found.providers else "none: the delivery stack will make it"
            return AccountCheck(check, "ok", said)
        (arn,) = found.providers
        todo = f'set provider_arn = "{arn}" under [github] in environments/tools.toml'
        return AccountCheck(check, "missing", f"{arn} is there, and an account has one of an issuer", todo)
    if wanted.provider_arn not in found.providers:
        todo = f"make it (https://{ISSUER}, audience {AUDIENCE}), or take provider_arn out of environments/tools.toml"
        return AccountCheck(check, "missing", f"found no {wanted.provider_arn}", todo)
    if AUDIENCE not in found.providers[wanted.provider_arn]:
        said = f"{wanted.provider_arn} does not know the audience {AUDIENCE}"
        return AccountCheck(check, "missing", said, f"add {AUDIENCE} to its audiences (client ids)")
    return AccountCheck(check, "ok", wanted.provider_arn)


def _scan(found: AccountState) -> AccountCheck:
    if found.scan_type == "BASIC":
        return AccountCheck("image scans", "ok", "basic, on push")
    said = f"{found.scan_type.lower()}: set for the whole account, which then ignores what a repository says"
    todo = "see that its rules cover lockgate-*; enhanced scans are Amazon Inspector's, which charges for each image"
    return AccountCheck("image scans", "note", said, todo)


def _certificate(wanted: Wanted, found: AccountState) -> AccountCheck:
    check, arn, certificate = "certificate", wanted.certificate_arn, found.certificate
    order = f"request or import one in {wanted.region}, and set certificate_arn in environments/{wanted.name}.toml"
    if certificate is None:
        return AccountCheck(check, "missing", f"found no {arn}", order)
    if certificate.status != "ISSUED":
        todo = "add the record that ACM shows to your zone, and wait until it is issued"
        return AccountCheck(check, "missing", f"{arn} is {certificate.status}, expected ISSUED", todo)
    if certificate.days is not None and certificate.days < CERTIFICATE_DAYS:
        return AccountCheck(check, "note", f"{arn} expires in {certificate.days} days", order)
    return AccountCheck(check, "ok", str(arn))


def _linked(found: AccountState) -> list[AccountCheck]:
    return [
        AccountCheck("service-linked role", "ok", role)
        if service in found.linked_services
        else AccountCheck(
            "service-linked role",
            "missing",
            f"found no {role}",
            f"aws iam create-service-linked-role --aws-service-name {service}",
        )
        for service, role in LINKED_ROLES.items()
    ]


def _concurrency(found: AccountState) -> AccountCheck:
    said = f"{found.concurrency} functions at once"
    if found.concurrency >= CONCURRENCY:
        return AccountCheck("quota of Lambda", "ok", said)
    todo = "ask for 1000 under Service Quotas, AWS Lambda, Concurrent executions; AWS grants it in a day"
    return AccountCheck("quota of Lambda", "note", f"{said}, a new account's number", todo)
