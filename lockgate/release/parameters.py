"""A release: exactly what an environment serves, pinned by digests, as the parameters of a release stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from lockgate.errors import RefusedError

# Frozen: a renamed parameter is a new one to CloudFormation and takes its default, which would delete production.
PARAMETERS = {
    "version": "ReleaseVersion",
    "commit": "ReleaseCommit",
    "package_arn": "ReleasePackageArn",
    "image": "ReleaseImage",
    "model_sha256": "ReleaseModelSha256",
    "model_version_id": "ReleaseModelVersionId",
    "replay_sha256": "ReleaseReplaySha256",
    "policy_sha256": "ReleasePolicySha256",
    "verdict_id": "ReleaseVerdictId",
}

# Not of the release but of the way there: steps and bake time as the environment says, or all at once for a rollback.
# The third is a second name of at once: a change where nothing else changes (`lockgate rollback --restore`).
MODE_PARAMETER = "ReleaseMode"
MODES = GRADUAL, AT_ONCE, AT_ONCE_AGAIN = "gradual", "at-once", "at-once-again"


@dataclass(frozen=True)
class JudgedRelease:
    """What a gate let through, before an environment has its own copies. All texts, as CloudFormation has them."""

    STRICT: ClassVar = True  # who pinned less than was judged, or more, would serve something else

    version: str
    """Model package version."""
    commit: str
    """Git commit, 40 hexadecimal digits."""
    package_arn: str
    """ARN of the model package."""
    image: str
    """The image as it was judged, full URI with digest; an environment runs its own copy, by the same digest."""
    model_sha256: str
    """SHA-256 of model.tar.gz."""
    replay_sha256: str
    """SHA-256 of the rows that evaluation recorded with its predictions; new tasks answer them before any traffic."""
    policy_sha256: str
    """SHA-256 of the policy that let it through."""
    verdict_id: str
    """What let it through, `<model>/<sequence>`: a verdict, or a break-glass."""


@dataclass(frozen=True)
class Release(JudgedRelease):
    """What an environment serves: a judged release, and which copy of the model data it is."""

    model_version_id: str
    """S3 version of the copy of the model data in the environment's own releases bucket."""

    @property
    def judged(self) -> JudgedRelease:
        """What the gate let through, of which this is the environment's copy."""
        return JudgedRelease(**{field.name: getattr(self, field.name) for field in fields(JudgedRelease)})

    def __post_init__(self) -> None:
        empty = [field.name for field in fields(self) if not getattr(self, field.name)]
        if empty:
            raise RefusedError(f"release: {', '.join(empty)} found empty; a release sets all parameters or none")
        if not re.fullmatch(r".+@sha256:[0-9a-f]{64}", self.image):
            raise RefusedError(f"release: image: found {self.image!r}, expected a URI with a digest, not a tag")

    def to_parameters(self) -> dict[str, str]:
        return {parameter: getattr(self, name) for name, parameter in PARAMETERS.items()}


def read_parameters(parameters: Mapping[str, str]) -> Release | None:
    """The release that a stack's parameters pin; None when none is set. Raises RefusedError when only some are."""
    values = {field.name: parameters.get(PARAMETERS[field.name], "") for field in fields(Release)}
    return Release(**values) if any(values.values()) else None


def read_version(data: object) -> int:
    """The version of a model package, as an event carries it. Raises RefusedError."""
    version = str(data)
    if not version.isascii() or not version.isdigit() or version.startswith("0"):
        raise RefusedError(f"version: found {version!r}, expected a package version such as 7")
    return int(version)


def refuse_if_superseded(live: JudgedRelease | None, version: str) -> None:
    """A promotion never goes back: raises RefusedError when a newer version is live. Going back is a rollback."""
    if live is not None and int(live.version) > int(version):
        raise RefusedError(
            f"version {version} was superseded: version {live.version} is live; "
            "going back is `lockgate rollback`, never a promotion"
        )
