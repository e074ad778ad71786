"""Where an image came from and what is in it, said so that a gate can check it.

Two statements an image: SLSA provenance (which build of which commit made it) and a CycloneDX bill of materials. Each
is an in-toto statement in a DSSE envelope, kept as a Sigstore bundle that `cosign verify-attestation` reads too. The
formats: in-toto Statement v1, DSSE v1 (the bytes that are signed), SLSA provenance v1, Sigstore bundle v0.3, and the
OCI image manifest 1.1 with `subject`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lockgate import canonical, names
from lockgate.errors import LockgateError

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_CONTENT = b"{}"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOM = "https://cyclonedx.org/bom"
BUILD_TYPE = "urn:lockgate:image-build:1"


class ProvenanceError(LockgateError):
    """A bundle or a statement is not what its format says, or a build is not one that may be vouched for."""


@dataclass(frozen=True)
class Build:
    """What is known of the build that made an image, from CodeBuild and the source bucket and from nobody else."""

    project_arn: str
    build_arn: str
    commit: str
    source_uri: str
    source_version: str
    source_sha256: str
    base_image: str
    started: str
    finished: str


@dataclass(frozen=True)
class Attestation:
    """A statement as the registry has it. signed: whether the signature is one of our key over exactly this payload."""

    payload: bytes
    signed: bool


def predicate_of(build: Build) -> dict[str, Any]:
    """The SLSA provenance (v1) of an image that `build` made."""
    base, _, base_digest = build.base_image.partition("@sha256:")
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"commit": build.commit, "source": build.source_uri},
            "internalParameters": {"baseImage": build.base_image},
            "resolvedDependencies": [
                {
                    "uri": build.source_uri,
                    "digest": {"sha256": build.source_sha256, "gitCommit": build.commit},
                    "annotations": {"versionId": build.source_version},
                },
                {"uri": base, "digest": {"sha256": base_digest}},
            ],
        },
        "runDetails": {
            "builder": {"id": build.project_arn},
            "metadata": {
                "invocationId": build.build_arn,
                "startedOn": build.started,
                "finishedOn": build.finished,
            },
        },
    }


def statement(repository: str, digest: str, kind: str, predicate: Mapping[str, Any]) -> bytes:
    """The in-toto statement that `predicate`, of type `kind`, holds for the image `repository`@`digest`."""
    return canonical.to_bytes(
        {
            "_type": STATEMENT,
            "subject": [{"name": repository, "digest": {"sha256": digest.removeprefix("sha256:")}}],
            "predicateType": kind,
            "predicate": dict(predicate),
        }
    )


def signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what a signature is over, so that a payload's type cannot be changed."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def bundle(payload: bytes, signature: bytes, public_key: bytes) -> bytes:
    """A Sigstore bundle. public_key: DER; its digest is the hint by which a verifier finds the key."""
    hint = base64.b64encode(bytes.fromhex(canonical.sha256(public_key))).decode()
    return canonical.to_bytes(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD,
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            },
        }
    )


def read_bundle(data: bytes) -> tuple[bytes, bytes]:
    """Payload and signature of a bundle. Raises ProvenanceError."""
    try:
        envelope = json.loads(data)["dsseEnvelope"]
        kind, (signature,) = envelope["payloadType"], envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        sig = base64.b64decode(signature["sig"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProvenanceError(f"bundle: found something else ({error!r}), expected one DSSE signature") from error
    if kind != PAYLOAD:
        raise ProvenanceError(f"bundle: payload type: found {kind!r}, expected {PAYLOAD}")
    return payload, sig


def referrer(stored: bytes, kind: str, subject: Mapping[str, Any]) -> bytes:
    """The manifest with which a registry keeps a bundle beside the image that `subject` (a descriptor) names."""
    return canonical.to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": descriptor(EMPTY, EMPTY_CONTENT),
            "layers": [descriptor(BUNDLE, stored)],
            "subject": dict(subject),
            "annotations": {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": kind},
        }
    )


def descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{canonical.sha256(content)}", "size": len(content)}


@dataclass(frozen=True)
class Origin:
    """What the statements about an image say, once they are verified; for the verdict and its readers."""

    builder: str
    """ARN of the build project."""
    build: str
    """ARN of the build."""
    source: str
    """Where the commit's archive lies, s3://…"""
    source_sha256: str
    """SHA-256 of the archive."""
    base_image: str
    """The image that it was built on, with digest."""
    sbom_sha256: str
    """SHA-256 of the bill of materials."""
    components: int
    """How many packages the bill of materials lists."""


class Checked(NamedTuple):
    """origin is None exactly when there are complaints."""

    complaints: tuple[str, ...]
    origin: Origin | None = None


def check(found: Iterable[Attestation], *, digest: str, commit: str, account: str, region: str) -> Checked:
    """Whether the image `digest` is one that our image project built from `commit`, and its contents are listed.

    Statements that our key did not sign count for nothing, whoever added them. One that it signed has to agree.
    """
    all_found = list(found)
    ours = [read for one in all_found if one.signed for read in [_read(one.payload)] if read and _about(read, digest)]
    provenance = [one["predicate"] for one in ours if one.get("predicateType") == PROVENANCE]
    boms = [one["predicate"] for one in ours if one.get("predicateType") == SBOM]
    signed = sum(one.signed for one in all_found)
    tally = f"among {len(all_found)} attestations, {signed} signed with our key and {len(ours)} of them about it"
    complaints = []
    if not provenance:
        complaints.append(f"image {digest}: found no SLSA provenance {tally}, expected that of our build")
    if not boms:
        complaints.append(f"image {digest}: found no CycloneDX bill of materials {tally}, expected one")
    builder = names.project_arn(account, region, names.IMAGE_PROJECT)
    for predicate in provenance:
        complaints += _differences(predicate, builder, commit)
    complaints += [
        f"bill of materials: found {one.get('bomFormat')!r} with {_count(one)} components, expected CycloneDX with "
        "those of the image, of which none holds nothing"
        for one in boms
        if one.get("bomFormat") != "CycloneDX" or not _count(one)
    ]
    if complaints:
        return Checked(tuple(complaints))
    return Checked((), _origin(provenance[0], boms[0]))


def _count(bom: Mapping[str, Any]) -> int:
    """How many components a bill of materials lists; 0 where it lists none as CycloneDX does."""
    components = bom.get("components")
    listed = isinstance(components, list) and all(isinstance(one, Mapping) and one.get("name") for one in components)
    return len(components) if listed and components is not None else 0


def _read(payload: bytes) -> dict[str, Any] | None:
    """The statement in a payload; None when it is something else, which our key signs for nobody."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    known = isinstance(found, dict) and found.get("_type") == STATEMENT and isinstance(found.get("predicate"), dict)
    return found if known else None


def _about(found: Mapping[str, Any], digest: str) -> bool:
    subjects = found.get("subject")
    if not isinstance(subjects, list):
        return False
    return any(_at(one, "digest", "sha256") == digest.removeprefix("sha256:") for one in subjects)


def _differences(predicate: Mapping[str, Any], builder: str, commit: str) -> list[str]:
    expected = (
        ("builder", ("runDetails", "builder", "id"), builder),
        ("build type", ("buildDefinition", "buildType"), BUILD_TYPE),
        ("commit", ("buildDefinition", "externalParameters", "commit"), commit),
    )
    found = [(what, _at(predicate, *path), wanted) for what, path, wanted in expected]
    return [
        f"provenance: {what}: found {value!r}, expected {wanted!r}" for what, value, wanted in found if value != wanted
    ]


def _origin(provenance: Mapping[str, Any], bom: Mapping[str, Any]) -> Origin:
    dependencies = _at(provenance, "buildDefinition", "resolvedDependencies")
    first = dependencies[0] if isinstance(dependencies, Sequence) and dependencies else {}
    return Origin(
        builder=str(_at(provenance, "runDetails", "builder", "id")),
        build=str(_at(provenance, "runDetails", "metadata", "invocationId")),
        source=str(_at(provenance, "buildDefinition", "externalParameters", "source")),
        source_sha256=str(_at(first, "digest", "sha256")),
        base_image=str(_at(provenance, "buildDefinition", "internalParameters", "baseImage")),
        sbom_sha256=canonical.sha256(canonical.to_bytes(bom)),
        components=_count(bom),
    )


def _at(found: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def vouched(build: Mapping[str, Any], project: Mapping[str, Any], *, source: str, commit: str, digest: str) -> None:
    """Refuse to vouch for an image unless this build, as CodeBuild knows it, made exactly it in the stack's own way.

    build, project: entries of BatchGetBuilds and BatchGetProjects. source: bucket/key of the commit's archive. digest:
    what the registry has under the commit's tag. Raises ProvenanceError with every disagreement.
    """
    variables = {entry["name"]: entry["value"] for entry in build["environment"].get("environmentVariables", [])}
    own = {entry["name"]: entry["value"] for entry in project["environment"].get("environmentVariables", [])}
    exported = {entry["name"]: entry["value"] for entry in build.get("exportedEnvironmentVariables", [])}
    compared = (
        ("status", build["buildStatus"], "SUCCEEDED"),
        ("project", build["projectName"], project["name"]),
        ("source", build["source"].get("location"), source),
        ("commands", build["source"].get("buildspec"), project["source"].get("buildspec")),
        ("machine image", build["environment"].get("image"), project["environment"].get("image")),
        ("role", build.get("serviceRole"), project.get("serviceRole")),
        ("variables", variables, {**own, "COMMIT": commit}),
        ("image", exported.get(DIGEST_VARIABLE), digest),
    )
    wrong = [f"{what}: found {found!r}, expected {wanted!r}" for what, found, wanted in compared if found != wanted]
    if wrong:
        raise ProvenanceError(f"build {build['id']}: {'; '.join(wrong)}")


# What the image build says that it pushed.
DIGEST_VARIABLE = "IMAGE_DIGEST"
