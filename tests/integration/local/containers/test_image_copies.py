"""An image is copied from one account's registry into another's: the same digest, whole, once, after any death."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lockgate.aws import images
from lockgate.aws.images import copy_image, has_image
from lockgate.errors import RefusedError

OTHER = "222222222222"
REPOSITORY = "lockgate-prod-releases"


@pytest.fixture
def ecr(embedded: Any, through_the_proxy: None) -> Iterator[Any]:
    client = embedded.client("ecr", OTHER)
    client.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    yield client
    client.delete_repository(repositoryName=REPOSITORY, force=True)
    client.close()  # the emulator's end waits for connections that are kept


def digest_of(uri: str) -> str:
    return uri.partition("@")[2]


def test_a_copy_has_the_digest_and_runs_without_the_original(
    embedded: Any, ecr: Any, make_image: Callable[[str], str]
) -> None:
    uri = make_image("to-copy")
    copy_image(ecr, uri, REPOSITORY, "c1")
    (details,) = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "c1"}])["imageDetails"]
    assert details["imageDigest"] == digest_of(uri)
    manifest = json.loads(
        ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "c1"}])["images"][0]["imageManifest"]
    )
    layers = [part["digest"] for part in (manifest["config"], *manifest["layers"])]
    known = ecr.batch_check_layer_availability(repositoryName=REPOSITORY, layerDigests=layers)["layers"]
    assert {layer["layerAvailability"] for layer in known} == {"AVAILABLE"}


def test_copying_again_asks_the_other_registry_for_nothing(ecr: Any, make_image: Callable[[str], str]) -> None:
    uri = make_image("copied-twice")
    copy_image(ecr, uri, REPOSITORY, "c2")
    asked: list[str] = []
    ecr.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
    copy_image(ecr, uri, REPOSITORY, "c2")
    assert asked == ["BatchGetImage"]


@pytest.mark.parametrize("step", ["UploadLayerPart", "CompleteLayerUpload", "PutImage"])
def test_a_copy_that_died_is_not_there_and_goes_on_when_it_is_made_again(
    embedded: Any, ecr: Any, make_image: Callable[[str], str], step: str
) -> None:
    uri = make_image(f"dies-at-{step.lower()}")

    def die(model: Any, **_: Any) -> None:
        if model.name == step:
            raise KeyboardInterrupt

    dying = embedded.client("ecr", OTHER)
    dying.meta.events.register("before-call", die)
    with pytest.raises(KeyboardInterrupt):
        copy_image(dying, uri, REPOSITORY, step)
    dying.close()
    assert not has_image(ecr, REPOSITORY, digest_of(uri))
    copy_image(ecr, uri, REPOSITORY, step)
    assert has_image(ecr, REPOSITORY, digest_of(uri))


def test_bytes_that_are_not_the_layer_are_refused_by_the_registry(
    ecr: Any, make_image: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = make_image("spoilt")
    whole = images.download
    monkeypatch.setattr(images, "download", lambda url, size: (part[:-1] + b"?" for part in whole(url, size)))
    with pytest.raises(ClientError, match="InvalidLayerException"):
        copy_image(ecr, uri, REPOSITORY, "c3")
    assert not has_image(ecr, REPOSITORY, digest_of(uri))


def test_an_image_that_is_gone_is_refused(ecr: Any, make_image: Callable[[str], str]) -> None:
    gone = make_image("there").partition("@")[0] + "@sha256:" + "0" * 64
    with pytest.raises(RefusedError, match="is gone"):
        copy_image(ecr, gone, REPOSITORY, "c4")


def test_the_tag_of_another_image_is_not_moved(ecr: Any, make_image: Callable[[str], str]) -> None:
    copy_image(ecr, make_image("first-of-tag"), REPOSITORY, "c5")
    with pytest.raises(RefusedError, match="the tag c5 of lockgate-prod-releases is another image's"):
        copy_image(ecr, make_image("second-of-tag"), REPOSITORY, "c5")


def test_an_image_without_a_digest_is_refused(ecr: Any) -> None:
    with pytest.raises(RefusedError, match="expected the URI of an image in ECR with its digest"):
        copy_image(ecr, "111111111111.dkr.ecr.us-east-1.amazonaws.com/app:latest", REPOSITORY, "c6")
