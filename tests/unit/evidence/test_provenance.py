"""Only a statement of our key, about this image, by our builder and of this commit counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lockgate.evidence.provenance import (
    BUNDLE,
    PROVENANCE,
    SBOM,
    Attestation,
    Build,
    ProvenanceError,
    bundle,
    check,
    predicate_of,
    read_bundle,
    referrer,
    signed_bytes,
    statement,
    vouched,
)

ACCOUNT, REGION = "111111111111", "us-east-1"
DIGEST, COMMIT = "sha256:" + "d" * 64, "c" * 40
WHERE = {"digest": DIGEST, "commit": COMMIT, "account": ACCOUNT, "region": REGION}
BUILD = Build(
    project_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/lockgate-image",
    build_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/lockgate-image:1",
    commit=COMMIT,
    source_uri=f"s3://source/commits/{COMMIT}.zip",
    source_version="v1",
    source_sha256="5" * 64,
    base_image="python:3.13@sha256:" + "b" * 64,
    started="2026-11-22T00:00:00+00:00",
    finished="2026-11-22T00:01:00+00:00",
)
BOM: dict[str, Any] = {"bomFormat": "CycloneDX", "components": [{"name": "numpy"}]}


def said(kind: str, predicate: dict[str, Any], *, digest: str = DIGEST, signed: bool = True) -> Attestation:
    return Attestation(statement("repository", digest, kind, predicate), signed)


def both(build: Build = BUILD) -> list[Attestation]:
    return [said(PROVENANCE, predicate_of(build)), said(SBOM, BOM)]


def test_an_image_of_our_builder_with_its_contents_listed_is_trusted() -> None:
    checked = check(both(), **WHERE)
    assert checked.complaints == ()
    assert checked.origin is not None
    assert checked.origin.builder == BUILD.project_arn
    assert checked.origin.source_sha256 == BUILD.source_sha256
    assert checked.origin.components == 1


def test_what_others_put_beside_an_image_changes_nothing() -> None:
    others = [Attestation(b"", False), Attestation(b"[]", True), said(PROVENANCE, {"x": 1}, signed=False)]
    elsewhere = replace(BUILD, commit="e" * 40)
    about_another = said(PROVENANCE, predicate_of(elsewhere), digest="sha256:" + "0" * 64)
    assert check([*others, about_another, *both()], **WHERE).complaints == ()


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ([], "found no SLSA provenance among 0 attestations"),
        ([said(SBOM, BOM)], "found no SLSA provenance among 1 attestations, 1 signed"),
        ([said(PROVENANCE, predicate_of(BUILD))], "found no CycloneDX bill of materials"),
        ([replace(one, signed=False) for one in both()], "among 2 attestations, 0 signed with our key"),
        (both(replace(BUILD, project_arn=BUILD.project_arn.replace("image", "laptop"))), "provenance: builder: found"),
        (both(replace(BUILD, commit="e" * 40)), f"provenance: commit: found '{'e' * 40}', expected '{COMMIT}'"),
        (
            [both()[0], said(SBOM, {"bomFormat": "SPDX"})],
            "bill of materials: found 'SPDX' with 0 components, expected CycloneDX",
        ),
        *(
            (
                [both()[0], said(SBOM, {**BOM, "components": nothing})],
                "with 0 components, expected CycloneDX with those",
            )
            for nothing in ("all", [], None, ["numpy"], [{"version": "1"}])
        ),
        ([*both(), *both(replace(BUILD, commit="e" * 40))], "provenance: commit: found"),
        ([both()[1], said(PROVENANCE, {"buildDefinition": [], "runDetails": 3})], "builder: found None"),
    ],
)
def test_anything_else_is_a_complaint(found: list[Attestation], complaint: str) -> None:
    checked = check(found, **WHERE)
    assert checked.origin is None
    assert any(complaint in one for one in checked.complaints), checked.complaints


def test_what_is_signed_has_the_lengths_that_dsse_wants() -> None:
    # The example of the DSSE specification, with our payload type.
    assert signed_bytes(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"


def test_a_bundle_gives_back_its_payload_and_signature() -> None:
    stored = bundle(b'{"a":1}', b"\x30signature", b"public key")
    assert read_bundle(stored) == (b'{"a":1}', b"\x30signature")
    manifest = json.loads(referrer(stored, SBOM, {"digest": DIGEST}))
    assert (manifest["artifactType"], manifest["subject"]) == (BUNDLE, {"digest": DIGEST})


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["dsseEnvelope"].pop(key)


@pytest.mark.parametrize(
    "spoil",
    [
        without("payload"),
        without("signatures"),
        lambda document: document["dsseEnvelope"].update(payload="not base64!"),
        lambda document: document["dsseEnvelope"].update(payloadType="text/plain"),
        lambda document: document["dsseEnvelope"]["signatures"].append({"sig": ""}),
        lambda document: document.update(dsseEnvelope=None),
    ],
)
def test_what_is_no_bundle_is_said(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(bundle(b"{}", b"s", b"k"))
    spoil(document)
    with pytest.raises(ProvenanceError, match="bundle: "):
        read_bundle(json.dumps(document).encode())


PROJECT: dict[str, Any] = {
    "name": "lockgate-image",
    "serviceRole": "arn:aws:iam::111111111111:role/build",
    "source": {"buildspec": "commands"},
    "environment": {"image": "standard:7.0", "environmentVariables": [{"name": "BASE_IMAGE", "value": "python"}]},
}


def record() -> dict[str, Any]:
    own = [dict(variable) for variable in PROJECT["environment"]["environmentVariables"]]
    variables = [*own, {"name": "COMMIT", "value": COMMIT}]
    return {
        "id": "lockgate-image:1",
        "buildStatus": "SUCCEEDED",
        "projectName": "lockgate-image",
        "serviceRole": PROJECT["serviceRole"],
        "source": {"buildspec": "commands", "location": f"source/commits/{COMMIT}.zip"},
        "environment": {"image": "standard:7.0", "environmentVariables": variables},
        "exportedEnvironmentVariables": [{"name": "IMAGE_DIGEST", "value": DIGEST}],
    }


def ask(build: dict[str, Any]) -> None:
    vouched(build, PROJECT, source=f"source/commits/{COMMIT}.zip", commit=COMMIT, digest=DIGEST)


def test_a_build_that_did_what_the_stack_says_is_vouched_for() -> None:
    ask(record())


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda build: build.update(buildStatus="FAILED"), "status: found 'FAILED'"),
        (lambda build: build.update(projectName="other"), "project: found 'other'"),
        (lambda build: build.update(serviceRole="mine"), "role: found 'mine'"),
        (lambda build: build["source"].update(location="elsewhere/x.zip"), "source: found 'elsewhere/x.zip'"),
        (lambda build: build["source"].update(buildspec="echo"), "commands: found 'echo'"),
        (lambda build: build["environment"].update(image="mine"), "machine image: found 'mine'"),
        (lambda build: build["environment"]["environmentVariables"].append({"name": "PATH", "value": "/x"}), "'PATH'"),
        (lambda build: build["environment"]["environmentVariables"][0].update(value="mine"), "'BASE_IMAGE': 'mine'"),
        (lambda build: build["exportedEnvironmentVariables"].clear(), "image: found None"),
        (lambda build: build["exportedEnvironmentVariables"][0].update(value="sha256:0"), "image: found 'sha256:0'"),
    ],
)
def test_a_build_that_was_told_otherwise_is_not(spoil: Callable[[dict[str, Any]], object], complaint: str) -> None:
    build = record()
    spoil(build)
    with pytest.raises(ProvenanceError, match="build lockgate-image:1: ") as refused:
        ask(build)
    assert complaint in str(refused.value)
