"""Whatever goes wrong with an image ends in one clear state: said in words, listed, and with nothing half published."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from cli.commands import status
from local.images import builder
from lockgate import names
from lockgate.aws import delivery
from lockgate.aws.attestations import Attestations, sign
from lockgate.evidence.provenance import PROVENANCE, SBOM, bundle, check, read_bundle, statement

ACCOUNT = "111111111111"
HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
BUCKET, REPOSITORY = "archives", names.MODELS_REPOSITORY
GOOD = "FROM python:3.13\nCOPY hello /\n"
HANGS = {"version": "0.2", "phases": {"build": {"commands": ["sleep 600"]}}}


@pytest.fixture(scope="module")
def stack(embedded: Any) -> dict[str, Any]:
    """The image project as the stack makes it: its own commands, a role that may push, a repository, a bucket."""
    from lockgate_constructs.image_build import commands

    iam, codebuild = embedded.client("iam"), embedded.client("codebuild")
    embedded.client("s3").create_bucket(Bucket=BUCKET)
    embedded.client("ecr").create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    trust = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="image", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject", "logs:*", "ecr:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="image",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    project = {
        "name": names.IMAGE_PROJECT,
        "source": {
            "type": "S3",
            "location": f"{BUCKET}/none.zip",
            "buildspec": json.dumps(commands("Dockerfile", (), "us-east-1")),
        },
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [
                {"name": "REPOSITORY_URI", "value": f"{HOST}/{REPOSITORY}"},
                {"name": "BASE_IMAGE", "value": "python@sha256:" + "b" * 64},
                {"name": "BUILDER_IMAGE", "value": "buildkit@sha256:" + "b" * 64},
            ],
        },
        "serviceRole": role,
        "timeoutInMinutes": 120,
    }
    codebuild.create_project(**project)
    codebuild.create_project(**{**project, "name": names.ATTESTATION_PROJECT})
    return project


Deliver = Callable[..., None]


@pytest.fixture
def deliver(embedded: Any, stack: dict[str, Any]) -> Deliver:
    """Build a commit from a Dockerfile, as `lockgate deliver` does; raises BuildError."""

    def run(commit: str, dockerfile: str) -> None:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("Dockerfile", dockerfile)
            archive.writestr("hello", commit)
        embedded.client("s3").put_object(Bucket=BUCKET, Key=f"{commit}.zip", Body=written.getvalue())
        delivery.build_image(embedded.client("codebuild"), names.IMAGE_PROJECT, f"{BUCKET}/{commit}.zip", commit)

    return run


def found(embedded: Any, commit: str) -> delivery.Image | None:
    return delivery.find_image(embedded.client("ecr"), REPOSITORY, f"{HOST}/{REPOSITORY}", commit)


def listed(embedded: Any) -> dict[str, dict[str, str]]:
    return {entry["of"]: entry for entry in delivery.ended_badly(embedded.client("codebuild"), names.IMAGE_PROJECT)}


def shown(embedded: Any, commit: str) -> str:
    """What `lockgate status` says of the image of a commit, on one line; "" when nothing."""
    facts = status.image_facts(embedded.client("codebuild"), embedded.client("ecr"), ACCOUNT)
    parts = "\n".join(map(str, status.images(facts))).split("\n\n")
    return " ".join(" ".join(part.split()) for part in parts if commit[:12] in part)


def test_a_good_build_says_what_it_pushed(embedded: Any, deliver: Deliver) -> None:
    commit = "a" * 40
    deliver(commit, GOOD)
    image = found(embedded, commit)
    assert image is not None
    delivery.refuse_foreign(embedded.client("codebuild"), names.IMAGE_PROJECT, image)
    assert commit not in listed(embedded)


def test_a_dockerfile_that_no_longer_builds_publishes_nothing(embedded: Any, deliver: Deliver) -> None:
    commit = "b" * 40
    with pytest.raises(delivery.BuildError, match="FAILED: BUILD: Error while executing command: docker buildx build"):
        deliver(commit, "FROM python:3.13\nCOPY gone /\n")
    assert found(embedded, commit) is None
    assert listed(embedded)[commit]["status"] == "FAILED"
    assert "is FAILED: BUILD: " in delivery.build_of(embedded.client("codebuild"), commit)
    said = shown(embedded, commit)
    assert said.startswith(f"failed: image of {commit[:12]}: build lockgate-image:")
    assert " FAILED BUILD: Error while executing command: docker buildx build" in said


def test_a_build_that_hangs_is_ended_and_says_so(embedded: Any, deliver: Deliver, stack: dict[str, Any]) -> None:
    codebuild, commit = embedded.client("codebuild"), "c" * 40
    codebuild.update_project(
        name=stack["name"], source={**stack["source"], "buildspec": json.dumps(HANGS)}, timeoutInMinutes=5
    )
    try:
        with pytest.raises(delivery.BuildError, match="TIMED_OUT"):  # a minute is a second in this server
            deliver(commit, GOOD)
    finally:
        codebuild.update_project(name=stack["name"], source=stack["source"], timeoutInMinutes=120)
    assert found(embedded, commit) is None
    assert listed(embedded)[commit]["status"] == "TIMED_OUT"
    assert " TIMED_OUT BUILD: " in shown(embedded, commit)


def test_a_registry_that_refuses_the_push_publishes_nothing(embedded: Any, deliver: Deliver) -> None:
    commit, ecr = "d" * 40, embedded.client("ecr")
    denied = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
    try:
        with pytest.raises(delivery.BuildError, match=r"FAILED: POST_BUILD: .*push=true"):
            deliver(commit, GOOD)
    finally:
        ecr.delete_repository_policy(repositoryName=REPOSITORY)
    assert found(embedded, commit) is None
    assert " FAILED POST_BUILD: " in shown(embedded, commit)
    deliver(commit, GOOD)  # the layers that were sent are used, and the state is clear again
    assert found(embedded, commit) is not None
    assert commit not in listed(embedded)


def elsewhere(embedded: Any, tmp_path: Any, tag: str) -> str:
    """Push an image under a commit's tag past the build project; returns its digest."""
    (tmp_path / "hello").write_text("not from a build of ours")
    made = builder.build("FROM scratch\nCOPY hello /\n", tmp_path)
    from local.images import push

    to = push.reference(f"{HOST}/{REPOSITORY}:{tag}")
    push.push(made, to, embedded.settings.endpoint, str(embedded.settings.ca_bundle), embedded.token())
    return made.digest


def test_a_tag_that_holds_another_image_is_refused_and_stays_as_it_was(
    embedded: Any, deliver: Deliver, tmp_path: Any
) -> None:
    commit = "e" * 40
    digest = elsewhere(embedded, tmp_path, commit)
    with pytest.raises(delivery.BuildError, match=r"FAILED: POST_BUILD"):
        deliver(commit, GOOD)
    image = found(embedded, commit)
    assert image is not None
    assert image.digest == digest
    with pytest.raises(delivery.BuildError, match=f"tag {commit} holds {digest}, which none of the last builds"):
        delivery.refuse_foreign(embedded.client("codebuild"), names.IMAGE_PROJECT, image)
    said = shown(embedded, commit)
    assert " FAILED POST_BUILD: " in said
    assert f"waiting: image {commit[:12]}: nobody has vouched for it, so no gate passes it {digest}" in said


def test_nobody_waits_for_ever_for_provenance(embedded: Any, deliver: Deliver) -> None:
    commit = "f" * 40
    deliver(commit, GOOD)
    image = found(embedded, commit)
    assert image is not None
    beside = Attestations(embedded.client("ecr"), ACCOUNT, REPOSITORY)
    with pytest.raises(delivery.BuildError, match="nothing vouched for it within 0 s"):
        delivery.wait_attested(beside, image, within=0)


def test_statements_beside_an_image_are_found_by_both_ways_and_leave_its_tag_alone(
    embedded: Any, deliver: Deliver, through_the_proxy: None
) -> None:
    commit, ecr, kms = "9" * 40, embedded.client("ecr"), embedded.client("kms")
    deliver(commit, GOOD)
    image = found(embedded, commit)
    assert image is not None
    keys = [kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"] for _ in range(2)]
    beside = Attestations(ecr, ACCOUNT, REPOSITORY)
    stored = set()
    for kind, key in ((SBOM, keys[0]), (PROVENANCE, keys[0]), (PROVENANCE, keys[1])):
        payload = statement(f"{HOST}/{REPOSITORY}", image.digest, kind, {"bomFormat": "CycloneDX"})
        made = bundle(payload, sign(kms, key, payload), kms.get_public_key(KeyId=key)["PublicKey"])
        assert beside.attach(image.digest, kind, made) == beside.attach(image.digest, kind, made)
        stored.add(read_bundle(made)[0])
    assert beside.attested(image.digest)
    assert found(embedded, commit) == image
    seen = beside.find(image.digest, kms, keys[0])
    assert sorted(one.signed for one in seen) == [False, True, True]
    assert {one.payload for one in seen} == stored
    checked = check(seen, digest=image.digest, commit=commit, account=ACCOUNT, region="us-east-1")
    assert any("provenance: builder" in complaint for complaint in checked.complaints)
