"""The local image builder and the registry: the same bytes for the same files, and ECR's rules for a push."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.ecr import scans
from local.host import containers
from local.images import builder, push
from local.images.dockerfile import DockerfileError

ROOT = Path(__file__).parents[4]
RECIPE = """\
# syntax=docker/dockerfile:1
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE} AS build
RUN pip install \\
    --no-compile -r requirements.txt

FROM ${BASE_IMAGE}
ARG REVISION=none
ENV APP=/app PYTHONPATH=/app
ENV PATH="/opt/venv/bin:$PATH"
WORKDIR $APP
COPY --from=build /opt/venv /opt/venv
COPY --chmod=0755 src/ ./
COPY requirements.txt data/*.csv /app/data/
LABEL revision=${REVISION} kind="a model"
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --retries=2 CMD ["python3", "-m", "health"]
ENTRYPOINT ["python3", "-m"]
CMD ["serve"]
"""


def make_context(folder: Path, umask: int) -> Path:
    old = os.umask(umask)
    try:
        (folder / "src" / "inner").mkdir(parents=True)
        (folder / "data").mkdir()
        (folder / "src" / "serve.py").write_text("print('serving')\n")
        (folder / "src" / "inner" / "part.py").write_text("x = 1\n")
        (folder / "requirements.txt").write_text("numpy\n")
        for name in ("a.csv", "b.csv", "secret.csv"):
            (folder / "data" / name).write_text(name)
        (folder / ".dockerignore").write_text("# no secrets\n**/secret*\n")
    finally:
        os.umask(old)
    return folder


def config(build: builder.BuiltImage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(build.blobs[json.loads(build.manifest)["config"]["digest"]])
    return found["config"]  # type: ignore[no-any-return]


def test_the_same_files_give_the_same_digest_from_another_folder_and_umask(tmp_path: Path) -> None:
    one = builder.build(RECIPE, make_context(tmp_path / "one", 0o022))
    two = make_context(tmp_path / "elsewhere" / "two", 0o077)
    for file in two.rglob("*"):
        os.utime(file, (0, 1_000_000))
    assert builder.build(RECIPE, two).digest == one.digest


def test_the_digest_is_the_same_on_every_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    build = builder.build("FROM scratch\nCOPY file /file\n", tmp_path)
    assert build.digest == "sha256:866b082569eeb8f73bf040869770e04ed27212f8598bd99b2b0b85467f16ecfe"


@pytest.mark.parametrize("change", ["content", "executable"])
def test_a_changed_file_changes_the_digest(tmp_path: Path, change: str) -> None:
    context = make_context(tmp_path / "context", 0o022)
    before = builder.build(RECIPE, context).digest
    file = context / "data" / "a.csv"
    file.write_text("other") if change == "content" else file.chmod(0o755)
    assert builder.build(RECIPE, context).digest != before


def test_the_recipe_is_in_the_config(tmp_path: Path) -> None:
    build = builder.build(RECIPE, make_context(tmp_path / "context", 0o022), {"REVISION": "abc"}, {"org.example": "x"})
    found = config(build)
    assert "PYTHONPATH=/app" in found["Env"]
    assert any(entry.startswith("PATH=/opt/venv/bin:/usr/local/sbin") for entry in found["Env"])
    assert found["WorkingDir"] == "/app"
    assert found["Entrypoint"] == ["python3", "-m"]
    assert found["Cmd"] == ["serve"]
    assert found["User"] == "10001"
    assert found["ExposedPorts"] == {"8080/tcp": {}}
    check = {"Test": ["CMD", "python3", "-m", "health"], "Interval": 10_000_000_000, "Retries": 2}
    assert found["Healthcheck"] == check
    assert found["Labels"] == {"revision": "abc", "kind": "a model", "org.example": "x"}


def test_what_only_a_container_runtime_could_do_is_said(tmp_path: Path) -> None:
    build = builder.build(RECIPE, make_context(tmp_path / "context", 0o022))
    assert build.not_performed == (
        "FROM python:3.13-slim",
        "RUN pip install --no-compile -r requirements.txt",
        "COPY --from=build /opt/venv: only RUN or the base image would have made it",
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ADD a /b", "line 2: ADD is not supported"),
        ("COPY missing /app", "line 2: COPY missing: not found in the build context"),
        ("COPY --exclude=x . /app", "line 2: COPY --exclude is not supported"),
        ("ENV LONELY", "line 2: ENV LONELY: expected KEY=VALUE"),
        ("COPY <<EOF /file", "line 2: here-documents are not supported"),
    ],
)
def test_what_is_not_understood_names_the_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(DockerfileError, match=complaint):
        builder.build(f"FROM scratch\n{line}\n", tmp_path)


def test_a_pushed_image_is_pulled_with_its_files(embedded: Any, repository: None, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", 0o022)
    uri = embedded.push(builder.build(RECIPE, context), "pulled", embedded.token())
    account, digest = uri.split(".")[0], uri.partition("@")[2]
    (details,) = embedded.client("ecr").describe_images(
        registryId=account, repositoryName="app", imageIds=[{"imageTag": "pulled"}]
    )["imageDetails"]
    assert details["imageDigest"] == digest


def test_layers_are_unpacked_below_the_root_only(tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", 0o022)
    build = builder.build(RECIPE, context)
    root = tmp_path / "root"
    for layer in json.loads(build.manifest)["layers"]:
        containers._extract(build.blobs[layer["digest"]], root)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        "app/serve.py",
        "app/inner/part.py",
        "app/data/requirements.txt",
        "app/data/a.csv",
        "app/data/b.csv",
    }
    assert os.access(root / "app" / "serve.py", os.X_OK)


def test_a_tag_cannot_be_moved(embedded: Any, make_image: Callable[[str], str], tmp_path: Path) -> None:
    make_image("fixed")
    (tmp_path / "file").write_text("other")
    with pytest.raises(push.RegistryError, match="TAG_INVALID: tag 'fixed' is immutable"):
        embedded.push(builder.build("FROM scratch\nCOPY file /\n", tmp_path), "fixed", embedded.token())


def test_a_push_needs_a_token_of_this_registry(embedded: Any, repository: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    build = builder.build("FROM scratch\nCOPY file /\n", tmp_path)
    with pytest.raises(push.RegistryError, match="401 Unauthorized"):
        embedded.push(build, "unknown", "a token from nowhere")


def test_a_push_needs_the_permission(embedded: Any, repository: None, tmp_path: Path) -> None:
    iam = embedded.client("iam")
    iam.create_user(UserName="reader")
    denied = {"Effect": "Deny", "Action": "ecr:PutImage", "Resource": "*"}
    allowed = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    iam.put_user_policy(
        UserName="reader",
        PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]}),
    )
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    import boto3

    ecr = boto3.client(
        "ecr",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name="us-east-1",
        endpoint_url=embedded.settings.endpoint,
        verify=str(embedded.settings.ca_bundle),
    )
    (tmp_path / "file").write_text("x")
    build = builder.build("FROM scratch\nCOPY file /\n", tmp_path)
    with pytest.raises(push.RegistryError, match=r"403 DENIED: .*ecr:PutImage on resource: .*repository/app"):
        embedded.push(build, "reader", embedded.token(ecr))


def test_a_push_is_an_event_and_the_scan_says_it_was_not_done(
    embedded: Any, make_image: Callable[[str], str], events: Callable[[str], Callable[..., Any]]
) -> None:
    received = events("aws.ecr")
    digest = make_image("announced").partition("@")[2]
    assert received(lambda event: event["detail-type"] == "ECR Image Action")["detail"] == {
        "result": "SUCCESS",
        "repository-name": "app",
        "image-digest": digest,
        "action-type": "PUSH",
        "image-tag": "announced",
        "manifest-media-type": builder.MANIFEST,
    }
    scan = received(lambda event: event["detail-type"] == "ECR Image Scan")["detail"]
    assert scan["finding-severity-counts"] == {}
    assert scans.NOTE in embedded.recorded()["ecr"]


def test_docker_commands_beyond_those_of_a_build_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "local" / "codebuild" / "bin" / "docker"), "run", "--privileged", "x"],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 64
    assert "run --privileged x is not supported here" in done.stderr
    assert shutil.which("docker", path=str(ROOT / "local" / "codebuild" / "bin"))


def test_what_a_lock_would_install_is_listed_in_the_image_and_read_by_the_scanner_of_its_contents(
    tmp_path: Path,
) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6 \\\n    --hash=sha256:00\nscikit-learn==1.9.1 \\\n")
    install = "python3 -m pip install --no-deps --require-hashes --target /packages/site --requirement /lock/all.lock"
    recipe = (
        f"FROM scratch AS packages\nCOPY requirements.lock /lock/all.lock\nRUN {install} && true\n"
        "FROM scratch\nCOPY --from=packages --chmod=0755 /packages/site /opt/packages\n"
    )
    built = builder.build(recipe, tmp_path)
    manifest = json.loads(built.manifest)
    names: dict[str, bytes] = {}
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(built.blobs[layer["digest"]])) as archive:
            names |= {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    assert sorted(names) == [
        "opt/packages/numpy-2.4.6.dist-info/METADATA",
        "opt/packages/requirements.lock",
        "opt/packages/scikit_learn-1.9.1.dist-info/METADATA",
    ]
    assert names["opt/packages/requirements.lock"] == (tmp_path / "requirements.lock").read_bytes()
    assert b"Name: scikit-learn\nVersion: 1.9.1\n" in names["opt/packages/scikit_learn-1.9.1.dist-info/METADATA"]
    assert any(what.startswith("RUN ") for what in built.not_performed), "that nothing was installed is still said"
