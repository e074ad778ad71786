"""The environment that owns images, registry, training, promotion and ledger: environments/tools.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.forms import ACCOUNT, DIGEST, REGION, REGION_EXPECTED
from lockgate.configuration.persons import Person
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.policy.rules import REQUIREMENTS

# What a tier of risk can demand: an assurance, a kind of rule, or a requirement.
DEMANDS = ("budget", "limit", "compare", "gap", *REQUIREMENTS)
PINNED_IMAGE = re.compile(r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}")
REVIEW_THRESHOLDS = ("low", "medium", "high", "none")
PROVIDER = re.compile(r"arn:aws:iam::[0-9]{12}:oidc-provider/token\.actions\.githubusercontent\.com")
ACTOR = re.compile(r"[0-9]{2,64}")
USER = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


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

    def claims(self, subject: str) -> dict[str, str]:
        """What the roles for jobs with this `sub` ask of a token of GitHub."""
        return {"sub": subject, "repository_id": self.repository_id, "ref": self.ref}

    @property
    def _repository(self) -> str:
        if self.subject_form == "ids":
            return f"repo:{self.owner}@{self.owner_id}/{self.repository}@{self.repository_id}"
        return f"repo:{self.owner}/{self.repository}"


@dataclass(frozen=True)
class Tools:
    """The environment that owns images, registry, training, promotion and ledger.

    attestation: whether images are vouched for and gates ask for it; else nobody proves where an image was built.
    anchor_account: where the heads of the ledger are kept; the tools account itself means nowhere, since who may
        rewrite the ledger could rewrite them there.
    kept_groups: models whose package group is there already, since they were here before; no stack makes it again.
    tiers: of risk, each with what must decide about its models before the last environment (DEMANDS).
    """

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
    attestation: bool
    anchor_account: str
    infrastructure_approvals: int
    review_threshold: str
    tiers: Mapping[str, tuple[str, ...]]
    kept_groups: tuple[str, ...]

    @property
    def anchored(self) -> bool:
        """Whether the ledger's heads are kept where nobody who may rewrite the ledger can rewrite them."""
        return self.anchor_account != self.account


def read_tools(file: Path) -> Tools:
    table = Table.read(file, f"environments/{file.name}")
    github = table.table("github")
    images = table.table("images")
    evaluator = table.table("evaluator")
    training = table.table("training")
    ledger = table.table("ledger")
    persons = _persons(table.table("persons"))
    account = table.text("account", ACCOUNT, "12 digits")
    tools = Tools(
        account=account,
        region=table.text("region", REGION, REGION_EXPECTED),
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
        attestation=images.flag("attestation", default=True),
        anchor_account=ledger.optional_text("anchor_account", ACCOUNT, "12 digits") or account,
        infrastructure_approvals=table.integer("infrastructure_approvals", 0, 5, 1),
        review_threshold=table.choice("review_threshold", REVIEW_THRESHOLDS, "high"),
        tiers=_tiers(table.table("tier")) if table.has("tier") else {},
        kept_groups=training.optional_names("kept_groups", ()),
    )
    for part in (table, github, images, evaluator, training, ledger):
        part.finish()
    return tools


def _tiers(table: Table) -> dict[str, tuple[str, ...]]:
    """Each [tier.<name>] with its `requires`."""
    tiers = {}
    for name in table.data:
        entry = table.table(name)
        tiers[name] = entry.names("requires")
        entry.finish()
        unknown = [each for each in tiers[name] if each not in DEMANDS]
        if unknown:
            raise ConfigError(table.file, entry.key("requires"), unknown[0], f"of {', '.join(DEMANDS)}")
    return tiers


def _persons(table: Table) -> tuple[Person, ...]:
    """Each [persons.<name>]; a GitHub id or a user's name belongs to one person only.

    A bot has no users, so that it is known as who pushed and can never decide.
    """
    persons: list[Person] = []
    owners: dict[str, str] = {}
    for name in table.data:
        entry = table.table(name)
        bot = entry.flag("bot")
        github = entry.names("github") if bot else entry.optional_names("github", ())
        person = Person(name, github, () if bot else entry.names("users"))
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
