"""The typed configuration: environments/<name>.toml and model/<name>/model.toml, checked whole at synth.

Every mistake is a ConfigError with file, key, what was found and what was expected.
"""

from __future__ import annotations

import ast
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate import names
from lockgate.configuration.persons import Person
from lockgate.configuration.rollout import Rollout, read_rollout
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.policy.rules import Policy, read_policy

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
PINNED_IMAGE = re.compile(r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CERTIFICATE = re.compile(r"arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]{36}")
# Memory that Fargate offers with each CPU size, in MiB.
FARGATE_MEMORY: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}
REVIEW_THRESHOLDS = ("low", "medium", "high", "none")
PROVIDER = re.compile(r"arn:aws:iam::[0-9]{12}:oidc-provider/token\.actions\.githubusercontent\.com")
HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
CIDR = re.compile(r"[0-9.]+/(1[6-9]|2[0-4])")
HTTPS = re.compile(r"https://[\x21-\x7e]{1,248}", re.ASCII)
AUDIENCE_FORMATS = ("single-string", "string-array", "space-separated-values")
ACTOR = re.compile(r"[0-9]{2,64}")
USER = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
PERMISSION_SET = r"AWSReservedSSO_[\w+=,.@-]{1,32}"


@dataclass(frozen=True)
class GitHub:
    """The one repository and branch whose pushes are delivered; ids never change, names can be recycled.

    subject_form: "ids" for repositories made or renamed since 2026-07-15, whose tokens say `owner@id/name@id`
    (github/docs#45221); "names" for older ones. The trust names repository_id either way.
    provider_arn: GitHub's identity provider where the account has one, which it can have only once.
    """

    owner: str
    owner_id: str
    repository: str
    repository_id: str
    branch: str
    subject_form: str
    provider_arn: str | None

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def subject(self) -> str:
        """The exact `sub` of a job of a push to the branch."""
        return f"{self._repository}:ref:{self.ref}"

    def subject_in(self, environment: str) -> str:
        """The exact `sub` of a job that names a GitHub environment; it says nothing of the branch, `ref` does."""
        return f"{self._repository}:environment:{environment}"

    @property
    def _repository(self) -> str:
        if self.subject_form == "ids":
            return f"repo:{self.owner}@{self.owner_id}/{self.repository}@{self.repository_id}"
        return f"repo:{self.owner}/{self.repository}"


@dataclass(frozen=True)
class Tools:
    """The environment that owns images, registry, training, promotion and ledger."""

    account: str
    region: str
    promotion: tuple[str, ...]
    github: GitHub
    base_image: str
    builder_image: str
    evaluator_image_digest: str
    training_instance_type: str
    ledger_retention_days: int
    persons: tuple[Person, ...]
    ledger_lock_mode: str
    anchor_account: str
    infrastructure_approvals: int
    review_threshold: str


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
    jwt: Jwt | None
    approvals: int
    approvers: tuple[str, ...]
    break_glass: tuple[str, ...]
    rollout: Rollout
    infrastructure_approvals: int
    policy: Policy


@dataclass(frozen=True)
class Feature:
    """One column of the data contract. `values` for a category, `minimum` and `maximum` for an integer or number."""

    name: str
    type: str
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    null_share: float = 0.0


@dataclass(frozen=True)
class Model:
    """What model.toml declares: the data contract, the label, and what training may vary."""

    name: str
    description: str
    identifier: str
    target: str
    protected: tuple[str, ...]
    features: tuple[Feature, ...]
    parameters: Mapping[str, int | float | str | bool]
    train_data: str
    holdout_data: str


@dataclass(frozen=True)
class Configuration:
    """Everything that synth needs to know; environments in the order of promotion."""

    tools: Tools
    environments: tuple[Environment, ...]
    models: tuple[Model, ...]

    @property
    def stages(self) -> dict[str, str]:
        """Account of each stage of the app: tools, anchor, and the environments."""
        found = {environment.name: environment.account for environment in self.environments}
        return {"tools": self.tools.account, "anchor": self.tools.anchor_account, **found}


def read_configuration(root: Path) -> Configuration:
    """Read environments/ and model/ below `root`. Raises ConfigError."""
    tools = read_tools(root / "environments" / "tools.toml")
    found = sorted(path.stem for path in (root / "environments").glob("*.toml") if path.stem != "tools")
    if sorted(tools.promotion) != found:
        raise ConfigError(
            "environments/tools.toml", "promotion", list(tools.promotion), f"each of {found} exactly once"
        )
    environments = tuple(read_environment(root / "environments" / f"{name}.toml") for name in tools.promotion)
    for environment in environments:
        if environment.region != tools.region:  # Step Functions does not call a function of another region
            expected = f"the region of environments/tools.toml, {tools.region}"
            raise ConfigError(f"environments/{environment.name}.toml", "region", environment.region, expected)
        if environment.policy.budget != environments[0].policy.budget:  # all of them decide on the same holdout
            expected = f"the budget of environments/{environments[0].name}.toml, {environments[0].policy.budget}"
            raise ConfigError(f"environments/{environment.name}.toml", "budget", environment.policy.budget, expected)

        if environment.approvals and len(tools.persons) <= environment.approvals:
            expected = f"at least {environment.approvals + 1}: an author and {environment.approvals} who approve"
            found_persons = [person.name for person in tools.persons]
            raise ConfigError("environments/tools.toml", "persons", found_persons, expected)
    return Configuration(tools, environments, read_models(root / "model"))


def read_tools(file: Path) -> Tools:
    table = Table.read(file, f"environments/{file.name}")
    github = table.table("github")
    images = table.table("images")
    evaluator = table.table("evaluator")
    training = table.table("training")
    ledger = table.table("ledger")
    persons = _persons(table.table("persons"))
    tools = Tools(
        account=table.text("account", ACCOUNT, "12 digits"),
        region=table.text("region", REGION, "an AWS region such as us-east-1"),
        promotion=table.names("promotion"),
        github=GitHub(
            owner=github.text("owner"),
            owner_id=github.text("owner_id", re.compile(r"[0-9]+"), "the owner's numeric id as text"),
            repository=github.text("repository"),
            repository_id=github.text("repository_id", re.compile(r"[0-9]+"), "the numeric id as text"),
            branch=github.text("branch", re.compile(r"[A-Za-z0-9._/-]+"), "one branch name, no pattern"),
            subject_form=github.choice("subject_form", ("ids", "names"), "ids"),
            provider_arn=github.optional_text("provider_arn", PROVIDER, "the ARN of GitHub's provider in IAM"),
        ),
        base_image=images.text("base", PINNED_IMAGE, "an image with its digest: name:tag@sha256:..."),
        builder_image=images.text("builder", PINNED_IMAGE, "a BuildKit image with its digest: name:tag@sha256:..."),
        evaluator_image_digest=evaluator.text("image_digest", DIGEST, "sha256: and 64 hexadecimal digits"),
        training_instance_type=training.text("instance_type", re.compile(r"ml\.[a-z0-9.]+"), "ml.<type>"),
        ledger_retention_days=ledger.integer("retention_days", 1, 36500),
        persons=persons,
        ledger_lock_mode=ledger.choice("lock_mode", ("GOVERNANCE", "COMPLIANCE"), "GOVERNANCE"),
        anchor_account=ledger.text("anchor_account", ACCOUNT, "12 digits"),
        infrastructure_approvals=table.integer("infrastructure_approvals", 0, 5, 1),
        review_threshold=table.choice("review_threshold", REVIEW_THRESHOLDS, "high"),
    )
    for part in (table, github, images, evaluator, training, ledger):
        part.finish()
    return tools


def _persons(table: Table) -> tuple[Person, ...]:
    """Each [persons.<name>]; a GitHub id or a user's name belongs to one person only."""
    persons: list[Person] = []
    owners: dict[str, str] = {}
    for name in table.data:
        entry = table.table(name)
        person = Person(name, entry.optional_names("github", ()), entry.names("users"))
        entry.finish()
        for key, pattern, expected in (
            ("github", ACTOR, "ids of GitHub accounts, digits as text"),
            ("users", USER, "names of IAM or Identity Center users"),
        ):
            for identity in getattr(person, key):
                if not pattern.fullmatch(identity):
                    raise ConfigError(table.file, entry.key(key), identity, expected)
                if owners.setdefault(f"{key} {identity}", name) != name:
                    raise ConfigError(
                        table.file, entry.key(key), identity, f"somebody else than {owners[f'{key} {identity}']}"
                    )
        persons.append(person)
    return tuple(persons)


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


def read_environment(file: Path) -> Environment:
    """One environment; what its file does not say, the file that it extends says."""
    table = _extended(file, ())
    service = table.table("service")
    environment = Environment(
        name=_environment_name(file.stem, f"environments/{file.name}"),
        account=table.text("account", ACCOUNT, "12 digits"),
        region=table.text("region", REGION, "an AWS region such as us-east-1"),
        certificate_arn=service.text("certificate_arn", CERTIFICATE, "the ARN of an ACM certificate"),
        vpc_cidr=_network(service),
        cpu=service.choice("cpu", (256, 512, 1024, 2048, 4096)),
        memory=service.integer("memory", 512, 30720),
        tasks=service.integer("tasks", 1, 100),
        prediction_distance=service.number("prediction_distance", 0.2),
        host=service.optional_text("host", HOST, "a host name without scheme and port"),
        jwt=_jwt(service),
        approvals=table.integer("approvals", 0, 5),
        approvers=_roles(table, "approvers", names.APPROVER_ROLE),
        break_glass=_roles(table, "break_glass", names.BREAK_GLASS_ROLE),
        rollout=read_rollout(table.table("deployment")),
        infrastructure_approvals=table.integer("infrastructure_approvals", 0, 5, 1),
        policy=read_policy(table),
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


def read_models(folder: Path) -> tuple[Model, ...]:
    """Every folder model/<name>/ is a model; one without model.toml or train.py is a mistake, not a skip."""
    if not folder.is_dir():
        raise ConfigError(folder.name, "folder", "nothing", "a folder with one folder a model")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    models = tuple(read_model(path) for path in folders)
    if not models:
        raise ConfigError("model", "folder", "no model", "at least one folder model/<name>/ with a model.toml")
    return models


def read_model(folder: Path) -> Model:
    where = f"model/{folder.name}"
    if not (folder / "train.py").is_file():
        raise ConfigError(where, "train.py", "no such file", "a module train.py with a function train")
    _refuse_without_train(folder / "train.py", f"{where}/train.py")
    table = Table.read(folder / "model.toml", f"{where}/model.toml")
    data = table.table("data")
    features = tuple(_read_feature(entry) for entry in table.tables("feature"))
    parameters = table.values("parameters")
    model = Model(
        name=_name_of(folder.name, where),
        description=table.text("description"),
        identifier=table.text("identifier"),
        target=table.text("target"),
        protected=table.texts("protected"),
        features=features,
        parameters=parameters,
        train_data=data.text("train"),
        holdout_data=data.text("holdout"),
    )
    data.finish()
    table.finish()
    _refuse_contradictions(model, table.file)
    return model


def _refuse_without_train(file: Path, where: str) -> None:
    try:
        module = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(where, "file", str(error), "Python in UTF-8") from error
    if not any(isinstance(found, ast.FunctionDef) and found.name == "train" for found in module.body):
        raise ConfigError(where, "train", "no such function", "a function train(rows, target, model)")


def _read_feature(table: Table) -> Feature:
    kind = table.choice("type", ("category", "integer", "number"))
    feature = Feature(
        name=table.text("name"),
        type=kind,
        values=table.names("values") if kind == "category" else (),
        minimum=None if kind == "category" else table.number("minimum"),
        maximum=None if kind == "category" else table.number("maximum"),
        null_share=table.number("null_share", 0.0),
    )
    table.finish()
    if feature.minimum is not None and feature.maximum is not None and feature.minimum > feature.maximum:
        raise ConfigError(table.file, table.key("minimum"), feature.minimum, f"at most {feature.maximum}")
    if not 0 <= feature.null_share <= 1:
        raise ConfigError(table.file, table.key("null_share"), feature.null_share, "a share from 0 to 1")
    return feature


def _refuse_contradictions(model: Model, file: str) -> None:
    names = [feature.name for feature in model.features]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise ConfigError(file, "feature", twice or "none", "at least one feature, each name once")
    for key, column in (("target", model.target), ("identifier", model.identifier)):
        if column in names:
            raise ConfigError(file, key, column, "a column that is not a feature")
    if model.target == model.identifier:
        raise ConfigError(file, "target", model.target, "another column than the identifier")
    unknown = sorted(set(model.protected) - set(names))
    if unknown:
        raise ConfigError(file, "protected", unknown, f"names of declared features: {names}")


def _name_of(name: str, file: str) -> str:
    if name == names.INFRASTRUCTURE_CHAIN:
        raise ConfigError(file, "name", name, "another name: the ledger's chain of infrastructure has this one")
    if not NAME.fullmatch(name):
        raise ConfigError(file, "name", name, "lower-case letters, digits and dashes, 31 at most, a letter first")
    return name


def _environment_name(name: str, file: str) -> str:
    if not ENVIRONMENT_NAME.fullmatch(name):
        raise ConfigError(file, "name", name, "lower-case letters, digits and dashes, 16 at most, a letter first")
    return name


def model_named(models: Sequence[Model], name: str) -> Model:
    for model in models:
        if model.name == name:
            return model
    raise ConfigError("model", "name", name, f"one of {[model.name for model in models]}")
